// SPDX-License-Identifier: Apache-2.0
// The flow log as the supervisor sees it: started, started again when it died, waited for at the end, but not for ever.
// Recording does not depend on it. Supervisor, its one thread.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "sealtap/error.h"

struct run;

struct flow_log {
	pid_t pid;     // 0: there is none (any more)
	int stream_fd; // its end of the inspector's socket, kept for the next one
	unsigned deaths;
	uint64_t ending_ns; // since when it could have ended; 0: it could not
};

// keeper_end: its end of the keeper's socket, borrowed.
int flow_log_start(struct run *run, int keeper_end, struct error *e);
void flow_log_died(struct run *run, int status);
void flow_log_turn(struct run *run);

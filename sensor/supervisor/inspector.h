// SPDX-License-Identifier: Apache-2.0
// The inspector as the supervisor sees it: started, watched, ended and started again, whatever it does. It is believed
// nothing; recording does not depend on it. Supervisor, its one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sealtap/error.h"
#include "sensor/ipc/control.h"
#include "sensor/ipc/loan.h"

struct run;

struct inspector {
	bool wanted;
	int loans_fd, loans_readonly_fd, reply_fd, pool_readonly_fd;
	int flows_fd; // where records go: the inspector's end, kept for the next one
	struct loans *loans;
	struct loan_reply *reply;
	pid_t pid;       // 0: there is none now
	uint32_t number; // of the present or the last one
	uint32_t deaths;
	unsigned deaths_in_a_row;
	uint64_t started_ns;
	uint64_t again_ns; // when the next one is due; 0: none is
	uint64_t moved_ns; // when it was seen to make headway
	uint64_t headway;
	uint64_t ending_ns;             // when it was told to come to an end; 0: not yet
	bool ending_told;               // to the operator
	char killed[96];                // why we ended it
	uint64_t shed_packets, shed_ns; // when the last one was seen
	uint64_t shed_told;
	bool shedding;
	struct control_inspection before; // of those that have died
};

// Makes the memory; *ret_flows_fd is the flow log's end of the socket.
int inspector_open(struct run *run, int *ret_flows_fd, struct error *e);
int inspector_start(struct run *run, struct error *e);
void inspector_recorder_died(struct run *run);
// The recording's end: the recorder is done, or will not come back.
void inspector_finish(struct run *run);
void inspector_died(struct run *run, int status);
// The operator does not wait for what flows are left.
void inspector_hurry(struct run *run);
// Regularly, at the latest after inspector_timeout_ms (-1: whenever).
void inspector_turn(struct run *run);
int inspector_timeout_ms(const struct run *run);
void inspector_status(const struct run *run, struct control_inspection *ret_status);

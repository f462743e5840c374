// SPDX-License-Identifier: Apache-2.0
// The exporter as the supervisor sees it: started when the ledger is open, started again when it died or stands still,
// given some time at the end. How far it is stands in shared memory that outlives it; nobody else waits for it.
// Supervisor, its one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sensor/ipc/control.h"
#include "sensor/ipc/export_state.h"

struct run;

struct exporter {
	const struct export_state *state; // NULL: nothing is exported, or not yet
	int state_fd;
	int orders[2]; // a pipe: its end for all exporters, and ours, -1 when closed
	pid_t pid;     // 0: there is none now
	uint32_t deaths;
	unsigned deaths_in_a_row;
	uint64_t started_ns;
	uint64_t again_ns; // when the next one is due; 0: none is
	uint64_t beats, beat_ns;
	uint64_t ending_ns; // when it was told to come to an end; 0: not yet
	bool failed;        // the last one did not end well
	bool hurried;       // there will not be another one
	const char *killed; // why we ended it, NULL: we did not
};

void exporter_died(struct run *run, int status);
void exporter_turn(struct run *run); // regularly
// The operator wants the end at once: what is not delivered stays undelivered.
void exporter_hurry(struct run *run);
bool exporter_busy(const struct run *run); // the run is not over before it is done
void exporter_status(const struct run *run, struct control_export ret_status[JOB_EXPORTS_MAX]);
// Whether all that was to be delivered was, after the end.
bool exporter_delivered_all(const struct run *run);

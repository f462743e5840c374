// SPDX-License-Identifier: Apache-2.0
// One run from start to end: which processes live, what they said, what comes next. Supervisor, one thread.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sensor/ipc/job.h"
#include "sensor/ipc/wire.h"
#include "sensor/supervisor/recording.h"

struct run {
	const struct job *job;
	int job_fd;
	int pool_fd;
	int keeper_fd;   // our end of the keeper's socket, -1 when closed
	int recorder_fd; // and of the recorder's
	pid_t keeper;    // 0: does not live
	pid_t signer;
	pid_t recorder;
	struct recording recording;
	uint8_t recording_id[DIGEST_LEN];
	bool opened;    // the ledger has its first lines
	bool capturing; // this recorder is at work
	bool stopping;
	bool done;    // the recorder said so
	bool closing; // the keeper has been told to close
	bool closed;  // and did
	bool broken;  // the keeper died, or closing failed
	bool shown;   // a progress line is on the terminal
	unsigned failed_starts;
	unsigned restarts;
	unsigned damaged; // inputs
	char reason[64];
	struct wire_status status;
};

int run_start(struct run *run, int job_fd, int key_fd, int origins_fd, struct error *e);
void run_recorder_says(struct run *run);
void run_keeper_says(struct run *run);
void run_reap(struct run *run);
void run_stop(struct run *run); // the operator wants it to end
bool run_over(const struct run *run);
int run_finish(struct run *run); // reports; returns the exit code

// report.c
void report_capturing(const struct run *run);
void report_progress(struct run *run);
void report_end(struct run *run, int exit_code);

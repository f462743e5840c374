// SPDX-License-Identifier: Apache-2.0
// One run from start to end: which processes live, what they said, what comes next. Supervisor, one thread.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sensor/ipc/job.h"
#include "sensor/ipc/wire.h"
#include "sensor/supervisor/control.h"
#include "sensor/supervisor/events.h"
#include "sensor/supervisor/exporter.h"
#include "sensor/supervisor/flow_log.h"
#include "sensor/supervisor/inspector.h"
#include "sensor/supervisor/recording.h"
#include "sensor/supervisor/tally.h"

struct run {
	const struct job *job;
	int job_fd;
	int pool_fd;
	int keeper_fd;   // our end of the keeper's socket, -1 when closed
	int recorder_fd; // and of the recorder's
	pid_t keeper;    // 0: does not live
	pid_t signer;
	pid_t recorder;
	struct inspector inspector;
	struct flow_log flow_log;
	struct exporter exporter;
	struct recording recording;
	uint8_t recording_id[DIGEST_LEN];
	bool opened;    // the ledger has its first lines
	bool capturing; // this recorder is at work
	bool stopping;
	bool done;    // the recorder said so
	bool ended;   // no more packets will be recorded, for `reason`
	bool closing; // the keeper has been told to close
	bool closed;  // and did
	bool broken;  // the keeper died, or closing failed
	bool shown;   // a progress line is on the terminal
	unsigned failed_starts;
	unsigned restarts;
	unsigned damaged; // inputs or interfaces that could not be read to the end
	char reason[64];
	struct tally tally;   // what recorder and keeper have said
	struct events events; // and which of it has been told
	struct control control;
};

int run_start(struct run *run, int job_fd, int key_fd, int origins_fd, struct error *e);
void run_recorder_says(struct run *run);
void run_keeper_says(struct run *run);
void run_reap(struct run *run);
void run_turn(struct run *run); // whatever is due; call at the latest after run_timeout_ms
int run_timeout_ms(const struct run *run);
void run_stop(struct run *run); // the operator wants it to end
// For the ledger, where it is still open, and for people.
void run_incident(struct run *run, const char *kind, const char *detail);
bool run_over(const struct run *run);
int run_finish(struct run *run); // reports; returns the exit code

// report.c
void report_line(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_capturing(struct run *run);
void report_progress(struct run *run);
void report_end(struct run *run, int exit_code);

// describe.c: for clients of the control socket.
void run_describe(const struct run *run, struct control_run *out);
void run_describe_lane(const struct run *run, uint32_t index, struct control_lane *out);

// SPDX-License-Identifier: Apache-2.0
// The runs on this machine that answer this user, as `status` and `mark` see them. Whoever answers is not believed: the
// form of each message is checked, and a socket must be answered by the user whose directory it lies in. Every wait is
// bounded.
#pragma once

#include <stdbool.h>

#include "sensor/ipc/control.h"

#define RUNS_MAX 256u

struct run_seen {
	char dir[256]; // and name: its socket
	char name[CONTROL_NAME_MAX];
	struct control_run is;
	struct control_lane *lane; // is.lanes of them, by number
};

struct runs_seen {
	struct run_seen *run;
	unsigned count;
	unsigned hidden;     // belong to others
	unsigned unanswered; // did not answer, or not in this version's form
	uint32_t lanes;
	unsigned answer_ms; // for each
	uint64_t until_ns;  // whoever has not been asked by then is unanswered
};

// 0, or -ENOMEM. Removes sockets of dead runs on the way.
int runs_look(struct runs_seen *ret_seen);
// The same for those who cannot wait as long as a person: answer_ms for each run, look_ms and one answer for all.
int runs_look_within(struct runs_seen *ret_seen, unsigned answer_ms, unsigned look_ms);
void runs_free(struct runs_seen *seen);
const char *run_state_name(const struct control_run *r);
// Whether what an operator wrote names this run: its directory by any path, the last part of that, or the sensor.
bool run_is_named(const struct run_seen *run, const char *name);
// On stderr: what to do when there is none, or none by that name. Returns an exit code.
int runs_say_none(const struct runs_seen *seen, const char *verb, const char *name);
// Its answer: an enum control_type, or a negative errno. -EPIPE: it ended without an answer.
int run_mark(const struct run_seen *run, const char *text, union control_answer *ret_answer);

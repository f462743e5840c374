// SPDX-License-Identifier: Apache-2.0
// What `cat`, `extract` and, for its findings, `flows` share: packets of a recording to a file or to standard output,
// and what does not hold to standard error. Packets are read in a process of their own (apart.h); this one opens the
// files, and gives the output its name.
#pragma once

#include <stdbool.h>

#include "sensor/cli/segments_on.h"
#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/evidence/reader/verify.h"

struct json_t;

struct packet_output {
	const char *verb;
	const char *recording;
	struct segments_on segments_on;
	const char *output; // NULL or "-": standard output; else a file, made only when everything holds
	bool json;          // a summary as JSON on standard error
	const struct packet_choice *choice; // NULL: every packet
	// An enum cli_exit, of a choice: why its begin failed, or CLI_INVALID: it has said already what does not hold.
	const int *choice_code;
	// May be NULL: adds to the summary, or says in words (json NULL), what the choice has to tell at the end.
	void (*summary)(void *user, struct json_t *json);
	// May be NULL: what takes more than the process that reads may do, once the output is open. An enum cli_exit:
	// CLI_OK and CLI_INVALID go on. *ret_write_dir: below which that process may keep files, else as it is.
	int (*prepare)(void *user, const struct recording_dir *dir, int *ret_write_dir);
	void *user;
};

// Says on standard error what does not hold, and returns the exit code of a verb that reads packets.
int packet_findings_print(const char *verb, const struct verify_report *r);
// Returns an enum cli_exit.
int packet_output_run(const struct packet_output *o);

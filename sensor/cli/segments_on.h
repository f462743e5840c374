// SPDX-License-Identifier: Apache-2.0
// --segments-on of the verbs that read recordings: directories on other disks that hold segments.
#pragma once

#include <stddef.h>

#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/verify.h"

struct segments_on {
	const char *dir[PLACES_MAX - 1]; // parts of the command line
	size_t count;
};

#define SEGMENTS_ON_HELP                                                                                               \
	"  --segments-on DIR[,DIR]\n"                                                                                  \
	"                 where the segments of a recording that was made onto several disks lie, in any order; not\n" \
	"                 needed when all of them were copied into its segments/\n"

// Takes DIR[,DIR...] apart in place. 0, or CLI_USAGE when said.
int segments_on_add(struct segments_on *s, const char *verb, char *list);
// Opens the recording with them. CLI_OK, or another enum cli_exit when it is said why not.
int segments_on_open(
        const struct segments_on *s, const char *verb, const char *recording, struct recording_dir *ret_dir);
// Whether segments are missing of a recording that was made onto several disks, so that this option may help.
bool segments_elsewhere(const struct verify_report *r);
// Says so on standard error.
void segments_elsewhere_say(const char *verb, const struct verify_report *r);

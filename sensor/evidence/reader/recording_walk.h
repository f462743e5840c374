// SPDX-License-Identifier: Apache-2.0
// Check 1 of section 7: which files lie in the recording. Remembers only what later checks need, per lane and not per
// file. Runs before the checkpoint is read: in a live recording every file seen here is then covered by what is read
// later.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/report.h"

struct recording_dir;

struct walked_flows { // numbers of the files below flows/
	uint32_t *list;
	size_t count, cap;
};

struct recording_walk {
	// Numbers plus one, so that 0 means none. A segment file with bytes, one without, a lane's directory.
	uint64_t lane_last[LANES_MAX];
	uint64_t lane_last_empty[LANES_MAX];
	bool lane_dir[LANES_MAX];
	uint8_t lane_place[LANES_MAX]; // where the first of its files was seen, plus one
	bool lane_twice[LANES_MAX];    // and others lie elsewhere
	bool extra[SOURCES_MAX];
	struct walked_flows flows; // the list is freed by whoever has the walk
	uint64_t keys_last;        // greatest epoch below keys/
	uint64_t checkpoints_last; // greatest epoch below checkpoints/
	bool recovery, checkpoint_tmp;
};

// Adds findings for names that have no place in a recording. Calls handle nothing else.
void recording_walk(const struct recording_dir *dir, struct recording_walk *walk, struct verify_report *report);

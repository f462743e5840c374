// SPDX-License-Identifier: Apache-2.0
// Frames of a lane that were dropped or shunted. Blocks carry the lane's counters up to them; what has been added since
// gathers here, with its times, until the notary takes it to the keeper. Each frame is told once, also across
// recorders. Writer thread; one struct for each lane, zero at first.
#pragma once

#include "sensor/recorder/notary.h"

struct unrecorded_loss {
	uint64_t counted; // of the lane's counter, already given to the notary or waiting in frames
	uint64_t frames;
	uint64_t t_first;
	uint64_t t_last;
};

struct unrecorded_shunt {
	uint64_t counted, counted_bytes; // of the lane's, likewise
	uint64_t frames, bytes;
	uint64_t t_first;
	uint64_t t_last;
};

struct unrecorded {
	struct unrecorded_loss loss[DROP_CAUSES];
	struct unrecorded_shunt shunt;
};

// Of a lane that an earlier recorder began: what it had told.
void unrecorded_resume(struct unrecorded *u, const struct pool_lane *shared);
// counters: the lane's at the end of block, which was written or lost.
void unrecorded_note(struct unrecorded *u, const struct counters *counters, const struct block *block);
// What has gathered. It stays when the recorder fails.
void unrecorded_give(struct unrecorded *u, uint32_t lane, struct notary *n);

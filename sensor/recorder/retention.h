// SPDX-License-Identifier: Apache-2.0
// Retention, the recorder's half: asks the keeper whether a segment of a disk is to go and removes what it names.
// Notary thread of that disk.
#pragma once

#include <stdbool.h>

#include "sensor/ipc/wire.h"

struct place;
struct recorder;

struct retention {
	bool on;
	struct wire_retire removed; // to be said with the next question
	_Atomic uint64_t removals;  // by this recorder
};

// 1: a segment went, and another one may have to at once; 0: enough for now; a negative errno: the recorder must end.
// full: the writer has met a full disk, and will say so when this makes no room.
int retention_turn(struct recorder *r, struct place *p, bool full);

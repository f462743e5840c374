// SPDX-License-Identifier: Apache-2.0
// Overload in declared order: when the pool runs low the compression level goes down step by step, and back up when
// there has been room for a while; only when the pool is empty are frames dropped. Pure: time and fill come in, a level
// goes out.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define OVERLOAD_STEPS_MAX 8u

struct overload {
	int level[OVERLOAD_STEPS_MAX]; // from the ceiling (--level) to the floor
	unsigned steps;
	unsigned at;            // index of the present level
	uint64_t changed_ns;    // when it became so
	uint64_t room_since_ns; // 0: there is no room now
	uint64_t lowered;       // steps taken, for the status
	uint64_t raised;
};

void overload_init(struct overload *o, int ceiling, int floor);
// free and blocks of the RX thread that has least. True when the level has changed.
bool overload_check(struct overload *o, uint64_t now_ns, uint32_t free, uint32_t blocks);

static inline int overload_level(const struct overload *o)
{
	return o->level[o->at];
}

// SPDX-License-Identifier: Apache-2.0
// Which flows are to be looked at when: a ring of slots of one second each, every slot a list through the flows. One
// thread. A flow whose time is beyond the ring stands in its last slot and is put back from there.
//
// Its clock runs with the times of packets, forward only. Times come from outside: one that jumps ahead ends what is
// idle by that time, and one that goes back far (more than an hour) makes the clock go on from there, so that one wrong
// time does not spoil those that follow.
#pragma once

#include "analyzers/flow_table.h"

#define TIMER_TICK_NS 1000000000ull
#define TIMER_SLOTS 2048u // a power of two

struct timer_wheel {
	uint32_t slots[TIMER_SLOTS]; // first flow, or FLOW_NONE
	uint32_t now;                // tick of the clock
	uint32_t done;               // slots up to this tick were given out
	uint64_t clock_ns;           // sum of what time went forward
	uint64_t latest_ns;          // highest time since the clock began or went back
	bool started;
};

void timer_wheel_init(struct timer_wheel *w);
void timer_wheel_clock(struct timer_wheel *w, uint64_t ts_ns);
void timer_wheel_insert(struct timer_wheel *w, struct flow *flows, uint32_t index, uint32_t tick);
// Nothing when it is in no slot.
void timer_wheel_remove(struct timer_wheel *w, struct flow *flows, uint32_t index);
// Gives the list of the next slot that is due, by wheel_next, and forgets it; false when none is. Call until false: a
// slot comes once for each tick, and at most TIMER_SLOTS of them however far the clock went.
bool timer_wheel_due(struct timer_wheel *w, struct flow *flows, uint32_t *ret_list);

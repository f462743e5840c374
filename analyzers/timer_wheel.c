// SPDX-License-Identifier: Apache-2.0
#include "analyzers/timer_wheel.h"

#include <string.h>

#define BACK_NS 3600000000000ull

void timer_wheel_init(struct timer_wheel *w)
{
	memset(w, 0, sizeof(*w));
	memset(w->slots, 0xff, sizeof(w->slots));
}

void timer_wheel_clock(struct timer_wheel *w, uint64_t ts_ns)
{
	uint64_t tick;

	if (!w->started || (ts_ns < w->latest_ns && w->latest_ns - ts_ns > BACK_NS)) {
		w->started = true;
		w->latest_ns = ts_ns;
		return;
	}
	if (ts_ns <= w->latest_ns)
		return;
	if (__builtin_add_overflow(w->clock_ns, ts_ns - w->latest_ns, &w->clock_ns))
		w->clock_ns = UINT64_MAX;
	w->latest_ns = ts_ns;
	tick = w->clock_ns / TIMER_TICK_NS;
	w->now = tick < FLOW_NONE - 2 * TIMER_SLOTS ? (uint32_t)tick : FLOW_NONE - 2 * TIMER_SLOTS;
}

void timer_wheel_insert(struct timer_wheel *w, struct flow *flows, uint32_t index, uint32_t tick)
{
	const uint32_t last = w->now + TIMER_SLOTS - 1;
	struct flow *f = &flows[index];

	if (tick <= w->now)
		tick = w->now + 1;
	if (tick > last)
		tick = last;
	f->wheel_slot = tick % TIMER_SLOTS;
	f->wheel_prev = FLOW_NONE;
	f->wheel_next = w->slots[f->wheel_slot];
	if (f->wheel_next != FLOW_NONE)
		flows[f->wheel_next].wheel_prev = index;
	w->slots[f->wheel_slot] = index;
}

void timer_wheel_remove(struct timer_wheel *w, struct flow *flows, uint32_t index)
{
	struct flow *f = &flows[index];

	if (f->wheel_slot == FLOW_NONE)
		return;
	*(f->wheel_prev == FLOW_NONE ? &w->slots[f->wheel_slot] : &flows[f->wheel_prev].wheel_next) = f->wheel_next;
	if (f->wheel_next != FLOW_NONE)
		flows[f->wheel_next].wheel_prev = f->wheel_prev;
	f->wheel_slot = FLOW_NONE;
}

bool timer_wheel_due(struct timer_wheel *w, struct flow *flows, uint32_t *ret_list)
{
	if (w->now - w->done > TIMER_SLOTS)
		w->done = w->now - TIMER_SLOTS;
	while (w->done < w->now) {
		uint32_t *slot = &w->slots[++w->done % TIMER_SLOTS];

		if (*slot != FLOW_NONE) {
			*ret_list = *slot;
			*slot = FLOW_NONE;
			return true;
		}
	}
	return false;
}

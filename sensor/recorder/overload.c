// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/overload.h"

// Down fast, for the pool may be gone in a fraction of a second; up slowly, so that the level does not swing.
#define LOWER_AFTER_NS 100000000ULL
#define RAISE_AFTER_NS 5000000000ULL
#define LOW(free, blocks) ((free) < (blocks) / 2)
#define ROOM(free, blocks) ((free) >= (blocks) / 8 * 7)

void overload_init(struct overload *o, int ceiling, int floor)
{
	// Each costs about three quarters of the one before (measured on a mix of real packets).
	static const int ladder[] = {9, 3, 1, -1, -5, -10, -20, -50};

	*o = (struct overload){.steps = 1};
	o->level[0] = ceiling;
	for (unsigned i = 0; i < sizeof(ladder) / sizeof(ladder[0]) && o->steps < OVERLOAD_STEPS_MAX; i++)
		if (ladder[i] < ceiling && ladder[i] >= floor)
			o->level[o->steps++] = ladder[i];
}

static bool change(struct overload *o, uint64_t now_ns, int by)
{
	o->at = (unsigned)((int)o->at + by);
	o->changed_ns = now_ns;
	o->room_since_ns = 0;
	return true;
}

bool overload_check(struct overload *o, uint64_t now_ns, uint32_t free, uint32_t blocks)
{
	if (!ROOM(free, blocks))
		o->room_since_ns = 0;
	else if (o->room_since_ns == 0)
		o->room_since_ns = now_ns;

	if (LOW(free, blocks) && o->at + 1 < o->steps && now_ns - o->changed_ns >= LOWER_AFTER_NS) {
		o->lowered++;
		return change(o, now_ns, 1);
	}
	if (o->at > 0 && o->room_since_ns && now_ns - o->room_since_ns >= RAISE_AFTER_NS) {
		o->raised++;
		return change(o, now_ns, -1);
	}
	return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/ipc/roles.h"

#define STATUS_NS 1000000000ULL

struct status {
	uint64_t at_ns; // of the round before
	bool under_way; // a round, and lanes up to next_lane are said
	uint32_t next_lane;
	uint64_t stall_ms;
	uint64_t taken[]; // blocks by each RX thread, a round before
};

int status_new(const struct recorder *r, uint64_t now_ns, struct status **ret_status)
{
	struct status *s = calloc(1, sizeof(*s) + r->rx_count * sizeof(s->taken[0]));

	if (!s)
		return -ENOMEM;
	s->at_ns = now_ns;
	*ret_status = s;
	return 0;
}

void status_free(struct status *s)
{
	free(s);
}

// Seen while blocks move: what lies between the two reads is left out, not counted twice.
static uint32_t room(struct rx *rx)
{
	uint32_t free = atomic_load_explicit(&rx->stacked, memory_order_relaxed) + rx_returned(rx);

	return free < rx->share ? free : rx->share;
}

// Free blocks, divided by those taken in a second, of the RX thread that has least: it would drop first.
static void measure_stall(struct recorder *r, struct status *s, uint64_t elapsed_ns)
{
	s->stall_ms = WIRE_STALL_UNKNOWN;
	for (unsigned i = 0; i < r->rx_count; i++) {
		uint64_t taken = atomic_load_explicit(&r->rx[i].taken, memory_order_relaxed), now = taken - s->taken[i];
		uint64_t ms = now ? room(&r->rx[i]) * (elapsed_ns / 1000000) / now : WIRE_STALL_UNKNOWN;

		s->taken[i] = taken;
		if (ms < s->stall_ms)
			s->stall_ms = ms;
	}
}

static bool lane_fill(struct recorder *r, uint32_t id, struct wire_lane *out)
{
	const struct pool_lane *lane = &r->pool.shared->lane[id];

	*out = (struct wire_lane){.lane = id, .source = lane->source};
	if (!writer_lane(place_of(r, id)->writer, id, out))
		return false;
	memcpy(out->interface, lane->interface, sizeof(out->interface));
	for (int i = 0; i < DROP_CAUSES; i++) { // what RX has counted since, while the disk may stand still
		uint64_t now = __atomic_load_n(&lane->rx.dropped[i], __ATOMIC_RELAXED);

		out->dropped[i] = now > out->counters.dropped[i] ? now : out->counters.dropped[i];
	}
	return true;
}

static int lanes_send(struct recorder *r, struct status *s, bool wait)
{
	uint32_t count = atomic_load(&r->pool.shared->lane_count);

	while (s->next_lane < count) {
		struct wire_lanes m = {0};
		uint32_t at = s->next_lane;
		int result = 0;

		for (; at < count && m.count < WIRE_LANES_MAX; at++)
			m.count += lane_fill(r, at, &m.lane[m.count]);
		if (m.count > 0)
			result = wait ? wire_send(ROLE_SUPERVISOR_FD, WIRE_LANES, &m, sizeof(m), -1)
			              : wire_try_send(ROLE_SUPERVISOR_FD, WIRE_LANES, &m, sizeof(m));
		if (result < 0)
			return result;
		s->next_lane = at;
	}
	return 0;
}

static int round_send(struct recorder *r, struct status *s, bool wait)
{
	struct wire_status m = {.stall_ms = s->stall_ms,
	        .pool_blocks = r->pool.blocks,
	        .level = atomic_load_explicit(&r->level, memory_order_relaxed)};
	int result = lanes_send(r, s, wait);

	if (result < 0)
		return result;
	for (unsigned i = 0; i < r->place_count; i++)
		writer_status(r->place[i].writer, &m);
	for (unsigned i = 0; i < r->rx_count; i++) {
		m.raw_bytes += atomic_load_explicit(&r->rx[i].raw_bytes, memory_order_relaxed);
		m.pool_free += room(&r->rx[i]);
	}
	return wait ? wire_send(ROLE_SUPERVISOR_FD, WIRE_STATUS, &m, sizeof(m), -1)
	            : wire_try_send(ROLE_SUPERVISOR_FD, WIRE_STATUS, &m, sizeof(m));
}

void status_tick(struct recorder *r, struct status *s, uint64_t now_ns)
{
	if (!s->under_way && now_ns - s->at_ns < STATUS_NS)
		return;
	if (!s->under_way) {
		measure_stall(r, s, now_ns - s->at_ns);
		s->at_ns = now_ns;
		s->next_lane = 0;
	}
	s->under_way = round_send(r, s, false) == -EAGAIN;
}

void status_last(struct recorder *r, struct status *s, uint64_t now_ns)
{
	measure_stall(r, s, now_ns - s->at_ns);
	s->next_lane = 0;
	round_send(r, s, true);
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/tally.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t tally_clock_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

void tally_capturing(struct tally *t)
{
	t->heard_ns = tally_clock_ns();
	if (t->since_ns)
		return;
	t->since_ns = clock_ns(CLOCK_REALTIME);
	t->since_boot_ns = t->heard_ns;
}

struct wire_status tally_total(const struct tally *t)
{
	struct wire_status sum = t->now;

	sum.raw_bytes += t->before.raw_bytes;
	sum.stored_bytes += t->before.stored_bytes;
	sum.segments += t->before.segments;
	return sum;
}

void tally_recorder_died(struct tally *t)
{
	t->before = tally_total(t);
	t->now = (struct wire_status){
	        .stall_ms = WIRE_STALL_UNKNOWN, .pool_blocks = t->now.pool_blocks, .level = t->now.level};
	t->packets_per_second = t->bytes_per_second = t->raw_bytes = 0;
}

static struct wire_lane *lane_get(struct tally *t, uint32_t id)
{
	struct wire_lane *more;

	if (t->at[id])
		return &t->lane[t->at[id] - 1];
	more = realloc(t->lane, (t->lane_count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	t->lane = more;
	memset(&more[t->lane_count], 0, sizeof(*more));
	t->at[id] = (uint16_t)++t->lane_count;
	return &more[t->lane_count - 1];
}

bool tally_lanes(struct tally *t, const struct job *job, const struct wire_lanes *m)
{
	if (m->h.len != sizeof(*m) || m->count > WIRE_LANES_MAX)
		return false;
	for (uint32_t i = 0; i < m->count; i++)
		if (m->lane[i].lane >= LANES_MAX || m->lane[i].source >= job->source_count ||
		        !wire_text_ok(m->lane[i].interface, sizeof(m->lane[i].interface)))
			return false;
	for (uint32_t i = 0; i < m->count; i++) {
		struct wire_lane *lane = lane_get(t, m->lane[i].lane);
		uint64_t last = lane ? lane->last_ns : 0;

		if (!lane)
			continue;
		*lane = m->lane[i];
		if (lane->last_ns < last) // a new recorder has not seen those of the one before
			lane->last_ns = last;
	}
	return true;
}

static uint64_t recorded(const struct tally *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->lane_count; i++)
		sum += t->lane[i].counters.recorded;
	return sum;
}

bool tally_status(struct tally *t, const struct wire_status *m)
{
	uint64_t now = tally_clock_ns(), ms = (now - t->heard_ns) / 1000000, packets = recorded(t);

	if (m->h.len != sizeof(*m))
		return false;
	if (ms >= 100) { // else it had to wait for us, and its rate would be that of the waiting
		t->packets_per_second = packets >= t->packets ? (packets - t->packets) * 1000 / ms : 0;
		t->bytes_per_second = m->raw_bytes >= t->raw_bytes ? (m->raw_bytes - t->raw_bytes) * 1000 / ms : 0;
		t->packets = packets;
		t->raw_bytes = m->raw_bytes;
		t->heard_ns = now;
	}
	t->now = *m;
	return true;
}

bool tally_incident(struct tally *t, const struct wire_incident *m)
{
	if (m->h.len != sizeof(*m) || !wire_text_ok(m->kind, sizeof(m->kind)) ||
	        !wire_text_ok(m->detail, sizeof(m->detail)))
		return false;
	t->incident = *m;
	t->incident_ns = clock_ns(CLOCK_REALTIME);
	return true;
}

void tally_free(struct tally *t)
{
	free(t->lane);
	t->lane = NULL;
	t->lane_count = 0;
}

void tally_counters(const struct tally *t, struct counters *ret_counters)
{
	struct counters sum = {0};

	for (uint32_t i = 0; i < t->lane_count; i++) {
		const struct counters *c = &t->lane[i].counters;

		sum.received += c->received;
		sum.recorded += c->recorded;
		sum.filtered += c->filtered;
		sum.out_of_scope += c->out_of_scope;
		sum.shunted += c->shunted;
		for (int k = 0; k < DROP_CAUSES; k++)
			sum.dropped[k] += c->dropped[k];
		if (c->driver_mask & COUNTERS_DRIVER_RECEIVED)
			sum.driver_received += c->driver_received;
		if (c->driver_mask & COUNTERS_DRIVER_DROPPED)
			sum.driver_dropped += c->driver_dropped;
		for (int k = 0; k < NIC_COUNTERS; k++)
			sum.nic[k] += c->nic[k];
		for (int k = 0; k < XSK_COUNTERS; k++)
			sum.xsk[k] += c->xsk[k];
		sum.driver_mask |= c->driver_mask;
	}
	*ret_counters = sum;
}

void tally_dropped(const struct tally *t, uint64_t ret_dropped[DROP_CAUSES])
{
	memset(ret_dropped, 0, DROP_CAUSES * sizeof(*ret_dropped));
	for (uint32_t i = 0; i < t->lane_count; i++)
		for (int k = 0; k < DROP_CAUSES; k++)
			ret_dropped[k] += t->lane[i].dropped[k];
}

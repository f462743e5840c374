// SPDX-License-Identifier: Apache-2.0
// Sources in memory, whose packets anybody can make again. They hand out and forget their buffers as a ring does.
// Called by the recorder's threads.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pipeline_world.h"

#define BATCH_MAX 64u

struct memory_plan plan;

static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15ULL;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
	x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
	return x ^ x >> 31;
}

uint32_t packet_make(uint32_t source, uint32_t lane, uint64_t number, uint8_t *out)
{
	uint64_t r = mix(mix(source * 100 + lane) ^ number);
	uint32_t len = 60 + (uint32_t)(r % (r % 7 == 0 ? PACKET_MAX - 60 : 1000));

	for (uint32_t at = 0; at < len; at += 8) {
		r = mix(r);
		memcpy(out + at, &r, len - at < 8 ? len - at : 8);
	}
	return len;
}

struct memory {
	struct source source;
	uint32_t index;
	uint64_t next[LANES_EACH];
	uint64_t turn;
	atomic_bool interrupted;
	struct source_lane lanes[LANES_EACH];
	uint8_t data[BATCH_MAX][PACKET_MAX];
};

static int memory_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct memory *m = (struct memory *)s;
	unsigned n = 0;

	if (atomic_load(&m->interrupted))
		return -ENODATA;
	s->lane_count = m->turn > 2 && !plan.single ? LANES_EACH : 1; // the others are found later
	while (n < max && n < BATCH_MAX) {
		uint32_t lane = (uint32_t)(mix(m->turn++) % s->lane_count);
		unsigned tried;

		for (tried = 0; tried < s->lane_count && plan.packets && m->next[lane] == plan.packets; tried++)
			lane = (lane + 1) % s->lane_count;
		if (tried == s->lane_count)
			break;
		batch[n] = (struct packet){.data = m->data[n], .ts_ns = 1 + m->next[lane], .lane = lane};
		batch[n].caplen = batch[n].origlen = packet_make(m->index, lane, m->next[lane]++, m->data[n]);
		n++;
	}
	return n > 0 ? (int)n : -ENODATA;
}

static void memory_release(struct source *s)
{
	memset(((struct memory *)s)->data, 0xEE, sizeof(((struct memory *)s)->data)); // who keeps a pointer will see it
}

static void memory_interrupt(struct source *s)
{
	atomic_store(&((struct memory *)s)->interrupted, true);
}

static void memory_close(struct source *s)
{
	free(s);
}

static int memory_new(uint32_t index, struct source **ret_source)
{
	static const struct source_ops waits = {.recv = memory_recv,
	        .release = memory_release,
	        .interrupt = memory_interrupt,
	        .close = memory_close,
	        .kind = "memory"};
	static struct source_ops live;
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	live = waits;
	live.live = true;
	m->source.ops = plan.live ? &live : &waits;
	m->source.lanes = m->lanes;
	m->source.lane_count = 1;
	m->index = index;
	for (uint32_t i = 0; i < LANES_EACH; i++) {
		snprintf(m->lanes[i].interface, sizeof(m->lanes[i].interface), "%u.%u", index, i);
		m->lanes[i].linktype = 1;
	}
	*ret_source = &m->source;
	return 0;
}

// Instead of the driver's: recorder_open asks for interfaces called "0", "1", ...
int source_afpacket_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	for (unsigned queue = 0; queue < plan.queues; queue++)
		assert_int_equal(
		        memory_new((uint32_t)atoi(config->interface) * plan.queues + queue, &ret_sources[queue]), 0);
	return (int)plan.queues;
}

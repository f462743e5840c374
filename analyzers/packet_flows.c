// SPDX-License-Identifier: Apache-2.0
#include "analyzers/packet_flows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/fragment_table.h"

#define BUCKETS (1u << 16)
#define NONE UINT32_MAX

struct foretold {
	struct foretold_fragment fragment;
	struct flow_key key; // as the fragments have it
	unsigned source;
	uint32_t next; // in the bucket, in the order in which they were told
};

struct packet_flows {
	uint64_t seed;
	struct fragment_table *fragments;
	struct foretold *foretold;
	uint32_t count, room;
	uint32_t *buckets; // BUCKETS of them; NULL: nothing was foretold
	struct packet_flows_seen seen;
};

int packet_flows_new(uint64_t seed, struct packet_flows **ret_flows)
{
	struct packet_flows *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->seed = seed;
	if (fragment_table_new(seed, &p->fragments) < 0) {
		packet_flows_free(p);
		return -ENOMEM;
	}
	*ret_flows = p;
	return 0;
}

void packet_flows_free(struct packet_flows *p)
{
	if (!p)
		return;
	fragment_table_free(p->fragments);
	free(p->foretold);
	free(p->buckets);
	free(p);
}

static uint32_t *bucket(struct packet_flows *p, const struct flow_key *key)
{
	return &p->buckets[flow_key_hash(key, p->seed) % BUCKETS];
}

static int make_room(struct packet_flows *p)
{
	const uint32_t room = p->room > 0 ? 2 * p->room : 64;
	struct foretold *more;

	if (!p->buckets) {
		p->buckets = malloc(BUCKETS * sizeof(*p->buckets));
		if (!p->buckets)
			return -ENOMEM;
		memset(p->buckets, 0xff, BUCKETS * sizeof(*p->buckets));
	}
	if (p->count < p->room)
		return 0;
	more = realloc(p->foretold, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->foretold = more;
	p->room = room;
	return 0;
}

int packet_flows_foretell(struct packet_flows *p, const struct foretold_fragment *fragment)
{
	struct foretold *f;
	uint32_t *link;

	if (p->count == FORETOLD_MAX)
		return -ENOBUFS;
	if (make_room(p) < 0)
		return -ENOMEM;
	f = &p->foretold[p->count];
	*f = (struct foretold){.fragment = *fragment, .next = NONE};
	f->source = fragment_key_make(&fragment->first, &f->key);
	for (link = bucket(p, &f->key); *link != NONE; link = &p->foretold[*link].next)
		;
	*link = p->count++;
	return 0;
}

// The first fragment that will come of a packet whose later ones come now.
static const struct decoded_flow *will_come(struct packet_flows *p, const struct decoded_flow *packet, uint64_t ts_ns)
{
	struct flow_key key;
	unsigned source;

	if (!p->buckets)
		return NULL;
	source = fragment_key_make(packet, &key);
	for (uint32_t i = *bucket(p, &key); i != NONE; i = p->foretold[i].next) {
		const struct foretold *f = &p->foretold[i];

		if (f->source == source && ts_ns >= f->fragment.since_ns && ts_ns <= f->fragment.first_ns &&
		        flow_key_equal(&f->key, &key))
			return &f->fragment.first;
	}
	return NULL;
}

static void resolve(struct packet_flows *p, struct decoded_flow *f, uint64_t ts_ns, uint64_t *ret_before)
{
	const struct flow_arrival arrival = {.ts_ns = ts_ns, .pkts = 1};
	const struct decoded_flow *first;
	struct fragment_waiting lost;
	struct flow_arrival before;
	bool has_lost;

	if (f->fragment_first) {
		if (fragment_table_first(p->fragments, f, ts_ns, &before, &lost, &has_lost))
			*ret_before = before.pkts;
	} else if (f->fragment) {
		first = will_come(p, f, ts_ns);
		if (first)
			fragment_table_first(p->fragments, first, ts_ns, &before, &lost, &has_lost);
		fragment_table_next(p->fragments, f, &arrival, &lost, &has_lost);
	}
}

const struct packet_flows_seen *packet_flows_of(struct packet_flows *p, uint32_t linktype, const uint8_t *data,
        uint32_t caplen, uint32_t origlen, uint64_t ts_ns)
{
	struct decoded *d = &p->seen.decoded;

	decode_packet(linktype, data, caplen, origlen, d);
	for (unsigned i = 0; i < d->count; i++) {
		p->seen.before[i] = 0;
		resolve(p, &d->flows[i], ts_ns, &p->seen.before[i]);
	}
	return &p->seen;
}

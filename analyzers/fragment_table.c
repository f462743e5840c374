// SPDX-License-Identifier: Apache-2.0
#include "analyzers/fragment_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	struct flow_key key; // without ports; the id of the fragments stands in their place
	uint64_t ts_ns;      // of the newest fragment
	bool used, has_ports;
	uint8_t source; // which endpoint of the key sends them
	// With ports: what the first fragment had. Without: what waits.
	struct fragment_waiting waiting;
};

struct fragment_table {
	uint64_t seed;
	uint32_t drained;
	struct entry entries[FRAGMENT_ENTRIES];
};

int fragment_table_new(uint64_t seed, struct fragment_table **ret_table)
{
	struct fragment_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->seed = seed;
	*ret_table = t;
	return 0;
}

void fragment_table_free(struct fragment_table *t)
{
	free(t);
}

unsigned fragment_key_make(const struct decoded_flow *packet, struct flow_key *ret_key)
{
	struct decoded_flow p = *packet;
	unsigned source;

	p.has_ports = false;
	p.src_port = p.dest_port = 0;
	if (p.ip_version == 6)
		p.proto = 0; // the first fragment may have gone on to another header
	source = flow_key_make(&p, ret_key);
	ret_key->port[0] = (uint16_t)packet->fragment_id;
	ret_key->port[1] = (uint16_t)(packet->fragment_id >> 16);
	return source;
}

// Takes what waits out of an entry that is to be forgotten.
static bool forget(struct entry *e, struct fragment_waiting *ret_lost)
{
	const bool waits = e->used && !e->has_ports;

	if (waits)
		*ret_lost = e->waiting;
	e->used = false;
	return waits;
}

static bool stale(const struct entry *e, uint64_t ts_ns)
{
	const uint64_t apart = ts_ns > e->ts_ns ? ts_ns - e->ts_ns : e->ts_ns - ts_ns;

	return apart > FRAGMENT_NS;
}

// The entry of these fragments, used or free for it.
static struct entry *entry_of(struct fragment_table *t, const struct flow_key *key, unsigned source, uint64_t ts_ns,
        struct fragment_waiting *ret_lost, bool *ret_has_lost)
{
	const uint32_t set = flow_key_hash(key, t->seed) % (FRAGMENT_ENTRIES / FRAGMENT_WAYS);
	struct entry *e = &t->entries[set * FRAGMENT_WAYS], *best = e;

	*ret_has_lost = false;
	for (unsigned i = 0; i < FRAGMENT_WAYS; i++) {
		if (e[i].used && e[i].source == source && flow_key_equal(&e[i].key, key)) {
			if (stale(&e[i], ts_ns))
				*ret_has_lost = forget(&e[i], ret_lost);
			return &e[i];
		}
		if (best->used && (!e[i].used || e[i].ts_ns < best->ts_ns))
			best = &e[i];
	}
	*ret_has_lost = forget(best, ret_lost);
	return best;
}

bool fragment_table_first(struct fragment_table *t, const struct decoded_flow *packet, uint64_t ts_ns,
        struct flow_arrival *ret_before, struct fragment_waiting *ret_lost, bool *ret_has_lost)
{
	struct flow_key key;
	const unsigned source = fragment_key_make(packet, &key);
	struct entry *e = entry_of(t, &key, source, ts_ns, ret_lost, ret_has_lost);
	const bool before = e->used && !e->has_ports;

	if (before)
		*ret_before = e->waiting.arrival;
	*e = (struct entry){.key = key, .ts_ns = ts_ns, .used = true, .has_ports = true, .source = (uint8_t)source};
	e->waiting.packet = *packet;
	return before;
}

enum fragment_answer fragment_table_next(struct fragment_table *t, struct decoded_flow *packet,
        const struct flow_arrival *arrival, struct fragment_waiting *ret_lost, bool *ret_has_lost)
{
	struct flow_key key;
	const unsigned source = fragment_key_make(packet, &key);
	struct entry *e = entry_of(t, &key, source, arrival->ts_ns, ret_lost, ret_has_lost);
	const struct decoded_flow *first = &e->waiting.packet;
	struct flow_arrival *waits = &e->waiting.arrival;

	if (e->used && e->has_ports) {
		e->ts_ns = arrival->ts_ns;
		packet->proto = first->proto;
		packet->src_port = first->src_port;
		packet->dest_port = first->dest_port;
		packet->icmp_type = first->icmp_type;
		packet->icmp_code = first->icmp_code;
		packet->has_ports = first->has_ports;
		return FRAGMENT_KNOWN;
	}
	if (e->used) {
		e->ts_ns = arrival->ts_ns;
		waits->pkts += arrival->pkts;
		waits->bytes += arrival->bytes;
		waits->ip_bytes += arrival->ip_bytes;
		return FRAGMENT_WAITS;
	}
	*e = (struct entry){.key = key, .ts_ns = arrival->ts_ns, .used = true, .source = (uint8_t)source};
	e->waiting = (struct fragment_waiting){*packet, *arrival};
	return FRAGMENT_WAITS;
}

bool fragment_table_drain(struct fragment_table *t, struct fragment_waiting *ret_lost)
{
	while (t->drained < FRAGMENT_ENTRIES)
		if (forget(&t->entries[t->drained++], ret_lost))
			return true;
	t->drained = 0;
	return false;
}

// SPDX-License-Identifier: Apache-2.0
// Which flow the fragments of an IP packet belong to: the first one has the ports, the others only the number that they
// share with it. Bounded; one thread. Fragments that come before their first one wait, as counts, not as bytes.
#pragma once

#include "analyzers/flow_table.h"

#define FRAGMENT_ENTRIES 4096u
#define FRAGMENT_WAYS 4u
#define FRAGMENT_NS 30000000000ull // how long the fragments of a packet may be apart

struct fragment_table;

struct fragment_waiting {
	struct decoded_flow packet; // of the first that waits; has no ports
	struct flow_arrival arrival;
};

// seed: as of the flow table.
int fragment_table_new(uint64_t seed, struct fragment_table **ret_table); // 0 or -ENOMEM
void fragment_table_free(struct fragment_table *t);

enum fragment_answer {
	FRAGMENT_KNOWN, // the ports are filled in: add it to its flow
	FRAGMENT_WAITS, // counted, to be credited when the first one comes
};

// A first fragment: remembers the ports. True when others came before it: add the packet to its flow, then credit
// these.
bool fragment_table_first(struct fragment_table *t, const struct decoded_flow *packet, uint64_t ts_ns,
        struct flow_arrival *ret_before, struct fragment_waiting *ret_lost, bool *ret_has_lost);
// Another one.
enum fragment_answer fragment_table_next(struct fragment_table *t, struct decoded_flow *packet,
        const struct flow_arrival *arrival, struct fragment_waiting *ret_lost, bool *ret_has_lost);
// Both may have to forget an older entry to which fragments wait: *ret_lost is then a flow without ports.
// What the fragments of a packet have in common: the key of their flow, with their number in place of ports. Returns
// which endpoint of the key sends them.
unsigned fragment_key_make(const struct decoded_flow *packet, struct flow_key *ret_key);
// At the end: the next entry that waits, until false.
bool fragment_table_drain(struct fragment_table *t, struct fragment_waiting *ret_lost);

// SPDX-License-Identifier: Apache-2.0
// Which flows a packet belongs to, for whoever goes over packets without counting them: decode and fragment table as in
// the flow meter, so that both agree. Fragments that came before the first one of their packet do not tell their ports;
// a reading that has seen all can foretell them to a second one. Bounded; one thread.
#pragma once

#include "analyzers/decode.h"

#define FORETOLD_MAX (1u << 20)

// A first fragment, and the time from which others came before it.
struct foretold_fragment {
	struct decoded_flow first; // without pointers
	uint64_t first_ns, since_ns;
};

struct packet_flows;

// seed: unknown to whoever sends packets. 0 or -ENOMEM.
int packet_flows_new(uint64_t seed, struct packet_flows **ret_flows);
void packet_flows_free(struct packet_flows *p);
// 0, -ENOMEM, or -ENOBUFS: no more than FORETOLD_MAX.
int packet_flows_foretell(struct packet_flows *p, const struct foretold_fragment *fragment);

struct packet_flows_seen {
	struct decoded
	        decoded; // outermost first; later fragments have the ports of their first one where that is known
	uint64_t before[DECODE_FLOWS_MAX]; // of a first fragment: how many others came before it and were not foretold
};

// Valid until the next call.
const struct packet_flows_seen *packet_flows_of(struct packet_flows *p, uint32_t linktype, const uint8_t *data,
        uint32_t caplen, uint32_t origlen, uint64_t ts_ns);

// SPDX-License-Identifier: Apache-2.0
// Flows that somebody chose by their records, and whether a packet belongs to one of them: by its flow key and by the
// time that the record spans. Where the same ports were used again at the very time at which a flow ended, the records'
// packet counts tell which packet is whose; packets must then come in the order in which they were counted. Bounded;
// one thread.
#pragma once

#include "analyzers/flow_key.h"
#include "analyzers/segment_index.h"

#define FLOW_SET_MAX (4u << 20) // 400 MB

struct flow_span {
	uint64_t start_ns, end_ns, packets;
	bool chosen; // else it is only here to be told from one that is
	bool open;   // it had not ended when it was counted: more of it may lie within its times
};

struct flow_set;

// seed: unknown to whoever sends packets. 0 or -ENOMEM.
int flow_set_new(uint64_t seed, struct flow_set **ret_set);
void flow_set_free(struct flow_set *s);
// Spans of one key in the order in which they ended. 0, -ENOMEM, or -ENOBUFS: more than FLOW_SET_MAX.
int flow_set_add(struct flow_set *s, const struct flow_key *key, const struct flow_span *span);
// Whether this packet is of a chosen flow. Counts it.
bool flow_set_take(struct flow_set *s, const struct flow_key *key, uint64_t ts_ns);
// False when the frame holds no packet that flow_set_take must see.
bool flow_set_may_be_in(const struct flow_set *s, const struct indexed_frame *frame);
// False when none is chosen; else between which moments all of them lie.
bool flow_set_times(const struct flow_set *s, uint64_t *ret_first_ns, uint64_t *ret_last_ns);
uint32_t flow_set_chosen(const struct flow_set *s);

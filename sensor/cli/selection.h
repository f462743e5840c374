// SPDX-License-Identifier: Apache-2.0
// Which packets of a recording somebody wants: those that a pcap expression accepts, that lie between two moments, and
// that belong to a flow which the filter chooses, at any depth of tags and tunnels; all of it must hold. And of which
// frames an index says that they can hold such packets. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "analyzers/flow_set.h"
#include "analyzers/packet_flows.h"
#include "analyzers/segment_index.h"
#include "sealtap/error.h"
#include "sensor/cli/flow_filter.h"
#include "sensor/cli/index_terms.h"
#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/filter/filter.h"

struct selection { // zero, with flows.to_ns at UINT64_MAX, wants every packet
	struct filter *filter;
	struct index_terms derived; // of the expression: every packet has these
	struct flow_filter flows;
	struct flow_set *set; // what flows.apps and flows.names chose; NULL when they are not asked for
	bool by_records;      // that the recording keeps
	struct packet_flows *packet_flows;
	struct packet_keys keys;
	uint64_t seed;
	uint64_t left_out; // fragments of wanted packets that came before their first one and could not be told
};

// Compiles it; "" is any packet.
int selection_set_expression(struct selection *s, const char *expression, struct error *e);
// When all options are taken: 0 or a negative errno with e.
int selection_begin(struct selection *s, struct error *e);
void selection_release(struct selection *s);
// Drops the flows that were found: none is. 0 or -ENOMEM.
int selection_forget(struct selection *s);
// Must have been called for the link type of every lane. -EINVAL when the expression makes no sense for it.
int selection_prepare(struct selection *s, uint32_t linktype, struct error *e);
// Of every packet that is read, in the order of lane_merge.
bool selection_wants(struct selection *s, uint32_t linktype, const struct commit_packet *packet);
// False when no packet in the frame can be wanted.
bool selection_may_want(const struct selection *s, const struct indexed_frame *frame);
// False when no packet between these two moments can be wanted.
bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns);

// SPDX-License-Identifier: Apache-2.0
// Which packets of a recording somebody wants: a pcap expression, hosts, ports and flows at any depth of tags and
// tunnels, a time range; all of it must hold. And of which frames an index says that they can hold such packets. One
// thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "analyzers/packet_keys.h"
#include "analyzers/segment_index.h"
#include "sealtap/error.h"
#include "sensor/cli/index_terms.h"
#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/filter/filter.h"

struct selection { // zero, with to_ns at UINT64_MAX, wants every packet
	struct filter *filter;
	struct index_terms keys;    // which every packet has; of hosts, ports and flows asked for
	struct index_terms derived; // and of the expression
	struct packet_keys packet;
	uint64_t from_ns; // the first moment wanted
	uint64_t to_ns;   // and the last
};

// Compiles it; "" is any packet.
int selection_set_expression(struct selection *s, const char *expression, struct error *e);
// 0, or -EINVAL with e. A host is a number, not a name.
int selection_add_host(struct selection *s, const char *address, struct error *e);
int selection_add_port(struct selection *s, const char *port, struct error *e);
int selection_add_community_id(struct selection *s, const char *id, struct error *e);
void selection_release(struct selection *s);
// Must have been called for the link type of every lane. -EINVAL when the expression makes no sense for it.
int selection_prepare(struct selection *s, uint32_t linktype, struct error *e);
bool selection_wants(struct selection *s, uint32_t linktype, const struct commit_packet *packet);
// False when no packet between these two moments can be wanted.
bool selection_may_want(const struct selection *s, const struct indexed_frame *frame);
bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns);

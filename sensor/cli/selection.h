// SPDX-License-Identifier: Apache-2.0
// Which packets of a recording somebody wants: a pcap expression and a time range, all of which must hold. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/filter/filter.h"

struct selection {
	struct filter *filter; // NULL: any packet
	uint64_t from_ns;      // the first moment wanted
	uint64_t to_ns;        // and the last
};

// Compiles the expression; "" is any packet.
int selection_init(struct selection *s, const char *expression, struct error *e);
void selection_release(struct selection *s);
// Must have been called for the link type of every lane. -EINVAL when the expression makes no sense for it.
int selection_prepare(struct selection *s, uint32_t linktype, struct error *e);
bool selection_wants(const struct selection *s, uint32_t linktype, const struct commit_packet *packet);
// False when no packet between these two moments can be wanted.
bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns);

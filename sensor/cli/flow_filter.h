// SPDX-License-Identifier: Apache-2.0
// Which flow records a person wants to see. All that is given must match.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/flow.h"

struct flow_filter {
	bool has_host;
	uint8_t host[FLOW_ADDR_LEN];
	uint8_t host_version;
	unsigned host_bits; // of a prefix; 32 or 128: one address
	bool has_port, has_proto;
	uint16_t port;
	uint8_t proto;
	const char *app; // protocol or application, either part of "TLS.Facebook"; letter case does not count
	const char *community_id;
	uint64_t from_ns, to_ns; // the flow was there at some time between them
};

// Takes one option, by its long name. 0, or -EINVAL with the reason.
int flow_filter_set(struct flow_filter *f, const char *option, const char *value, struct error *e);
bool flow_filter_matches(const struct flow_filter *f, const struct flow_record *record);

// SPDX-License-Identifier: Apache-2.0
// What makes two packets the same flow. The endpoint that is smaller as bytes stands first, so that both directions
// have one key and one hash. Pure, any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "analyzers/decode.h"

struct flow_key {
	uint8_t addr[2][FLOW_ADDR_LEN];
	uint16_t port[2]; // of ICMP: as icmp_ports says
	uint16_t vlan[FLOW_VLANS_MAX];
	uint32_t tunnel_id; // of VXLAN and Geneve; the others number each direction by itself
	uint8_t proto, ip_version;
	uint8_t tunnel;  // kind, and depth in the upper half
	uint8_t one_way; // ICMP that nothing answers: endpoints stand as sent
};
_Static_assert(sizeof(struct flow_key) == 48, "hashed as six words, without padding");

// Returns which endpoint of the key is the packet's source.
unsigned flow_key_make(const struct decoded_flow *packet, struct flow_key *ret_key);
// The key of the packets that a record is about.
void flow_key_of_record(const struct flow_record *record, struct flow_key *ret_key);
uint32_t flow_key_hash(const struct flow_key *key, uint64_t seed);
bool flow_key_equal(const struct flow_key *a, const struct flow_key *b);

// A pair of ports for ICMP, as Zeek and Community ID have it: type and the type that answers it, else type and code,
// and then true.
bool icmp_ports(uint8_t ip_version, uint8_t type, uint8_t code, uint16_t *ret_src, uint16_t *ret_dest);

// SPDX-License-Identifier: Apache-2.0
// What the parts of decode share: where they are in one packet. Not for others.
//
//   decode_link    Ethernet, VLAN, MPLS, PPPoE, PPP, cooked headers, loopback
//   decode_ip      IPv4, IPv6 and its extension headers, ports
//   decode_tunnel  what IP, UDP and GRE carry that is itself a packet
#pragma once

#include "analyzers/decode.h"
#include "sealtap/cursor.h"

struct decode_state {
	struct cursor at; // big-endian, to the end of what was captured of the present level
	struct decoded *out;
	unsigned headers;              // passed so far
	uint32_t wire_left;            // bytes on the wire from `at` to the end of the present level
	uint32_t level_bytes;          // on the wire, of the present level
	uint16_t vlan[FLOW_VLANS_MAX]; // of the present level
	uint8_t vlan_count;
	struct flow_tunnel tunnel; // around the present level
};

enum decode_step {
	STEP_DONE, // nothing more inside
	STEP_MALFORMED,
	STEP_NOT_IP,
	STEP_ETHERTYPE, // go on with decode_ethertype
	STEP_ETHERNET,
	STEP_IP, // version by its first nibble
	STEP_PPP,
};

// Takes one header off the front; false when there are too many, or it is not there.
bool decode_take(struct decode_state *s, size_t len, struct cursor *ret_header);
// The next nibble without taking it; 0 when nothing is left.
unsigned decode_peek_nibble(const struct decode_state *s);

enum decode_step decode_link(struct decode_state *s, uint32_t linktype, uint16_t *ret_ethertype);
enum decode_step decode_ethernet(struct decode_state *s, uint16_t *ret_ethertype);
enum decode_step decode_ethertype(struct decode_state *s, uint16_t *ethertype);
enum decode_step decode_ppp(struct decode_state *s, uint16_t *ret_ethertype);
// Adds a flow to out, and says what its payload is.
enum decode_step decode_ip(struct decode_state *s, uint16_t *ret_ethertype);
// `at` stands behind the header of flow's protocol, or at the start of it for protocols without ports.
enum decode_step decode_tunnel(struct decode_state *s, const struct decoded_flow *flow, uint16_t *ret_ethertype);

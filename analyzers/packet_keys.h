// SPDX-License-Identifier: Apache-2.0
// What one packet can be asked for by an index: hosts, ports, conversations and Community IDs, as 64-bit keys. A packet
// that a pcap expression's `host` or `port` accepts has the key of that host or port (it reads headers where libpcap
// reads them, contradictory or not), and so has every level that decode finds in it: tags and tunnels hide nothing.
// Pure, any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "analyzers/decode.h"

struct packet_keys {
	uint64_t key[8 * DECODE_FLOWS_MAX];
	unsigned count;
	struct decoded decoded;
};

void packet_keys_make(
        uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen, struct packet_keys *ret_keys);

uint64_t key_of_host(uint8_t ip_version, const uint8_t addr[FLOW_ADDR_LEN]); // IPv4: four bytes, the rest zero
uint64_t key_of_port(uint16_t port);
// Whether there are keys of a protocol's ports.
bool key_has_ports(uint8_t proto);
// Of two different hosts and their ports, whichever port is whose.
uint64_t key_of_conversation(uint8_t ip_version, const uint8_t a[FLOW_ADDR_LEN], const uint8_t b[FLOW_ADDR_LEN],
        uint16_t port_a, uint16_t port_b);
uint64_t key_of_community_id(const char *id);
// Of fragments but the first, which do not have the ports of their flow.
#define KEY_OF_FRAGMENT 0xc3a5c85c97cb3127u
// Of packets that could not be read and yet may be what an expression accepts: a block that holds it holds anything.
#define KEY_OF_ANYTHING 0x9ae16a3b2f90404fu

// SPDX-License-Identifier: Apache-2.0
// From the bytes of one packet to the flows that it belongs to: the outermost one and, where it is a tunnel, those
// inside. Pure: no state, no allocation, any thread. Every read goes through the cursor, and headers are counted: a
// packet that stacks more of them than DECODE_HEADERS_MAX is malformed from there on.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/flow.h"

#define DECODE_HEADERS_MAX 32u // link, VLAN, MPLS, IP and extension headers, tunnel headers: of one packet together
#define DECODE_FLOWS_MAX 5u    // the outermost and four inside each other

enum decode_end {
	DECODE_IP,           // at least one flow
	DECODE_NOT_IP,       // ARP, LLDP and so on: no flow, nothing wrong
	DECODE_LINK_UNKNOWN, // a link type that is not decoded
	DECODE_MALFORMED,    // the outermost IP header, or what is before it, is not whole or contradicts itself
};

// One IP packet, at one level of encapsulation. Pointers are into the captured bytes.
struct decoded_flow {
	uint8_t src[FLOW_ADDR_LEN], dest[FLOW_ADDR_LEN]; // IPv4: the first four bytes, the rest zero
	uint16_t src_port, dest_port;                    // TCP, UDP, SCTP, DCCP, UDP-Lite; else 0
	uint16_t vlan[FLOW_VLANS_MAX];                   // outermost first
	uint8_t vlan_count;
	uint8_t ip_version; // 4 or 6
	uint8_t proto;      // of the last header that could be followed
	uint8_t tcp_flags;
	bool tcp_whole;       // the fixed part of the TCP header makes sense and was captured; then
	uint32_t tcp_seq;     //
	uint32_t tcp_ack;     //
	uint32_t tcp_payload; //   bytes, by the length that the IP header states, also when fewer were captured
	uint8_t icmp_type, icmp_code;
	bool has_ports;            // ports, or type and code, are known
	bool fragment;             // a part of an IP packet; then
	bool fragment_first;       //   its first one, with the ports
	uint32_t fragment_id;      //
	const uint8_t *l3;         // the IP header
	uint32_t l3_len;           // captured bytes from there, without what lies behind the IP packet
	uint32_t ip_bytes;         // on the wire, with the IP header
	uint32_t ip_stated;        // the same as the IP header says it; ip_bytes where it says nothing
	uint32_t bytes;            // on the wire, with the link header of this level
	struct flow_tunnel tunnel; // kind FLOW_TUNNEL_NONE at the outermost level
};

struct decoded {
	struct decoded_flow flows[DECODE_FLOWS_MAX]; // outermost first
	unsigned count;
	enum decode_end end;
	bool inner_malformed; // a tunnel's content could not be followed to its end
};

// linktype is a LINKTYPE_ value; origlen is the length on the wire.
void decode_packet(
        uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen, struct decoded *ret_decoded);

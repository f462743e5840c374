// SPDX-License-Identifier: Apache-2.0
// IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200), and as much of the next header as a flow needs.
#include "analyzers/decode_state.h"

#define PROTO_HOPOPTS 0
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_DCCP 33
#define PROTO_ROUTING 43
#define PROTO_FRAGMENT 44
#define PROTO_AH 51
#define PROTO_ICMPV6 58
#define PROTO_DSTOPTS 60
#define PROTO_SCTP 132
#define PROTO_MOBILITY 135
#define PROTO_UDPLITE 136
#define PROTO_HIP 139
#define PROTO_SHIM6 140

// Leaves in `at` what the IP packet has captured, without link padding, and says how long it was on the wire.
// A stated length of 0, or beyond what the link carried, is that of a card that cuts packets after us: the rest counts.
static void bound(struct decode_state *s, struct decoded_flow *f, uint32_t stated)
{
	const uint32_t left = s->wire_left;

	f->ip_stated = stated == 0 ? left : stated;
	s->wire_left = stated == 0 || stated > left ? left : stated;
	if (cursor_left(&s->at) > s->wire_left)
		s->at.end = s->at.at + s->wire_left;
	f->ip_bytes = s->wire_left;
}

static bool ipv4(struct decode_state *s, struct decoded_flow *f)
{
	struct cursor h = cursor_over(s->at.at, cursor_left(&s->at), true);
	uint32_t header_len, total, fragment;
	const uint8_t *from, *to;

	header_len = (cursor_u8(&h) & 15) * 4u;
	cursor_u8(&h);
	total = cursor_u16(&h);
	f->fragment_id = cursor_u16(&h);
	fragment = cursor_u16(&h);
	cursor_u8(&h);
	f->proto = cursor_u8(&h);
	cursor_u16(&h);
	from = cursor_bytes(&h, 4);
	to = cursor_bytes(&h, 4);
	if (!from || !to || header_len < 20 || (total != 0 && total < header_len))
		return false;
	memcpy(f->src, from, 4);
	memcpy(f->dest, to, 4);
	f->ip_version = 4;
	f->fragment = (fragment & 0x3fff) != 0;
	f->fragment_first = f->fragment && (fragment & 0x1fff) == 0;
	bound(s, f, total);
	f->l3_len = (uint32_t)cursor_left(&s->at);
	return decode_take(s, header_len, &h);
}

static bool is_extension(uint8_t proto)
{
	switch (proto) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

// One extension header; false when it is not whole.
static bool extension(struct decode_state *s, struct decoded_flow *f)
{
	struct cursor h;
	size_t len;
	uint16_t fragment;

	if (cursor_left(&s->at) < 8)
		return false;
	if (f->proto == PROTO_FRAGMENT)
		len = 8;
	else if (f->proto == PROTO_AH)
		len = (s->at.at[1] + 2u) * 4;
	else
		len = (s->at.at[1] + 1u) * 8;
	if (!decode_take(s, len, &h))
		return false;
	if (f->proto == PROTO_FRAGMENT) {
		f->proto = cursor_u8(&h);
		cursor_u8(&h);
		fragment = cursor_u16(&h);
		f->fragment_id = cursor_u32(&h);
		f->fragment = (fragment & 0xfff9) != 0; // an "atomic" one is whole
		f->fragment_first = f->fragment && (fragment & 0xfff8) == 0;
		return true;
	}
	f->proto = cursor_u8(&h);
	return true;
}

static bool ipv6(struct decode_state *s, struct decoded_flow *f)
{
	struct cursor h = cursor_over(s->at.at, cursor_left(&s->at), true);
	const uint8_t *from, *to;
	uint32_t payload;

	cursor_u32(&h);
	payload = cursor_u16(&h);
	f->proto = cursor_u8(&h);
	cursor_u8(&h);
	from = cursor_bytes(&h, 16);
	to = cursor_bytes(&h, 16);
	if (!from || !to)
		return false;
	memcpy(f->src, from, 16);
	memcpy(f->dest, to, 16);
	f->ip_version = 6;
	bound(s, f, payload == 0 ? 0 : payload + 40);
	f->l3_len = (uint32_t)cursor_left(&s->at);
	if (!decode_take(s, 40, &h))
		return false;
	// What cannot be followed leaves a flow of the extension header's number.
	while (is_extension(f->proto) && (!f->fragment || f->fragment_first))
		if (!extension(s, f))
			break;
	return true;
}

static uint32_t tcp(struct decode_state *s, struct decoded_flow *f)
{
	struct cursor h = cursor_over(s->at.at, cursor_left(&s->at), true);
	const uint32_t before = (uint32_t)(s->at.at - f->l3);
	uint32_t header_len;

	cursor_u32(&h);
	f->tcp_seq = cursor_u32(&h);
	f->tcp_ack = cursor_u32(&h);
	header_len = (cursor_u8(&h) >> 4) * 4u;
	f->tcp_flags = cursor_u8(&h);
	if (!cursor_ok(&h)) {
		f->tcp_flags = 0;
		return 4;
	}
	f->tcp_whole = header_len >= 20 && f->ip_stated >= before + header_len;
	f->tcp_payload = f->tcp_whole ? f->ip_stated - before - header_len : 0;
	return header_len;
}

// Ports of what has them. A header that is cut short leaves a flow without.
static void transport(struct decode_state *s, struct decoded_flow *f)
{
	struct cursor h;
	uint32_t header_len;

	switch (f->proto) {
	case PROTO_TCP:
		header_len = tcp(s, f);
		break;
	case PROTO_UDP:
	case PROTO_UDPLITE:
		header_len = 8;
		break;
	case PROTO_SCTP:
	case PROTO_DCCP:
		header_len = 12;
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		if (cursor_left(&s->at) < 2)
			return;
		f->icmp_type = s->at.at[0];
		f->icmp_code = s->at.at[1];
		f->has_ports = true;
		return;
	default:
		return;
	}
	if (cursor_left(&s->at) < 4)
		return;
	h = cursor_over(s->at.at, 4, true);
	f->src_port = cursor_u16(&h);
	f->dest_port = cursor_u16(&h);
	f->has_ports = true;
	if (header_len >= 4)
		decode_take(s, header_len, &h);
}

enum decode_step decode_ip(struct decode_state *s, uint16_t *ret_ethertype)
{
	struct decoded *out = s->out;
	struct decoded_flow *f;
	const uint8_t *l3 = s->at.at;
	const uint32_t link_bytes = s->level_bytes - (s->wire_left < s->level_bytes ? s->wire_left : s->level_bytes);
	unsigned version = decode_peek_nibble(s);

	if (out->count == DECODE_FLOWS_MAX)
		return STEP_MALFORMED;
	f = &out->flows[out->count];
	memset(f, 0, sizeof(*f));
	if (version == 4 ? !ipv4(s, f) : version == 6 ? !ipv6(s, f) : true)
		return STEP_MALFORMED;
	f->l3 = l3;
	f->bytes = out->count == 0 ? s->level_bytes : link_bytes + f->ip_bytes;
	f->tunnel = s->tunnel;
	f->vlan_count = s->vlan_count;
	memcpy(f->vlan, s->vlan, sizeof(f->vlan));
	out->count++;
	if (f->fragment && !f->fragment_first)
		return STEP_DONE;
	transport(s, f);
	return decode_tunnel(s, f, ret_ethertype);
}

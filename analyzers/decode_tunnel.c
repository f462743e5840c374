// SPDX-License-Identifier: Apache-2.0
// Packets inside packets: IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784, 2890, 2637), ERSPAN I to III, VXLAN (RFC
// 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281). What does not look like one is left alone: a port number alone
// makes no tunnel.
#include "analyzers/decode_state.h"

#define PROTO_IPIP 4
#define PROTO_UDP 17
#define PROTO_IPV6 41
#define PROTO_GRE 47

#define PORT_GTPU 2152
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472
#define PORT_GENEVE 6081

#define GRE_ERSPAN 0x88be
#define GRE_ERSPAN_III 0x22eb
#define GRE_PPP 0x880b

// What follows is inside. vlan tags of the level before are not those of this one.
static void enter(struct decode_state *s, const struct decoded_flow *around, enum flow_tunnel_kind kind, uint32_t id)
{
	s->tunnel = (struct flow_tunnel){.kind = (uint8_t)kind,
	        .id = id,
	        .ip_version = around->ip_version,
	        .depth = (uint8_t)(around->tunnel.depth + 1)};
	memcpy(s->tunnel.src, around->src, FLOW_ADDR_LEN);
	memcpy(s->tunnel.dest, around->dest, FLOW_ADDR_LEN);
	s->vlan_count = 0;
	s->level_bytes = s->wire_left;
}

static enum decode_step gre(struct decode_state *s, const struct decoded_flow *f, uint16_t *ret_ethertype)
{
	struct cursor h;
	uint32_t key = 0;
	uint16_t flags, type;

	if (!decode_take(s, 4, &h))
		return STEP_MALFORMED;
	flags = cursor_u16(&h);
	type = cursor_u16(&h);
	if ((flags & 7) > 1 || (flags & 0x4000))
		return STEP_DONE; // no such version; source routes, which nobody sends
	if ((flags & 0x8000) && !decode_take(s, 4, &h))
		return STEP_MALFORMED;
	if (flags & 0x2000) {
		if (!decode_take(s, 4, &h))
			return STEP_MALFORMED;
		key = cursor_u32(&h);
	}
	if ((flags & 0x1000) && !decode_take(s, 4, &h))
		return STEP_MALFORMED;
	if ((flags & 7) == 1) { // PPTP
		if ((flags & 0x0080) && !decode_take(s, 4, &h))
			return STEP_MALFORMED;
		if (type != GRE_PPP || cursor_left(&s->at) == 0)
			return STEP_DONE; // an acknowledgement alone
		enter(s, f, FLOW_TUNNEL_GRE, key);
		return STEP_PPP;
	}
	if (type == GRE_ERSPAN || type == GRE_ERSPAN_III) {
		uint32_t session = 0;

		// Type I is GRE without a sequence number and has no header of its own.
		if (type == GRE_ERSPAN_III || (flags & 0x1000)) {
			bool platform;

			if (!decode_take(s, type == GRE_ERSPAN_III ? 12 : 8, &h))
				return STEP_MALFORMED;
			session = cursor_u32(&h) & 0x3ff;
			cursor_bytes(&h, 7);
			platform = type == GRE_ERSPAN_III && (cursor_u8(&h) & 1);
			if (platform && !decode_take(s, 8, &h))
				return STEP_MALFORMED;
		}
		enter(s, f, FLOW_TUNNEL_ERSPAN, session);
		return STEP_ETHERNET;
	}
	enter(s, f, FLOW_TUNNEL_GRE, key);
	*ret_ethertype = type;
	return type == GRE_PPP ? STEP_PPP : STEP_ETHERTYPE;
}

static enum decode_step vxlan(struct decode_state *s, const struct decoded_flow *f)
{
	struct cursor h;
	uint32_t id;

	// The flag that the VNI is valid; the other flag bits of the first byte are of extensions that are not used
	// with this port, but for group policy.
	if (cursor_left(&s->at) < 8 || (s->at.at[0] & 0x7f) != 0x08)
		return STEP_DONE;
	if (!decode_take(s, 8, &h))
		return STEP_MALFORMED;
	cursor_u32(&h);
	id = cursor_u32(&h) >> 8;
	enter(s, f, FLOW_TUNNEL_VXLAN, id);
	return STEP_ETHERNET;
}

static enum decode_step geneve(struct decode_state *s, const struct decoded_flow *f, uint16_t *ret_ethertype)
{
	struct cursor h;
	size_t options;
	uint32_t id;

	if (cursor_left(&s->at) < 8 || s->at.at[0] >> 6 != 0)
		return STEP_DONE;
	options = (s->at.at[0] & 0x3f) * 4u;
	if (!decode_take(s, 8, &h))
		return STEP_MALFORMED;
	cursor_u16(&h);
	*ret_ethertype = cursor_u16(&h);
	id = cursor_u32(&h) >> 8;
	if (options > 0 && !decode_take(s, options, &h))
		return STEP_MALFORMED;
	enter(s, f, FLOW_TUNNEL_GENEVE, id);
	return STEP_ETHERTYPE;
}

static enum decode_step gtpu(struct decode_state *s, const struct decoded_flow *f)
{
	struct cursor h;
	uint32_t id;
	uint8_t flags, next = 0;

	// Version 1, protocol type GTP, and a message that carries a packet.
	if (cursor_left(&s->at) < 8 || (s->at.at[0] & 0xf0) != 0x30 || s->at.at[1] != 0xff)
		return STEP_DONE;
	if (!decode_take(s, 8, &h))
		return STEP_MALFORMED;
	flags = cursor_u8(&h);
	cursor_bytes(&h, 3);
	id = cursor_u32(&h);
	if (flags & 0x07) {
		if (!decode_take(s, 4, &h))
			return STEP_MALFORMED;
		cursor_bytes(&h, 3);
		next = flags & 0x04 ? cursor_u8(&h) : 0;
	}
	while (next != 0) {
		size_t len = cursor_left(&s->at) > 0 ? s->at.at[0] * 4u : 0;

		if (len == 0 || !decode_take(s, len, &h))
			return STEP_MALFORMED;
		cursor_bytes(&h, len - 1);
		next = cursor_u8(&h);
	}
	if (decode_peek_nibble(s) != 4 && decode_peek_nibble(s) != 6)
		return STEP_DONE; // Ethernet, or unstructured data: the header does not tell
	enter(s, f, FLOW_TUNNEL_GTPU, id);
	return STEP_IP;
}

static enum decode_step ip_in_ip(struct decode_state *s, const struct decoded_flow *f, unsigned version)
{
	if (cursor_left(&s->at) == 0)
		return STEP_DONE;
	enter(s, f, FLOW_TUNNEL_IPIP, 0);
	return decode_peek_nibble(s) == version ? STEP_IP : STEP_MALFORMED;
}

enum decode_step decode_tunnel(struct decode_state *s, const struct decoded_flow *flow, uint16_t *ret_ethertype)
{
	switch (flow->proto) {
	case PROTO_IPIP:
		return ip_in_ip(s, flow, 4);
	case PROTO_IPV6:
		return ip_in_ip(s, flow, 6);
	case PROTO_GRE:
		return gre(s, flow, ret_ethertype);
	case PROTO_UDP:
		break;
	default:
		return STEP_DONE;
	}
	switch (flow->dest_port) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
		return vxlan(s, flow);
	case PORT_GENEVE:
		return geneve(s, flow, ret_ethertype);
	case PORT_GTPU:
		return gtpu(s, flow);
	default:
		return flow->src_port == PORT_GTPU ? gtpu(s, flow) : STEP_DONE;
	}
}

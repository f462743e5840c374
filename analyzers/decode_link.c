// SPDX-License-Identifier: Apache-2.0
// Everything before the IP header. Numbers are those of IEEE 802, of RFC 2516 (PPPoE), 3032 (MPLS), 1661 (PPP) and of
// the list of LINKTYPE_ values at tcpdump.org.
#include "analyzers/decode_state.h"

#define LINKTYPE_NULL 0
#define LINKTYPE_ETHERNET 1
#define LINKTYPE_PPP 9
#define LINKTYPE_PPP_HDLC 50
#define LINKTYPE_RAW 101
#define LINKTYPE_C_HDLC 104
#define LINKTYPE_LOOP 108
#define LINKTYPE_LINUX_SLL 113
#define LINKTYPE_IPV4 228
#define LINKTYPE_IPV6 229
#define LINKTYPE_LINUX_SLL2 276

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100
#define ETHERTYPE_MPLS 0x8847
#define ETHERTYPE_MPLS_MULTICAST 0x8848
#define ETHERTYPE_PPPOE_SESSION 0x8864
#define ETHERTYPE_TRANSPARENT_ETHERNET 0x6558

#define LENGTH_MAX 1500 // up to here the field is a length and not a type

enum decode_step decode_ethernet(struct decode_state *s, uint16_t *ret_ethertype)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	struct cursor h;

	if (!decode_take(s, 14, &h))
		return STEP_MALFORMED;
	cursor_bytes(&h, 12);
	*ret_ethertype = cursor_u16(&h);
	if (*ret_ethertype > LENGTH_MAX)
		return STEP_ETHERTYPE;
	// IEEE 802.3: only SNAP carries IP.
	if (cursor_left(&s->at) < 8 || memcmp(s->at.at, snap, sizeof(snap)) != 0)
		return STEP_NOT_IP;
	if (!decode_take(s, 8, &h))
		return STEP_MALFORMED;
	cursor_bytes(&h, 6);
	*ret_ethertype = cursor_u16(&h);
	return STEP_ETHERTYPE;
}

static enum decode_step vlan(struct decode_state *s, uint16_t *ethertype)
{
	struct cursor h;
	uint16_t tci;

	if (!decode_take(s, 4, &h))
		return STEP_MALFORMED;
	tci = cursor_u16(&h);
	*ethertype = cursor_u16(&h);
	if (s->vlan_count < FLOW_VLANS_MAX)
		s->vlan[s->vlan_count++] = tci & 0xfff;
	return STEP_ETHERTYPE;
}

// Labels up to the bottom of the stack; nothing says what follows but its first nibble (RFC 4928, 4385).
static enum decode_step mpls(struct decode_state *s)
{
	struct cursor h;
	uint32_t label;

	do {
		if (!decode_take(s, 4, &h))
			return STEP_MALFORMED;
		label = cursor_u32(&h);
	} while (!(label & 0x100));
	switch (decode_peek_nibble(s)) {
	case 4:
	case 6:
		return STEP_IP;
	case 0:
		return decode_take(s, 4, &h) ? STEP_ETHERNET : STEP_MALFORMED; // a pseudowire's control word
	default:
		return STEP_NOT_IP;
	}
}

static enum decode_step pppoe(struct decode_state *s)
{
	struct cursor h;

	if (!decode_take(s, 6, &h) || cursor_u8(&h) != 0x11)
		return STEP_MALFORMED;
	return STEP_PPP;
}

enum decode_step decode_ppp(struct decode_state *s, uint16_t *ret_ethertype)
{
	struct cursor h;
	uint16_t protocol;

	// Address and control field, where the link has not left them out.
	if (cursor_left(&s->at) >= 2 && s->at.at[0] == 0xff && s->at.at[1] == 0x03 && !decode_take(s, 2, &h))
		return STEP_MALFORMED;
	// An odd first byte: the protocol field is compressed to one.
	if (!decode_take(s, cursor_left(&s->at) > 0 && (s->at.at[0] & 1) ? 1 : 2, &h))
		return STEP_MALFORMED;
	protocol = cursor_left(&h) == 1 ? cursor_u8(&h) : cursor_u16(&h);
	switch (protocol) {
	case 0x0021:
		*ret_ethertype = ETHERTYPE_IPV4;
		return STEP_ETHERTYPE;
	case 0x0057:
		*ret_ethertype = ETHERTYPE_IPV6;
		return STEP_ETHERTYPE;
	case 0x0281:
		*ret_ethertype = ETHERTYPE_MPLS;
		return STEP_ETHERTYPE;
	default:
		return STEP_NOT_IP;
	}
}

enum decode_step decode_ethertype(struct decode_state *s, uint16_t *ethertype)
{
	switch (*ethertype) {
	case ETHERTYPE_IPV4:
		return decode_peek_nibble(s) == 4 ? STEP_IP : STEP_MALFORMED;
	case ETHERTYPE_IPV6:
		return decode_peek_nibble(s) == 6 ? STEP_IP : STEP_MALFORMED;
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_QINQ_OLD:
		return vlan(s, ethertype);
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
		return mpls(s);
	case ETHERTYPE_PPPOE_SESSION:
		return pppoe(s);
	case ETHERTYPE_TRANSPARENT_ETHERNET:
		return STEP_ETHERNET;
	default:
		return STEP_NOT_IP;
	}
}

// The address family of whoever captured, in his byte order. Both readings are tried; they cannot be mixed up.
static enum decode_step loopback(struct decode_state *s)
{
	struct cursor h;
	uint32_t family;

	if (!decode_take(s, 4, &h))
		return STEP_MALFORMED;
	family = cursor_u32(&h);
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:  // everywhere
	case 10: // IPv6: Linux,
	case 24: // NetBSD and OpenBSD,
	case 28: // FreeBSD,
	case 30: // Darwin
		return STEP_IP;
	default:
		return STEP_NOT_IP;
	}
}

static enum decode_step cooked(struct decode_state *s, size_t len, size_t type_at, uint16_t *ret_ethertype)
{
	struct cursor h;

	if (!decode_take(s, len, &h))
		return STEP_MALFORMED;
	cursor_bytes(&h, type_at);
	*ret_ethertype = cursor_u16(&h);
	return STEP_ETHERTYPE;
}

enum decode_step decode_link(struct decode_state *s, uint32_t linktype, uint16_t *ret_ethertype)
{
	switch (linktype) {
	case LINKTYPE_ETHERNET:
		return STEP_ETHERNET;
	case LINKTYPE_NULL:
	case LINKTYPE_LOOP:
		return loopback(s);
	case 12: // DLT_RAW of most systems, and of OpenBSD, as they stand in files of older programs
	case 14:
	case LINKTYPE_RAW:
	case LINKTYPE_IPV4:
	case LINKTYPE_IPV6:
		return STEP_IP;
	case LINKTYPE_LINUX_SLL:
		return cooked(s, 16, 14, ret_ethertype);
	case LINKTYPE_LINUX_SLL2:
		return cooked(s, 20, 0, ret_ethertype);
	case LINKTYPE_PPP:
		return STEP_PPP;
	case LINKTYPE_PPP_HDLC:
	case LINKTYPE_C_HDLC:
		// Cisco's header when it begins with its address for unicast or broadcast, else PPP.
		if (cursor_left(&s->at) > 0 && (s->at.at[0] == 0x0f || s->at.at[0] == 0x8f))
			return cooked(s, 4, 2, ret_ethertype);
		return STEP_PPP;
	default:
		*ret_ethertype = UINT16_MAX;
		return STEP_NOT_IP;
	}
}

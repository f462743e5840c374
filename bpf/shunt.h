/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
// Flow shunting (`--cutoff`): of which frames a flow consists, and when the rest of it is not recorded. The XDP
// program, the recorder and the flow meter all decide by this page, so that they cannot differ. Pure; any thread, any
// CPU. It compiles for BPF: only the kernel's UAPI types, no calls, loops that unroll, every read checked against the
// end.
//
// A frame takes part only if it is Ethernet with at most two VLAN tags and then whole headers of IPv4 or of IPv6
// without extension headers, no fragment, and TCP or UDP that is no tunnel's port. Anything else is recorded.
#pragma once

#include <linux/types.h>

#define SHUNT_INLINE static inline __attribute__((always_inline))

#define SHUNT_FLOWS 131072u // that one table remembers: of an interface with xdp, of an RX thread otherwise
// A flow that was silent for so long has ended: what comes then is a new one. As in the flow table.
#define SHUNT_IDLE_TCP_NS 300000000000ULL
#define SHUNT_IDLE_UDP_NS 60000000000ULL

#define SHUNT_ETHER_BYTES 14
#define SHUNT_TAG_BYTES 4
#define SHUNT_PROTO_TCP 6
#define SHUNT_PROTO_UDP 17
#define SHUNT_FIN 0x01
#define SHUNT_SYN 0x02
#define SHUNT_RST 0x04
#define SHUNT_ACK 0x10

// The smaller endpoint stands first, so that both directions have one key. Hashed as bytes: there is no padding.
struct shunt_key {
	__u32 addr[2][4]; // as on the wire; IPv4: the first word, the rest zero
	__u16 port[2];
	__u16 vlan[2]; // ids, outermost first; 0: none
	__u8 proto;
	__u8 ip_version;
	__u16 zero;
};

struct shunt_frame {
	struct shunt_key key;
	__u32 tcp_flags; // 0 of UDP
};

// What is remembered of a flow.
struct shunt_flow {
	__u64 bytes; // recorded since it began, on the wire
	__u64 last_ns;
};

SHUNT_INLINE __u16 shunt_be16(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

SHUNT_INLINE int shunt_is_tag(__u16 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

// What is inside is not one flow: GTP-U, VXLAN (and its port before it had one), Geneve.
SHUNT_INLINE int shunt_is_tunnel(__u16 port)
{
	return port == 2152 || port == 4789 || port == 8472 || port == 6081;
}

// 1 with the flow of an Ethernet frame, or 0: it takes no part. tpid not 0: a tag that was taken out of the frame, to
// be put back behind the MAC addresses.
SHUNT_INLINE int shunt_read(const __u8 *at, const __u8 *end, __u16 tpid, __u16 tci, struct shunt_frame *ret_frame)
{
	struct shunt_key *k = &ret_frame->key;
	__u32 a[4] = {0}, b[4] = {0}, header = 0, stated;
	__u16 type, from, to;
	int swap = 0, tags = 0;

	__builtin_memset(ret_frame, 0, sizeof(*ret_frame));
	if (at + SHUNT_ETHER_BYTES > end)
		return 0;
	type = shunt_be16(at + 12);
	at += SHUNT_ETHER_BYTES;
	if (tpid) {
		k->vlan[0] = tci & 0xfff;
		tags = 1;
	}
	for (int i = 0; i < 2; i++) {
		if (!shunt_is_tag(type))
			break;
		if (tags == 2 || at + SHUNT_TAG_BYTES > end)
			return 0;
		if (tags == 0)
			k->vlan[0] = shunt_be16(at) & 0xfff;
		else
			k->vlan[1] = shunt_be16(at) & 0xfff;
		tags++;
		type = shunt_be16(at + 2);
		at += SHUNT_TAG_BYTES;
	}
	if (type == 0x0800) {
		if (at + 20 > end || at[0] >> 4 != 4)
			return 0;
		header = (at[0] & 15) * 4u;
		stated = shunt_be16(at + 2);
		if (header < 20 || (shunt_be16(at + 6) & 0x3fff)) // more fragments, or not the first
			return 0;
		k->proto = at[9];
		k->ip_version = 4;
		__builtin_memcpy(a, at + 12, 4);
		__builtin_memcpy(b, at + 16, 4);
		at += header;
	} else if (type == 0x86dd) {
		if (at + 40 > end || at[0] >> 4 != 6)
			return 0;
		stated = shunt_be16(at + 4);
		k->proto = at[6];
		k->ip_version = 6;
		__builtin_memcpy(a, at + 8, 16);
		__builtin_memcpy(b, at + 24, 16);
		at += 40;
	} else {
		return 0;
	}
	// A stated length of 0 is that of a packet which the card is yet to cut. What a branch reads it checks itself:
	// the verifier of Linux 6.1 does not carry that from one to the next.
	if (k->proto == SHUNT_PROTO_TCP) {
		if (at + 20 > end || (stated != 0 && stated < header + 20))
			return 0;
		ret_frame->tcp_flags = at[13];
	} else if (k->proto == SHUNT_PROTO_UDP) {
		if (at + 8 > end || (stated != 0 && stated < header + 8))
			return 0;
		if (shunt_is_tunnel(shunt_be16(at)) || shunt_is_tunnel(shunt_be16(at + 2)))
			return 0;
	} else {
		return 0;
	}
	from = shunt_be16(at);
	to = shunt_be16(at + 2);
	if (a[0] != b[0])
		swap = a[0] > b[0];
	else if (a[1] != b[1])
		swap = a[1] > b[1];
	else if (a[2] != b[2])
		swap = a[2] > b[2];
	else if (a[3] != b[3])
		swap = a[3] > b[3];
	else
		swap = from > to;
	if (swap) {
		__builtin_memcpy(k->addr[0], b, sizeof(b));
		__builtin_memcpy(k->addr[1], a, sizeof(a));
		k->port[0] = to;
		k->port[1] = from;
	} else {
		__builtin_memcpy(k->addr[0], a, sizeof(a));
		__builtin_memcpy(k->addr[1], b, sizeof(b));
		k->port[0] = from;
		k->port[1] = to;
	}
	return 1;
}

// The frame begins a new flow on the ports of the old one: a connection is opened, or it was silent for long.
SHUNT_INLINE int shunt_begins(const struct shunt_flow *flow, const struct shunt_frame *frame, __u64 now_ns)
{
	const __u64 idle_ns = frame->key.proto == SHUNT_PROTO_TCP ? SHUNT_IDLE_TCP_NS : SHUNT_IDLE_UDP_NS;

	return (frame->tcp_flags & (SHUNT_SYN | SHUNT_ACK)) == SHUNT_SYN ||
	       (now_ns > flow->last_ns && now_ns - flow->last_ns >= idle_ns);
}

// The frame is part of what is left out: the flow has reached the cutoff. How a connection begins and ends is recorded
// all the same.
SHUNT_INLINE int shunt_beyond(const struct shunt_flow *flow, const struct shunt_frame *frame, __u64 cutoff_bytes)
{
	return flow->bytes >= cutoff_bytes && !(frame->tcp_flags & (SHUNT_SYN | SHUNT_FIN | SHUNT_RST));
}

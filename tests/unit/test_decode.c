// SPDX-License-Identifier: Apache-2.0
// Packets put together by hand, header by header, from the RFCs: which flows each has. Every packet is also cut at
// every byte, and followed by bytes that are not its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/decode.h"

struct made {
	uint8_t bytes[4096];
	size_t len;
};

static void put(struct made *m, const void *bytes, size_t len)
{
	assert_true(m->len + len <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}
#define PUT(m, ...) put(m, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void ether(struct made *m, uint16_t type)
{
	PUT(m, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, type >> 8, type & 255);
}

// 10.0.0.<from> to 10.0.0.<to>, with len bytes behind the header.
static void ip4(struct made *m, uint8_t proto, uint16_t len, uint8_t from, uint8_t to, uint16_t fragment)
{
	len += 20;
	PUT(m, 0x45, 0, len >> 8, len & 255, 0x12, 0x34, fragment >> 8, fragment & 255, 64, proto, 0, 0, 10, 0, 0, from,
	        10, 0, 0, to);
}

static void ip6(struct made *m, uint8_t next, uint16_t len)
{
	uint8_t address[16] = {0x20, 1, 0xd, 0xb8};

	PUT(m, 0x60, 0, 0, 0, len >> 8, len & 255, next, 64);
	address[15] = 1;
	put(m, address, 16);
	address[15] = 2;
	put(m, address, 16);
}

static void udp(struct made *m, uint16_t from, uint16_t to, uint16_t len)
{
	len += 8;
	PUT(m, from >> 8, from & 255, to >> 8, to & 255, len >> 8, len & 255, 0, 0);
}

static void tcp(struct made *m, uint16_t from, uint16_t to, uint8_t flags)
{
	PUT(m, from >> 8, from & 255, to >> 8, to & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0);
}

// An exact copy, so that a sanitizer sees a read beyond it.
static void decode_exact(uint32_t linktype, const uint8_t *bytes, size_t len, uint32_t origlen, struct decoded *d)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	decode_packet(linktype, copy, (uint32_t)len, origlen, d);
	for (unsigned i = 0; i < d->count; i++) {
		assert_true(d->flows[i].l3 >= copy && d->flows[i].l3 + d->flows[i].l3_len <= copy + len);
		assert_true(d->flows[i].ip_bytes <= d->flows[i].bytes);
	}
	free(copy);
}

static void decode_made(uint32_t linktype, const struct made *m, struct decoded *d)
{
	struct decoded cut;

	for (size_t len = 0; len < m->len; len++)
		decode_exact(linktype, m->bytes, len, (uint32_t)m->len, &cut);
	decode_exact(linktype, m->bytes, m->len, (uint32_t)m->len, d);
}

static void expect(const struct decoded *d, unsigned i, uint8_t proto, uint16_t from, uint16_t to, uint32_t ip_bytes)
{
	assert_int_equal(d->end, DECODE_IP);
	assert_true(i < d->count);
	assert_int_equal(d->flows[i].proto, proto);
	assert_int_equal(d->flows[i].src_port, from);
	assert_int_equal(d->flows[i].dest_port, to);
	assert_int_equal(d->flows[i].ip_bytes, ip_bytes);
}

static void a_frame_with_two_tags_and_padding(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x88a8);
	PUT(&m, 0x20, 100, 0x81, 0, 0, 200, 8, 0);
	ip4(&m, 17, 12, 1, 2, 0x4000);
	udp(&m, 1000, 53, 4);
	PUT(&m, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0); // padding
	decode_made(1, &m, &d);
	assert_int_equal(d.count, 1);
	expect(&d, 0, 17, 1000, 53, 32);
	assert_int_equal(d.flows[0].bytes, m.len);
	assert_int_equal(d.flows[0].l3_len, 32);
	assert_int_equal(d.flows[0].vlan_count, 2);
	assert_int_equal(d.flows[0].vlan[0], 100);
	assert_int_equal(d.flows[0].vlan[1], 200);
	assert_int_equal(d.flows[0].fragment, 0);
}

static void what_is_not_ip(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x0806);
	PUT(&m, 0, 1, 8, 0);
	decode_made(1, &m, &d);
	assert_int_equal(d.end, DECODE_NOT_IP);
	decode_exact(105, m.bytes, m.len, (uint32_t)m.len, &d);
	assert_int_equal(d.end, DECODE_LINK_UNKNOWN);
	m.bytes[12] = 8, m.bytes[13] = 0;
	decode_exact(1, m.bytes, m.len, (uint32_t)m.len, &d);
	assert_int_equal(d.end, DECODE_MALFORMED);
}

static void every_link_type(void **state)
{
	static const struct {
		uint32_t linktype;
		uint8_t len, bytes[20];
	} links[] = {
	        {0, 4, {2, 0, 0, 0}}, {0, 4, {0, 0, 0, 2}}, {9, 4, {0xff, 3, 0, 0x21}}, {9, 1, {0x21}},
	        {50, 4, {0xff, 3, 0, 0x21}}, {104, 4, {0x0f, 0, 8, 0}}, {108, 4, {0, 0, 0, 2}}, {12, 0, {0}},
	        {101, 0, {0}}, {228, 0, {0}}, {113, 16, {0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}},
	        {276, 20, {8, 0}}, {1, 14, {1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0}},
	        {1, 20, {1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0x47, 0, 0, 0, 64, 0, 0}}, // and 2 more below
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct made m = {.len = 0};
		struct decoded d;

		put(&m, links[i].bytes, links[i].len);
		if (links[i].len == 20 && links[i].linktype == 1)
			PUT(&m, 0x11, 64); // the second label, bottom of the stack
		ip4(&m, 6, 20, 1, 2, 0);
		tcp(&m, 1000, 80, TCP_SYN);
		decode_made(links[i].linktype, &m, &d);
		assert_int_equal(d.count, 1);
		expect(&d, 0, 6, 1000, 80, 40);
		assert_int_equal(d.flows[0].tcp_flags, TCP_SYN);
		assert_int_equal(d.flows[0].bytes, m.len);
	}
}

static void pppoe_and_a_pseudowire(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x8847);
	PUT(&m, 0, 1, 0x01, 64, 0, 0, 0, 0); // label, control word
	ether(&m, 0x8864);
	PUT(&m, 0x11, 0, 0, 1, 0, 42, 0, 0x21);
	ip4(&m, 6, 20, 1, 2, 0);
	tcp(&m, 1, 2, 0);
	decode_made(1, &m, &d);
	assert_int_equal(d.count, 1);
	expect(&d, 0, 6, 1, 2, 40);
}

static void ipv6_with_extension_headers(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x86dd);
	ip6(&m, 0, 8 + 8 + 16 + 8 + 20);
	PUT(&m, 60, 0, 1, 4, 0, 0, 0, 0);                         // hop-by-hop
	PUT(&m, 43, 0, 1, 4, 0, 0, 0, 0);                         // destination
	PUT(&m, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); // routing
	PUT(&m, 6, 0, 0, 0, 0, 0, 0, 9);                          // fragment header of a whole packet
	tcp(&m, 1000, 443, TCP_ACK);
	decode_made(1, &m, &d);
	assert_int_equal(d.count, 1);
	expect(&d, 0, 6, 1000, 443, 100);
	assert_false(d.flows[0].fragment);
	assert_int_equal(d.flows[0].ip_version, 6);
}

static void headers_without_end(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x86dd);
	ip6(&m, 60, 400 * 8);
	for (int i = 0; i < 400; i++)
		PUT(&m, 60, 0, 1, 4, 0, 0, 0, 0);
	decode_made(1, &m, &d);
	assert_int_equal(d.count, 1);
	expect(&d, 0, 60, 0, 0, 3240);
	m.len = 0;
	ether(&m, 0x8100);
	for (int i = 0; i < 500; i++)
		PUT(&m, 0, 1, 0x81, 0);
	decode_made(1, &m, &d);
	assert_int_equal(d.end, DECODE_MALFORMED);
	m.len = 0;
	for (int i = 0; i < 100; i++)
		ip4(&m, 4, (uint16_t)(20 * (99 - i)), 1, 2, 0);
	decode_made(101, &m, &d);
	assert_int_equal(d.count, DECODE_FLOWS_MAX);
	assert_true(d.inner_malformed);
}

static void fragments(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ip4(&m, 17, 16, 1, 2, 0x2000);
	udp(&m, 1000, 53, 100);
	PUT(&m, 1, 2, 3, 4, 5, 6, 7, 8);
	decode_made(101, &m, &d);
	expect(&d, 0, 17, 1000, 53, 36);
	assert_true(d.flows[0].fragment && d.flows[0].fragment_first && d.flows[0].has_ports);
	m.len = 0;
	ip4(&m, 17, 8, 1, 2, 0x0002);
	udp(&m, 7, 7, 0);
	decode_made(101, &m, &d);
	expect(&d, 0, 17, 0, 0, 28);
	assert_true(d.flows[0].fragment && !d.flows[0].fragment_first && !d.flows[0].has_ports);
	assert_int_equal(d.flows[0].fragment_id, 0x1234);
}

// What a tunnel has before its inner packet, and what it is called.
static const struct tunnel_case {
	enum flow_tunnel_kind kind;
	uint32_t id;
	uint8_t proto; // of the outer IP
	uint16_t port;
	bool ethernet; // inside
	uint8_t len, bytes[24];
} tunnels[] = {
        {FLOW_TUNNEL_IPIP, 0, 4, 0, false, 0, {0}},
        {FLOW_TUNNEL_GRE, 0, 47, 0, false, 4, {0, 0, 8, 0}},
        {FLOW_TUNNEL_GRE, 7, 47, 0, false, 16, {0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1}},
        {FLOW_TUNNEL_GRE, 0, 47, 0, true, 4, {0, 0, 0x65, 0x58}},
        {FLOW_TUNNEL_GRE, 0x50001, 47, 0, false, 14, {0x30, 1, 0x88, 0x0b, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0x21}},
        {FLOW_TUNNEL_ERSPAN, 0, 47, 0, true, 4, {0, 0, 0x88, 0xbe}},
        {FLOW_TUNNEL_ERSPAN, 5, 47, 0, true, 16, {0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 5, 0, 0, 0, 0}},
        {FLOW_TUNNEL_ERSPAN, 5, 47, 0, true, 20, {0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 5}},
        {FLOW_TUNNEL_VXLAN, 77, 17, 4789, true, 8, {8, 0, 0, 0, 0, 0, 77, 0}},
        {FLOW_TUNNEL_GENEVE, 78, 17, 6081, true, 8, {0, 0, 0x65, 0x58, 0, 0, 78, 0}},
        {FLOW_TUNNEL_GENEVE, 78, 17, 6081, false, 12, {1, 0, 8, 0, 0, 0, 78, 0, 1, 2, 3, 0}},
        {FLOW_TUNNEL_GTPU, 99, 17, 2152, false, 8, {0x30, 255, 0, 40, 0, 0, 0, 99}},
        {FLOW_TUNNEL_GTPU, 99, 17, 2152, false, 16, {0x34, 255, 0, 48, 0, 0, 0, 99, 0, 0, 0, 0x85, 1, 0, 0, 0}},
};

static void every_tunnel(void **state)
{
	for (size_t i = 0; i < sizeof(tunnels) / sizeof(tunnels[0]); i++) {
		const struct tunnel_case *t = &tunnels[i];
		const uint16_t inner = (uint16_t)(t->len + (t->ethernet ? 14 : 0) + 40);
		struct made m = {.len = 0};
		struct decoded d;

		ip4(&m, t->proto, (uint16_t)(inner + (t->port ? 8 : 0)), 1, 2, 0);
		if (t->port)
			udp(&m, 40000, t->port, inner);
		put(&m, t->bytes, t->len);
		if (t->ethernet)
			ether(&m, 0x0800);
		ip4(&m, 6, 20, 3, 4, 0);
		tcp(&m, 1000, 80, TCP_SYN);
		decode_made(101, &m, &d);
		assert_int_equal(d.count, 2);
		expect(&d, 1, 6, 1000, 80, 40);
		assert_int_equal(d.flows[0].tunnel.kind, FLOW_TUNNEL_NONE);
		assert_int_equal(d.flows[1].tunnel.kind, t->kind);
		assert_int_equal(d.flows[1].tunnel.id, t->id);
		assert_int_equal(d.flows[1].tunnel.depth, 1);
		assert_int_equal(d.flows[1].tunnel.src[3], 1);
		assert_int_equal(d.flows[1].bytes,
		        t->ethernet ? 54 : m.len - 20 - 8 * !!t->port - t->len + (t->len == 14 ? 2 : 0));
	}
}

// Numbers and payload of TCP: with options, by the length that IP states, and none where the header makes no sense.
static void tcp_headers(void **state)
{
	static const uint8_t head[] = {0, 1, 0, 2, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x80, TCP_ACK, 1, 0};
	struct made m = {.len = 0};
	struct decoded d;

	ether(&m, 0x0800);
	ip4(&m, 6, 32 + 7, 1, 2, 0);
	put(&m, head, sizeof(head));
	PUT(&m, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd');
	PUT(&m, 0, 0, 0); // padding of the link
	decode_made(1, &m, &d);
	assert_true(d.flows[0].tcp_whole);
	assert_int_equal(d.flows[0].tcp_seq, 0x89abcdef);
	assert_int_equal(d.flows[0].tcp_ack, 0xfedcba98);
	assert_int_equal(d.flows[0].tcp_payload, 7);
	// Cut in the options, when captured or, by a mirror port, before: as much as IP states.
	decode_exact(1, m.bytes, 14 + 20 + 14, (uint32_t)m.len, &d);
	assert_true(d.flows[0].tcp_whole);
	assert_int_equal(d.flows[0].tcp_payload, 7);
	decode_exact(1, m.bytes, 14 + 20 + 20, 14 + 20 + 20, &d);
	assert_int_equal(d.flows[0].tcp_payload, 7);
	decode_exact(1, m.bytes, 14 + 20 + 13, (uint32_t)m.len, &d);
	assert_false(d.flows[0].tcp_whole);
	assert_int_equal(d.flows[0].tcp_flags, 0);
	m.bytes[14 + 20 + 12] = 0x40; // a header shorter than headers are
	decode_made(1, &m, &d);
	assert_false(d.flows[0].tcp_whole);
	m.bytes[14 + 20 + 12] = 0xf0; // longer than the packet
	decode_made(1, &m, &d);
	assert_false(d.flows[0].tcp_whole);
	assert_int_equal(d.flows[0].tcp_payload, 0);
	m.bytes[14 + 20 + 12] = 0x80;
	m.bytes[14 + 2] = m.bytes[14 + 3] = 0; // as a card that cuts packets leaves it: to the end of the frame
	decode_made(1, &m, &d);
	assert_int_equal(d.flows[0].tcp_payload, 10);
	// Behind an extension header of IPv6.
	m.len = 0;
	ip6(&m, 0, 8 + 32 + 7);
	PUT(&m, 6, 0, 1, 4, 0, 0, 0, 0);
	put(&m, head, sizeof(head));
	PUT(&m, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 'p', 'a', 'y', 'l', 'o', 'a', 'd');
	decode_made(101, &m, &d);
	assert_true(d.flows[0].tcp_whole);
	assert_int_equal(d.flows[0].tcp_payload, 7);
}

static void lengths_that_are_not_true(void **state)
{
	struct made m = {.len = 0};
	struct decoded d;

	ip4(&m, 6, 20, 1, 2, 0);
	tcp(&m, 1, 2, 0);
	m.bytes[2] = m.bytes[3] = 0; // as a card that cuts packets leaves it
	decode_made(101, &m, &d);
	expect(&d, 0, 6, 1, 2, 40);
	m.bytes[2] = 0xff;
	decode_made(101, &m, &d);
	expect(&d, 0, 6, 1, 2, 40);
	// Captured 30 of 1500.
	m.bytes[2] = 1500 >> 8, m.bytes[3] = 1500 & 255;
	decode_exact(101, m.bytes, 30, 1500, &d);
	expect(&d, 0, 6, 1, 2, 1500);
	assert_int_equal(d.flows[0].l3_len, 30);
	m.bytes[2] = 0, m.bytes[3] = 19;
	decode_exact(101, m.bytes, m.len, (uint32_t)m.len, &d);
	assert_int_equal(d.end, DECODE_MALFORMED);
	m.bytes[3] = 40, m.bytes[0] = 0x44;
	decode_exact(101, m.bytes, m.len, (uint32_t)m.len, &d);
	assert_int_equal(d.end, DECODE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_frame_with_two_tags_and_padding),
	        cmocka_unit_test(what_is_not_ip),
	        cmocka_unit_test(every_link_type),
	        cmocka_unit_test(pppoe_and_a_pseudowire),
	        cmocka_unit_test(ipv6_with_extension_headers),
	        cmocka_unit_test(headers_without_end),
	        cmocka_unit_test(fragments),
	        cmocka_unit_test(every_tunnel),
	        cmocka_unit_test(tcp_headers),
	        cmocka_unit_test(lengths_that_are_not_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

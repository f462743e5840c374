// SPDX-License-Identifier: Apache-2.0
// Which packets make one flow and when it ends, by arithmetic on made-up times; how many flows fit into how much
// memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyzers/flow_table.h"

#define S 1000000000ull
#define START (1700000000 * S)

struct ended {
	uint64_t count[FLOW_REASONS];
	uint64_t pkts[FLOW_DIRECTIONS];
	struct flow last;
};

static void take(void *user, struct flow *flow, enum flow_reason reason)
{
	struct ended *e = user;

	e->count[reason]++;
	e->pkts[0] += flow->pkts[0];
	e->pkts[1] += flow->pkts[1];
	e->last = *flow;
}

static struct flow_table *table_new(struct ended *e, uint32_t flows_max)
{
	const struct flow_table_config config = {.flows_max = flows_max,
	        .seed = 42,
	        .idle_tcp_ns = 300 * S,
	        .idle_other_ns = 60 * S,
	        .close_ns = 5 * S,
	        .active_ns = 1800 * S,
	        .ended = take,
	        .user = e};
	struct flow_table *t;

	memset(e, 0, sizeof(*e));
	assert_int_equal(flow_table_new(&config, &t), 0);
	return t;
}

static struct decoded_flow packet(uint8_t proto, uint32_t from, uint32_t to, uint16_t from_port, uint16_t to_port)
{
	struct decoded_flow p = {
	        .proto = proto, .ip_version = 4, .has_ports = true, .src_port = from_port, .dest_port = to_port};

	memcpy(p.src, &from, 4);
	memcpy(p.dest, &to, 4);
	return p;
}

static enum flow_direction add(struct flow_table *t, struct decoded_flow p, uint64_t ts_ns, uint8_t tcp_flags)
{
	const struct flow_arrival a = {.ts_ns = ts_ns, .pkts = 1, .bytes = 60, .ip_bytes = 46};
	enum flow_direction direction;

	p.tcp_flags = tcp_flags;
	flow_table_add(t, &p, &a, &direction);
	return direction;
}

static uint32_t now(const struct flow_table *t)
{
	struct flow_table_stats s;

	flow_table_stats(t, &s);
	return s.now;
}

static void both_directions_are_one_flow(void **state)
{
	const struct decoded_flow there = packet(17, 9, 5, 1000, 53), back = packet(17, 5, 9, 53, 1000);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	assert_int_equal(add(t, there, START, 0), FLOW_TO_SERVER);
	assert_int_equal(add(t, back, START + 1, 0), FLOW_TO_CLIENT);
	assert_int_equal(add(t, there, START + 2, 0), FLOW_TO_SERVER);
	assert_int_equal(now(t), 1);
	flow_table_end(t);
	assert_int_equal(e.count[FLOW_REASON_SHUTDOWN], 1);
	assert_int_equal(e.pkts[FLOW_TO_SERVER], 2);
	assert_int_equal(e.pkts[FLOW_TO_CLIENT], 1);
	assert_int_equal(e.last.bytes[FLOW_TO_SERVER], 120);
	assert_int_equal(e.last.start_ns, START);
	assert_int_equal(e.last.last_ns, START + 2);
	flow_table_free(t);
}

static void what_tells_flows_apart(void **state)
{
	struct decoded_flow p = packet(17, 9, 5, 1000, 53);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	add(t, p, START, 0);
	p.vlan[0] = 7, p.vlan_count = 1;
	add(t, p, START, 0);
	p.tunnel = (struct flow_tunnel){.kind = FLOW_TUNNEL_VXLAN, .id = 1, .depth = 1};
	add(t, p, START, 0);
	p.tunnel.id = 2;
	add(t, p, START, 0);
	p.tunnel = (struct flow_tunnel){.kind = FLOW_TUNNEL_GTPU, .id = 1, .depth = 1};
	add(t, p, START, 0);
	assert_int_equal(now(t), 5);
	p.tunnel.id = 2; // each direction of a GTP tunnel has its own
	add(t, p, START, 0);
	assert_int_equal(now(t), 5);
	flow_table_free(t);
}

static void an_answer_first_makes_its_sender_the_server(void **state)
{
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	assert_int_equal(add(t, packet(6, 5, 9, 80, 1000), START, TCP_SYN | TCP_ACK), FLOW_TO_CLIENT);
	assert_int_equal(add(t, packet(6, 9, 5, 1000, 80), START, TCP_ACK), FLOW_TO_SERVER);
	flow_table_free(t);
}

static void icmp_requests_and_answers_are_one_flow(void **state)
{
	struct decoded_flow p = packet(1, 9, 5, 0, 0);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	p.icmp_type = 8;
	assert_int_equal(add(t, p, START, 0), FLOW_TO_SERVER);
	p = packet(1, 5, 9, 0, 0);
	assert_int_equal(add(t, p, START, 0), FLOW_TO_CLIENT);
	p.icmp_type = 3, p.icmp_code = 1; // nothing answers
	add(t, p, START, 0);
	assert_int_equal(now(t), 2);
	flow_table_free(t);
}

static void silence_ends_a_flow(void **state)
{
	const struct decoded_flow p = packet(17, 9, 5, 1000, 53), other = packet(17, 9, 5, 1001, 53);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	add(t, p, START, 0);
	add(t, p, START + 59 * S, 0);
	assert_int_equal(now(t), 1);
	assert_int_equal(e.count[FLOW_REASON_TIMEOUT], 0);
	add(t, p, START + 119 * S, 0); // 60 s later: another flow
	assert_int_equal(e.count[FLOW_REASON_TIMEOUT], 1);
	assert_int_equal(e.last.pkts[0], 2);
	assert_int_equal(now(t), 1);
	// No packet of its own: the wheel finds it, a little later.
	add(t, other, START + 178 * S, 0);
	assert_int_equal(now(t), 2);
	add(t, other, START + 182 * S, 0);
	assert_int_equal(now(t), 1);
	assert_int_equal(e.count[FLOW_REASON_TIMEOUT], 2);
	flow_table_free(t);
}

static void a_closed_connection_ends_sooner(void **state)
{
	const struct decoded_flow there = packet(6, 9, 5, 1000, 80), back = packet(6, 5, 9, 80, 1000);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);

	add(t, there, START, TCP_SYN);
	add(t, back, START + 1, TCP_SYN | TCP_ACK);
	add(t, there, START + 2, TCP_ACK | TCP_FIN);
	add(t, back, START + 3, TCP_ACK | TCP_FIN);
	add(t, there, START + 4, TCP_ACK);
	assert_int_equal(now(t), 1);
	add(t, packet(6, 1, 2, 3, 4), START + 4 * S, TCP_SYN);
	assert_int_equal(now(t), 2);
	add(t, packet(6, 1, 2, 3, 4), START + 9 * S, TCP_SYN);
	assert_int_equal(now(t), 1);
	assert_int_equal(e.last.pkts[0] + e.last.pkts[1], 5);
	assert_true(e.last.closed);
	// RST closes at once; the same ports open again.
	add(t, packet(6, 1, 2, 3, 4), START + 9 * S, TCP_RST);
	add(t, packet(6, 1, 2, 3, 4), START + 9 * S, TCP_SYN);
	assert_int_equal(e.count[FLOW_REASON_TCP_REUSE], 1);
	assert_int_equal(now(t), 1);
	flow_table_free(t);
}

static void a_long_flow_has_several_records(void **state)
{
	const struct decoded_flow p = packet(17, 9, 5, 1000, 53);
	struct ended e;
	struct flow_table *t = table_new(&e, 16);
	uint64_t sent = 0;

	for (uint64_t s = 0; s < 4000; s += 10, sent++)
		add(t, p, START + s * S, 0);
	assert_int_equal(e.count[FLOW_REASON_ACTIVE_TIMEOUT], 2);
	flow_table_end(t);
	assert_int_equal(e.pkts[0], sent);
	assert_int_equal(e.last.start_ns, START + 3600 * S);
	flow_table_free(t);
}

static void a_full_table_ends_what_was_unused_longest(void **state)
{
	struct ended e;
	struct flow_table *t = table_new(&e, 100);

	for (uint16_t i = 0; i < 100; i++)
		add(t, packet(17, 9, 5, i, 53), START + i, 0);
	add(t, packet(17, 9, 5, 0, 53), START + 100, 0); // used again
	add(t, packet(17, 9, 5, 100, 53), START + 101, 0);
	assert_int_equal(e.count[FLOW_REASON_FORCED], 1);
	assert_true(e.last.key.port[0] == 1 || e.last.key.port[1] == 1);
	assert_int_equal(now(t), 100);
	flow_table_end(t);
	assert_int_equal(e.pkts[0], 102);
	flow_table_free(t);
}

// Hostile times: to the end of time and back, up and down. Nothing is counted twice or lost.
static void wrong_times_lose_nothing(void **state)
{
	static const uint64_t times[] = {START, UINT64_MAX, START + 1, 0, START + 2, UINT64_MAX - 1, 5, START + 70 * S,
	        START + 3, START + 4000 * S, START};
	struct ended e;
	struct flow_table *t = table_new(&e, 64);
	uint64_t sent = 0;

	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++, sent++)
			add(t, packet(6, 9, 5, (uint16_t)(round % 70), 53), times[i], 0);
	}
	// After all that, time works again.
	add(t, packet(17, 9, 5, 999, 53), START, 0);
	add(t, packet(17, 9, 5, 999, 53), START + 30 * S, 0);
	sent += 2;
	flow_table_end(t);
	assert_int_equal(e.pkts[0], sent);
	assert_int_equal(now(t), 0);
	flow_table_free(t);
}

static long resident_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

static void a_million_flows_at_once(void **state)
{
	struct ended e;
	const long before = resident_kib();
	struct flow_table *t = table_new(&e, FLOW_TABLE_FLOWS);
	struct flow_table_stats s;

	// 100,000 a second for ten seconds, each with two packets.
	for (uint32_t i = 0; i < 1000000; i++) {
		add(t, packet(17, 1 + i, 5, 1000, 53), START + i * (S / 100000), 0);
		add(t, packet(17, 5, 1 + i, 53, 1000), START + i * (S / 100000), 0);
	}
	flow_table_stats(t, &s);
	assert_int_equal(s.now, 1000000);
	assert_int_equal(s.ended[FLOW_REASON_FORCED], 0);
	assert_true(resident_kib() - before < 300 * 1024);
	flow_table_end(t);
	assert_int_equal(e.count[FLOW_REASON_SHUTDOWN], 1000000);
	assert_int_equal(e.pkts[0], 1000000);
	assert_int_equal(e.pkts[1], 1000000);
	flow_table_free(t);
}

// Half a minute of 100,000 connections a second, each closed: those of the last seconds are in the table, none is
// pushed out.
static void new_flows_without_end(void **state)
{
	struct ended e;
	struct flow_table *t = table_new(&e, FLOW_TABLE_FLOWS);
	struct flow_table_stats s;
	const uint32_t flows = 3000000;

	for (uint32_t i = 0; i < flows; i++) {
		const uint64_t ts = START + i * (S / 100000);

		add(t, packet(6, 1 + i, 5, 1000, 80), ts, TCP_SYN);
		add(t, packet(6, 5, 1 + i, 80, 1000), ts, TCP_SYN | TCP_ACK | TCP_FIN);
		add(t, packet(6, 1 + i, 5, 1000, 80), ts, TCP_ACK | TCP_FIN);
	}
	flow_table_stats(t, &s);
	assert_int_equal(s.begun, flows);
	assert_int_equal(s.ended[FLOW_REASON_FORCED], 0);
	assert_true(s.now_max < 900000);
	assert_int_equal(s.ended[FLOW_REASON_TIMEOUT] + s.now, flows);
	flow_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_directions_are_one_flow),
	        cmocka_unit_test(what_tells_flows_apart),
	        cmocka_unit_test(an_answer_first_makes_its_sender_the_server),
	        cmocka_unit_test(icmp_requests_and_answers_are_one_flow),
	        cmocka_unit_test(silence_ends_a_flow),
	        cmocka_unit_test(a_closed_connection_ends_sooner),
	        cmocka_unit_test(a_long_flow_has_several_records),
	        cmocka_unit_test(a_full_table_ends_what_was_unused_longest),
	        cmocka_unit_test(wrong_times_lose_nothing),
	        cmocka_unit_test(a_million_flows_at_once),
	        cmocka_unit_test(new_flows_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Payload that was acknowledged and not seen, in connections written out by hand, whose loss is arithmetic; and more
// holes and flows than there is room for.
#include <stdlib.h>

#include "tests/unit/tcp_talk.h"

static const uint32_t anywhere[] = {1000, UINT32_MAX - 1500, 0x80000000u - 700, 0};

static uint64_t implausible(const struct talk *t)
{
	struct tcp_gap_stats s;

	tcp_gaps_stats(t->gaps, &s);
	return s.implausible;
}

static void nothing_lost(struct talk t)
{
	struct tcp_gap_stats s;

	open_it(&t);
	C(ACK, 0, 300, 0);
	S(ACK, 0, 1000, 300);
	S(ACK, 1000, 1000, 300);
	C(ACK, 300, 0, 2000);
	S(ACK | FIN, 2000, 500, 300);
	C(ACK | FIN, 300, 0, 2501);
	S(ACK, 2501, 0, 301);
	expect(&t, 0, 2500, 0);
	expect_of(&t, FLOW_TO_SERVER, 0, 300, 0);
	assert_int_equal(implausible(&t), 0);
	// Nothing follows a FIN.
	S(ACK, 2600, 100, 301);
	C(ACK, 301, 0, 2700);
	expect(&t, 0, 2500, 0);
	assert_int_equal(implausible(&t), 1);
	tcp_gap_next_record(t.gaps, t.state);
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.one_sided_bytes, 0);
	talk_free(&t);
}

static void counted_when_acknowledged(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	// 1000 to 2000 was dropped
	S(ACK, 2000, 1000, 0);
	C(ACK, 0, 0, 1000);
	expect(&t, 0, 1000, 0);
	C(ACK, 0, 0, 3000);
	expect(&t, 1000, 3000, 1);
	// and in one more place
	S(ACK, 3500, 500, 0);
	C(ACK, 0, 0, 4000);
	expect(&t, 1500, 4000, 2);
	talk_free(&t);
}

static void retransmitted_in_time(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	S(ACK, 2000, 1000, 0);
	C(ACK, 0, 0, 1000);
	S(ACK, 1000, 1000, 0);
	C(ACK, 0, 0, 3000);
	S(ACK, 1000, 1000, 0); // and once more
	expect(&t, 0, 3000, 0);
	talk_free(&t);
}

static void retransmitted_in_part(struct talk t)
{
	open_it(&t);
	S(ACK, 3000, 1000, 0);
	S(ACK, 1000, 500, 0);
	C(ACK, 0, 0, 4000);
	expect(&t, 2500, 4000, 2); // 0 to 1000, 1500 to 3000
	S(ACK, 1400, 200, 0);
	expect(&t, 2400, 4000, 2);
	S(ACK, 2000, 10, 0);
	expect(&t, 2390, 4000, 3);
	S(ACK, 0, 3000, 0);
	expect(&t, 0, 4000, 0);
	talk_free(&t);
}

// Lanes are not read in step: the acknowledgements come first.
static void data_after_its_acknowledgement(struct talk t)
{
	open_it(&t);
	C(ACK, 0, 0, 1000);
	C(ACK, 0, 0, 2000);
	C(ACK, 0, 0, 3001);
	expect(&t, 3000, 3000, 1); // the number 3000 may be a FIN's
	S(ACK, 0, 1000, 0);
	expect(&t, 2000, 3000, 1);
	S(ACK, 2000, 1000, 0);
	expect(&t, 1000, 3000, 1);
	S(ACK | FIN, 3000, 0, 0);
	S(ACK, 1000, 1000, 0);
	expect(&t, 0, 3000, 0);
	talk_free(&t);
}

// All that one side says comes before all that the other says.
static void one_lane_before_the_other(struct talk t)
{
	C(SYN, 0, 0, 0);
	C(ACK, 0, 0, 0);
	C(ACK, 0, 100, 0);
	C(ACK, 100, 0, 2000);
	C(ACK | FIN, 100, 0, 2501);
	S(SYN | ACK, 0, 0, 0);
	S(ACK, 0, 1000, 100);
	S(ACK, 1000, 1000, 100);
	S(ACK | FIN, 2000, 500, 101);
	expect(&t, 0, 2500, 0);
	expect_of(&t, FLOW_TO_SERVER, 0, 100, 0);
	talk_free(&t);
}

// The same, and the first payload is lost.
static void one_lane_before_the_other_and_a_loss(struct talk t)
{
	C(SYN, 0, 0, 0);
	C(ACK, 0, 0, 0);
	C(ACK, 100, 100, 0);
	C(ACK, 200, 0, 2000);
	S(SYN | ACK, 0, 0, 0);
	S(ACK, 1000, 1000, 200);
	expect(&t, 1000, 2000, 1);
	expect_of(&t, FLOW_TO_SERVER, 100, 200, 1);
	talk_free(&t);
}

static void lost_at_the_end(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	// 1000 to 1700, and the FIN
	C(ACK | FIN, 0, 0, 1701);
	expect(&t, 700, 1700, 1);
	talk_free(&t);
	t = talk_new(5);
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1701);
	S(ACK | FIN, 1700, 0, 0); // the FIN is seen
	expect(&t, 700, 1700, 1);
	talk_free(&t);
	t = talk_new(5);
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1001); // a FIN was lost, and no payload
	S(ACK, 1001, 0, 1);
	expect(&t, 0, 1000, 0);
	talk_free(&t);
	t = talk_new(5);
	open_it(&t);
	S(ACK, 0, 1000, 0);
	S(ACK, 1001, 0, 1); // the same, told by its sender
	C(ACK, 0, 0, 1001);
	expect(&t, 0, 1000, 0);
	talk_free(&t);
	t = talk_new(5);
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1701);
	S(ACK | FIN, 1701, 0, 1);
	expect(&t, 701, 1701, 1);
	talk_free(&t);
}

static void one_byte_that_is_no_fin(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 10, 0);
	C(ACK, 0, 0, 11);
	expect(&t, 0, 10, 0);
	S(ACK, 11, 10, 0); // something follows
	expect(&t, 1, 11, 1);
	C(ACK, 0, 0, 22);
	C(ACK, 0, 0, 23); // more is acknowledged
	expect(&t, 2, 22, 2);
	talk_free(&t);
}

static void keep_alives_are_nothing(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	for (unsigned i = 0; i < 5; i++) {
		S(ACK, 999, i % 2, 0); // with the last byte, or without
		C(ACK, 0, 0, 1000);
		C(ACK, UINT32_MAX, 1, 1000);
		S(ACK, 1000, 0, 0);
	}
	expect(&t, 0, 1000, 0);
	expect_of(&t, FLOW_TO_SERVER, 0, 0, 0);
	assert_int_equal(implausible(&t), 0);
	talk_free(&t);
}

static void the_capture_begins_in_the_middle(struct talk t)
{
	C(ACK, 500, 0, 10000); // of data that was there before
	C(ACK, 500, 0, 12000);
	S(ACK, 15000, 1000, 500);
	C(ACK, 500, 0, 13000);
	expect(&t, 0, 0, 0);
	C(ACK, 500, 0, 16000);
	expect(&t, 0, 1000, 0);
	// from here on it is known
	S(ACK, 17000, 1000, 500);
	C(ACK, 500, 0, 18000);
	expect(&t, 1000, 3000, 1);
	talk_free(&t);
}

// What is on its way when the capture begins was not lost: a retransmission is the first that is seen of it.
static void the_capture_begins_in_a_retransmission(struct talk t)
{
	S(ACK, 1000, 1000, 500);
	C(ACK, 500, 0, 60000);
	S(ACK, 60000, 1000, 500);
	C(ACK, 500, 0, 61000);
	expect(&t, 0, 1000, 0);
	talk_free(&t);
	t = talk_new(9);
	S(ACK, 1000, 1000, 500);
	S(ACK, 60000, 1000, 500);
	C(ACK, 500, 0, 61000);
	expect(&t, 0, 1000, 0);
	talk_free(&t);
	t = talk_new(9);
	C(ACK, 500, 0, 12000);
	S(ACK, 11000, 1000, 500); // acknowledged before the capture began
	C(ACK, 500, 0, 12000);
	expect(&t, 0, 0, 0);
	talk_free(&t);
}

static void the_opening_was_lost(struct talk t)
{
	C(SYN, 0, 0, 0);
	C(ACK, 0, 100, 0); // no SYN of the server
	S(ACK, 0, 1000, 100);
	C(ACK, 100, 0, 1000);
	S(ACK, 2000, 1000, 100);
	C(ACK, 100, 0, 3000);
	expect(&t, 1000, 3000, 1);
	expect_of(&t, FLOW_TO_SERVER, 0, 100, 0);
	talk_free(&t);
}

// The first packet after the opening is lost: the opening says where it began.
static void the_first_payload_was_lost(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 444);
	expect_of(&t, FLOW_TO_SERVER, 443, 443, 1);
	C(ACK, 444, 10, 1000);
	expect_of(&t, FLOW_TO_SERVER, 444, 444, 1);
	talk_free(&t);
}

static void a_tap_on_one_side_is_no_loss(struct talk t)
{
	struct tcp_gap_stats s;

	C(SYN, 0, 0, 0);
	C(ACK, 0, 0, 0);
	C(ACK, 0, 100, 0);
	C(ACK, 100, 0, 50000);
	C(ACK, 100, 0, 50001 + (1u << 30));
	assert_int_equal(implausible(&t), 1);
	C(ACK, 100, 0, 60001 + (1u << 30)); // and goes on there
	C(ACK | FIN, 100, 0, 90001 + (1u << 30));
	expect_of(&t, FLOW_TO_CLIENT, 0, 90000, 0); // with the FIN, of which nobody can tell
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.acked_bytes, 0);
	tcp_gap_next_record(t.gaps, t.state);
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.missed_bytes, 0);
	assert_int_equal(s.one_sided_bytes, 90000);
	C(ACK, 101, 0, 90051 + (1u << 30));
	tcp_gap_end(t.gaps, &t.state);
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.one_sided_bytes, 90050);
	talk_free(&t);
}

// A side of which data alone is seen goes round the numbers several times.
static void nobody_acknowledges(struct talk t)
{
	uint64_t acked;

	open_it(&t);
	for (uint64_t at = 0; at < 10ull << 30; at += 1u << 20)
		S(ACK, (uint32_t)at, 1u << 20, 0);
	expect(&t, 0, 0, 0);
	C(ACK, 0, 0, (uint32_t)(10ull << 30)); // and then somebody does
	acked = tcp_gap_of(t.gaps, t.state)[FLOW_TO_CLIENT].acked_bytes;
	assert_in_range(acked, 1, 1u << 30);
	expect(&t, 0, acked, 0);
	talk_free(&t);
}

static void numbers_go_round(struct talk t)
{
	uint64_t missed = 0, at = 0;
	uint32_t gaps = 0;

	open_it(&t);
	for (; at < 10ull << 30; at += 1u << 20) {
		if (at % (7u << 20) != 0)
			S(ACK, (uint32_t)at, 1u << 20, 0);
		else
			missed += 1u << 20, gaps++;
		C(ACK, 0, 0, (uint32_t)(at + (1u << 20)));
	}
	S(ACK, (uint32_t)at, 1, 0);
	expect(&t, missed, at, gaps);
	// What is sent now is not what was missing at the same number, rounds ago.
	for (uint64_t to = at + (5ull << 30); at < to; at += 1u << 20) {
		S(ACK, (uint32_t)at, 1u << 20, 0);
		C(ACK, 0, 0, (uint32_t)(at + (1u << 20)));
	}
	expect(&t, missed, at, gaps);
	talk_free(&t);
}

static void an_acknowledgement_too_far_ahead(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000 + (1u << 31) - 5);
	C(ACK, 0, 0, 1001 + (1u << 24));
	expect(&t, 0, 0, 0);
	assert_int_equal(implausible(&t), 2);
	C(ACK, 0, 0, 1000);
	S(ACK, 1000, 1000, 0);
	C(ACK, 0, 0, 2000);
	expect(&t, 0, 2000, 0);
	talk_free(&t);
}

// Nothing is seen for a while, and then the acknowledgement comes first.
static void a_long_loss(struct talk t)
{
	const uint32_t lost = 500u << 20;

	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, lost);
	expect(&t, 0, 0, 0);
	S(ACK, lost, 1000, 0);
	C(ACK, 0, 0, lost + 1000);
	expect(&t, lost - 1000, lost + 1000, 1);
	talk_free(&t);
}

// One that could be true is believed until the sender shows otherwise.
static void a_forged_acknowledgement(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	C(ACK, 0, 0, 1u << 24);
	S(ACK, 1000, 1000, 0);
	S(ACK | FIN, 2000, 1000, 0);
	expect(&t, 0, 3000, 0);
	C(ACK, 0, 0, 3001);
	C(ACK, 0, 0, 1u << 24);
	expect(&t, 0, 3000, 0);
	assert_int_equal(implausible(&t), 1);
	talk_free(&t);
}

static void data_far_away_begins_anew(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	S(ACK, 1u << 31, 1000, 0);
	S(ACK, 1000, 1000, 0);
	C(ACK, 0, 0, 2000);
	expect(&t, 0, 2000, 0);
	assert_int_equal(implausible(&t), 2);
	talk_free(&t);
}

static void resets_say_nothing(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	C(RST, 70000, 0, 0);
	S(RST | ACK, 70000, 0, 70000);
	expect(&t, 0, 1000, 0);
	expect_of(&t, FLOW_TO_SERVER, 0, 0, 0);
	talk_free(&t);
}

static void the_same_ports_again(struct talk t)
{
	open_it(&t);
	S(ACK, 0, 1000, 0);
	S(ACK, 2000, 1000, 0);
	C(ACK, 0, 0, 3000);
	expect(&t, 1000, 3000, 1);
	// A late copy of the opening changes nothing,
	C(SYN, 0, 0, 0);
	S(SYN | ACK, 0, 0, 0);
	S(ACK, 3000, 100, 0);
	C(ACK, 0, 0, 3100);
	expect(&t, 1000, 3100, 1);
	// a new one, of which the answer is lost, everything.
	t.base[0] += 5u << 20, t.base[1] += 600u << 20;
	C(SYN, 0, 0, 0);
	C(ACK, 0, 100, 0);
	S(ACK, 0, 1000, 100);
	C(ACK, 100, 0, 1000);
	expect(&t, 1000, 4100, 1);
	expect_of(&t, FLOW_TO_SERVER, 0, 100, 0);
	talk_free(&t);
}

static void each_record_counts_for_itself(struct talk t)
{
	struct tcp_gap_stats s;

	open_it(&t);
	S(ACK, 1000, 1000, 0);
	S(ACK, 3000, 1000, 0);
	C(ACK, 0, 0, 2500);
	expect(&t, 1500, 2500, 2);
	tcp_gap_next_record(t.gaps, t.state);
	expect_of(&t, FLOW_TO_CLIENT, 0, 0, 0);
	C(ACK, 0, 0, 4000);
	expect_of(&t, FLOW_TO_CLIENT, 500, 1500, 1);
	S(ACK, 0, 2600, 0); // too late for what was told, in time for the rest
	expect_of(&t, FLOW_TO_CLIENT, 400, 1500, 1);
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.missed_bytes, 1900);
	assert_int_equal(s.acked_bytes, 4000);
	assert_int_equal(s.gaps, 3);
	talk_free(&t);
}

static void parts_of_packets_are_passed_over(struct talk t)
{
	struct decoded_flow part = {.proto = 6, .tcp_whole = true, .tcp_flags = ACK, .tcp_payload = 100};

	open_it(&t);
	S(ACK, 0, 1000, 0);
	C(ACK, 0, 0, 1000);
	part.fragment = part.fragment_first = true; // 100 bytes of a packet of 1000
	part.tcp_seq = t.base[1] + 1000;
	part.tcp_ack = t.base[0];
	tcp_gap_packet(t.gaps, &t.state, FLOW_TO_CLIENT, t.flags, &part);
	C(ACK, 0, 0, 1500);
	C(ACK, 0, 0, 2000);
	S(ACK, 2000, 1000, 0);
	C(ACK, 0, 0, 3000);
	expect(&t, 0, 2000, 0);
	part.fragment = part.fragment_first = part.tcp_whole = false; // cut in the header
	tcp_gap_packet(t.gaps, &t.state, FLOW_TO_CLIENT, t.flags, &part);
	C(ACK, 0, 0, 4000);
	S(ACK, 4000, 1000, 0);
	C(ACK, 0, 0, 5000);
	expect(&t, 0, 3000, 0);
	talk_free(&t);
}

static void by_hand(void **state)
{
	void (*const cases[])(struct talk) = {nothing_lost, counted_when_acknowledged, retransmitted_in_time,
	        retransmitted_in_part, data_after_its_acknowledgement, one_lane_before_the_other,
	        one_lane_before_the_other_and_a_loss, lost_at_the_end, one_byte_that_is_no_fin, keep_alives_are_nothing,
	        the_capture_begins_in_the_middle, the_capture_begins_in_a_retransmission, the_opening_was_lost,
	        the_first_payload_was_lost, a_tap_on_one_side_is_no_loss, nobody_acknowledges, numbers_go_round,
	        an_acknowledgement_too_far_ahead, a_long_loss, a_forged_acknowledgement, data_far_away_begins_anew,
	        resets_say_nothing, the_same_ports_again, each_record_counts_for_itself,
	        parts_of_packets_are_passed_over};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t k = 0; k < sizeof(anywhere) / sizeof(*anywhere); k++)
			cases[i](talk_new(anywhere[k]));
}

// More holes than there is room for: what was counted stays, and the rest is named.
static void many_holes(void **state)
{
	struct talk t = talk_new(1);
	struct tcp_gap_stats s;

	open_it(&t);
	for (uint32_t i = 0; i < 1000; i++)
		S(ACK, 2000 * i + 1000, 1000, 0);
	C(ACK, 0, 0, 2000000);
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.missed_bytes, 1000 * TCP_GAP_FLOW_HOLES_MAX);
	assert_int_equal(s.holes_dropped, 1000 - TCP_GAP_FLOW_HOLES_MAX);
	// Acknowledged ones go first, and cost nothing.
	for (uint32_t i = 1000; i < 2000; i++) {
		S(ACK, 2000 * i + 1000, 1000, 0);
		C(ACK, 0, 0, 2000 * i + 2000);
	}
	tcp_gaps_stats(t.gaps, &s);
	assert_int_equal(s.missed_bytes, 1000 * (1000 + TCP_GAP_FLOW_HOLES_MAX));
	assert_int_equal(s.holes_dropped, 1000 - TCP_GAP_FLOW_HOLES_MAX);
	talk_free(&t);
}

#define FLOWS 1000u // 1998 / 2 + 1

// More flows than there is room for: those that end make room.
static void many_flows(void **state)
{
	uint32_t *states = calloc(FLOWS + 10, sizeof(*states));
	struct tcp_gaps *gaps;
	struct tcp_gap_stats s;
	struct decoded_flow p = {.proto = 6, .tcp_whole = true, .tcp_flags = SYN};
	const uint8_t none[FLOW_DIRECTIONS] = {0}, syn[FLOW_DIRECTIONS] = {0, SYN};

	assert_non_null(states);
	assert_int_equal(tcp_gaps_new(1998, &gaps), 0);
	for (uint32_t i = 0; i < FLOWS + 10; i++)
		tcp_gap_packet(gaps, &states[i], FLOW_TO_SERVER, none, &p);
	assert_null(tcp_gap_of(gaps, states[0])); // openings alone take none
	p.tcp_flags = ACK;
	for (uint32_t i = 0; i < FLOWS + 10; i++)
		tcp_gap_packet(gaps, &states[i], FLOW_TO_SERVER, syn, &p);
	tcp_gaps_stats(gaps, &s);
	assert_int_equal(s.flows_left_out, 10);
	assert_non_null(tcp_gap_of(gaps, states[0]));
	assert_null(tcp_gap_of(gaps, states[FLOWS]));
	p.tcp_ack = 1000, p.tcp_payload = 50;
	tcp_gap_packet(gaps, &states[5], FLOW_TO_SERVER, syn, &p);
	p.tcp_ack = 3000;
	tcp_gap_packet(gaps, &states[5], FLOW_TO_SERVER, syn, &p);
	assert_int_equal(tcp_gap_of(gaps, states[5])[FLOW_TO_CLIENT].acked_bytes, 3000);
	// One that was left out stays so, for what it was before is not known.
	tcp_gap_end(gaps, &states[5]);
	tcp_gap_packet(gaps, &states[FLOWS], FLOW_TO_SERVER, syn, &p);
	assert_null(tcp_gap_of(gaps, states[FLOWS]));
	tcp_gap_packet(gaps, &states[5], FLOW_TO_SERVER, none, &p);
	assert_non_null(tcp_gap_of(gaps, states[5]));
	assert_int_equal(tcp_gap_of(gaps, states[5])[FLOW_TO_CLIENT].acked_bytes, 0);
	for (uint32_t i = 0; i < FLOWS + 10; i++)
		tcp_gap_end(gaps, &states[i]);
	tcp_gaps_stats(gaps, &s);
	assert_int_equal(s.flows_left_out, 10);
	tcp_gaps_free(gaps);
	free(states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(by_hand), cmocka_unit_test(many_holes), cmocka_unit_test(many_flows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

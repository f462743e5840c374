// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/tcp_talk.h"

struct talk talk_new(uint32_t base)
{
	struct talk t = {.base = {base, base + 77}};

	assert_int_equal(tcp_gaps_new(256, &t.gaps), 0);
	return t;
}

void talk_free(struct talk *t)
{
	tcp_gap_end(t->gaps, &t->state);
	assert_int_equal(t->state, 0);
	tcp_gaps_free(t->gaps);
}

void say(struct talk *t, enum flow_direction from, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack)
{
	const struct decoded_flow p = {.proto = 6,
	        .tcp_whole = true,
	        .tcp_flags = flags,
	        .tcp_seq = t->base[from] + seq - ((flags & SYN) != 0),
	        .tcp_ack = flags & ACK ? t->base[!from] + ack : 0,
	        .tcp_payload = len};

	t->flags[from] |= flags;
	tcp_gap_packet(t->gaps, &t->state, from, t->flags, &p);
}

void open_it(struct talk *at)
{
	struct talk t = *at;

	C(SYN, 0, 0, 0);
	S(SYN | ACK, 0, 0, 0);
	C(ACK, 0, 0, 0);
	*at = t;
}

void expect_of(const struct talk *t, enum flow_direction d, uint64_t missed, uint64_t acked, uint32_t gaps)
{
	const struct tcp_gap *g = tcp_gap_of(t->gaps, t->state);

	assert_non_null(g);
	assert_int_equal(g[d].missed_bytes, missed);
	assert_int_equal(g[d].acked_bytes, acked);
	assert_int_equal(g[d].gaps, gaps);
}

void expect(const struct talk *t, uint64_t missed, uint64_t acked, uint32_t gaps)
{
	const struct tcp_gap *g = tcp_gap_of(t->gaps, t->state);
	struct tcp_gap_stats s;

	expect_of(t, FLOW_TO_CLIENT, missed, acked, gaps);
	tcp_gaps_stats(t->gaps, &s);
	assert_int_equal(s.missed_bytes, missed + g[FLOW_TO_SERVER].missed_bytes);
	assert_int_equal(s.acked_bytes, acked + g[FLOW_TO_SERVER].acked_bytes);
	assert_int_equal(s.gaps, gaps + g[FLOW_TO_SERVER].gaps);
	assert_int_equal(s.holes_dropped, 0);
}

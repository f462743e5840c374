// SPDX-License-Identifier: Apache-2.0
// A TCP connection written out packet by packet for the count of lost payload, and what that count must then be. One
// thread.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>

#include "analyzers/tcp_gap.h"

#define SYN TCP_SYN
#define ACK TCP_ACK
#define FIN TCP_FIN
#define RST TCP_RST

// One connection. Numbers are counted from the one after the SYN of their side, which stands anywhere.
struct talk {
	struct tcp_gaps *gaps;
	uint32_t state;
	uint32_t base[FLOW_DIRECTIONS];
	uint8_t flags[FLOW_DIRECTIONS]; // seen so far, as the flow table keeps them
};

struct talk talk_new(uint32_t base);
void talk_free(struct talk *t);
void say(struct talk *t, enum flow_direction from, uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack);

// The client asks, the server sends much: C and S are who sends.
#define C(...) say(&t, FLOW_TO_SERVER, __VA_ARGS__)
#define S(...) say(&t, FLOW_TO_CLIENT, __VA_ARGS__)

void open_it(struct talk *t);

void expect_of(const struct talk *t, enum flow_direction d, uint64_t missed, uint64_t acked, uint32_t gaps);
// What the server sent, and that the totals say the same.
void expect(const struct talk *t, uint64_t missed, uint64_t acked, uint32_t gaps);

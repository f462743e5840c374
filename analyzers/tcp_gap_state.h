// SPDX-License-Identifier: Apache-2.0
// What the parts of tcp_gap share. Not for others.
//
//   tcp_gap    flows, and what the numbers of a packet mean for its direction
//   tcp_holes  what was passed over in a direction, and what of it counts
#pragma once

#include "analyzers/tcp_gap.h"

struct hole {
	uint32_t from, to;
	uint32_t next; // the next lower one of the direction, counted from 1; of an unused one, the next unused
};

// [0] is not used.
struct tcp_gaps {
	struct tcp_gap (*flows)[FLOW_DIRECTIONS]; // of an unused one, [0].holes is the next unused
	struct hole *holes;
	uint32_t flows_max, holes_max;
	uint32_t flow_fresh, hole_fresh;   // first that was never used
	uint32_t flow_unused, hole_unused; // list of those that were
	struct tcp_gap_stats stats;
};

// How far a is after b; numbers in use are never half of all apart.
static inline int32_t after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline uint32_t earlier(uint32_t a, uint32_t b)
{
	return after(a, b) < 0 ? a : b;
}

// Numbers below this are acknowledged payload.
static inline uint32_t counted_to(const struct tcp_gap *g)
{
	return g->top_unsure && g->acked == g->end ? g->acked - 1 : g->acked;
}

// Payload was acknowledged up to what counted_to says now; it was up to `from`.
void tcp_holes_count_from(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from);
// Something stands behind the number before end: it is no FIN's.
void tcp_holes_confirm_top(struct tcp_gaps *t, struct tcp_gap *g);
// [from, to) was passed over, above all others.
void tcp_holes_push(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from, uint32_t to);
// [from, to) was seen.
void tcp_holes_fill(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from, uint32_t to);
// Leaves of the holes what is not below `limit`. What they counted stays counted, here and when all are dropped.
void tcp_holes_trim(struct tcp_gaps *t, struct tcp_gap *g, uint32_t limit);
void tcp_holes_drop(struct tcp_gaps *t, struct tcp_gap *g);
// The sender ends at `at`, in the highest hole, and end was only told by acknowledgements.
void tcp_holes_retract(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at);

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/tcp_gap_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_OUT UINT32_MAX // a flow's state: there was no room when it began
#define WINDOW_MAX (1 << 30)
#define ACK_AHEAD_MAX (1 << 24)
#define SYN_LATE_MAX (1u << 20) // an opening whose numbers are so little behind is a late copy, else a new connection
#define TRIM_SHIFT 28           // holes are looked through for old ones when end passes a multiple of this power

int tcp_gaps_new(uint32_t flows_max, struct tcp_gaps **ret_gaps)
{
	struct tcp_gaps *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->flows_max = flows_max / 2 + 1;
	t->holes_max = t->flows_max / 2 + TCP_GAP_FLOW_HOLES_MAX;
	// Pages come when they are touched.
	t->flows = calloc(t->flows_max + 1, sizeof(*t->flows));
	t->holes = calloc(t->holes_max + 1, sizeof(*t->holes));
	if (!t->flows || !t->holes) {
		tcp_gaps_free(t);
		return -ENOMEM;
	}
	t->flow_fresh = t->hole_fresh = 1;
	*ret_gaps = t;
	return 0;
}

void tcp_gaps_free(struct tcp_gaps *t)
{
	if (!t)
		return;
	free(t->flows);
	free(t->holes);
	free(t);
}

void tcp_gaps_stats(const struct tcp_gaps *t, struct tcp_gap_stats *ret_stats)
{
	*ret_stats = t->stats;
}

// --- one direction

static void restart(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at, bool in_step)
{
	tcp_holes_drop(t, g);
	g->end = g->acked = at;
	g->started = g->acked_known = 1;
	g->in_step = in_step;
	g->top_unsure = g->fin = 0;
}

// The next packet begins it anew.
static void forget(struct tcp_gaps *t, struct tcp_gap *g)
{
	tcp_holes_drop(t, g);
	g->started = g->acked_known = g->top_unsure = g->fin = 0;
}

static void grow(struct tcp_gaps *t, struct tcp_gap *g, uint32_t end)
{
	const bool trim = (g->end ^ end) >> TRIM_SHIFT != 0;

	g->end = end;
	// Nothing acknowledges what is sent: one side of the connection is all there is.
	if (end - g->acked > WINDOW_MAX)
		restart(t, g, end, g->in_step);
	else if (trim)
		tcp_holes_trim(t, g, end - WINDOW_MAX);
}

static void acknowledged_unseen(struct tcp_gaps *t, struct tcp_gap *g, uint32_t ack)
{
	const int32_t ahead = after(ack, g->acked);

	if (!g->acked_known) {
		g->acked_known = 1;
		g->acked = ack;
	} else if (ahead > 0) {
		t->stats.implausible += ahead > WINDOW_MAX;
		g->acked_bytes += g->seen || ahead > WINDOW_MAX ? 0 : (uint32_t)ahead;
		g->acked = ack;
	}
}

static void acknowledged(struct tcp_gaps *t, struct tcp_gap *g, uint32_t ack)
{
	const int32_t beyond = after(ack, g->end);
	uint32_t before;

	if (!g->started) {
		acknowledged_unseen(t, g, ack);
		return;
	}
	if (beyond > 0 && g->fin && beyond == 1) {
		ack = g->end;
	} else if (beyond > 0 && (g->fin || beyond > ACK_AHEAD_MAX)) {
		t->stats.implausible++;
		return;
	} else if (beyond > 0 && !g->in_step) {
		restart(t, g, ack, false);
		return;
	} else if (beyond > 0) {
		tcp_holes_confirm_top(t, g);
		tcp_holes_push(t, g, g->end, ack);
		grow(t, g, ack);
		g->top_unsure = g->acked != g->end;
	}
	if (after(ack, g->acked) <= 0)
		return;
	g->in_step = 1;
	before = counted_to(g);
	g->acked = ack;
	tcp_holes_count_from(t, g, before);
}

static void finished(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at)
{
	const struct hole *top = &t->holes[g->holes];

	if (at == g->end) {
		tcp_holes_confirm_top(t, g);
		g->fin = 1;
	} else if (g->holes != 0 && top->to == g->end && after(at, top->from) >= 0 && after(at, top->to) < 0) {
		tcp_holes_retract(t, g, at);
		g->fin = 1;
	}
}

static void sent(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at, uint32_t len, bool fin)
{
	int32_t ahead = after(at, g->end);
	const uint32_t to = at + len;

	if (ahead > WINDOW_MAX || ahead < -WINDOW_MAX) {
		t->stats.implausible++;
		restart(t, g, at, false);
		ahead = 0;
	}
	if (g->fin && after(to, g->end) > 0)
		return;
	if (ahead > 0 && !g->in_step) {
		restart(t, g, at, false);
	} else if (ahead > 0) {
		tcp_holes_confirm_top(t, g);
		tcp_holes_push(t, g, g->end, at);
		grow(t, g, at);
		g->top_unsure = len == 0 && !fin && g->acked != g->end;
	} else if (ahead == 0 && len > 0) {
		tcp_holes_confirm_top(t, g);
	} else if (len > 0) {
		tcp_holes_fill(t, g, at, earlier(to, g->end));
		if (after(to, g->end) >= 0)
			tcp_holes_confirm_top(t, g);
	}
	if (after(to, g->end) > 0)
		grow(t, g, to);
	if (fin)
		finished(t, g, to);
}

// The first packet of a direction, or the first after what could not be followed. opened: its SYN was seen, so that
// nothing was under way before.
static void start(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at, bool opened)
{
	const uint32_t acked = g->acked;
	const int32_t ahead = after(acked, at);
	const bool believed = g->acked_known && ahead > 0 && ahead <= WINDOW_MAX;

	restart(t, g, believed && !opened ? acked : at, opened);
	if (believed && opened)
		acknowledged(t, g, acked);
}

static void step(
        struct tcp_gaps *t, struct tcp_gap *g, struct tcp_gap *other, bool opened, const struct decoded_flow *p)
{
	const bool syn = p->tcp_flags & TCP_SYN, ack = p->tcp_flags & TCP_ACK;
	const uint32_t at = p->tcp_seq + syn;

	if (!g->seen) {
		g->seen = 1;
		g->acked_bytes = 0;
	}
	if (!p->tcp_whole || p->fragment) {
		forget(t, g); // how much it carries is not known
	} else {
		if (!g->started) {
			start(t, g, at, opened);
		} else if (syn && g->end - at > SYN_LATE_MAX) {
			restart(t, g, at, true);
			if (!ack)
				forget(t, other);
		}
		sent(t, g, at, p->tcp_payload, p->tcp_flags & TCP_FIN);
	}
	if (p->tcp_whole && ack)
		acknowledged(t, other, p->tcp_ack);
}

// --- flows

static uint32_t flow_new(struct tcp_gaps *t)
{
	uint32_t i = t->flow_unused;

	if (i != 0) {
		t->flow_unused = t->flows[i][0].holes;
		memset(t->flows[i], 0, sizeof(t->flows[i]));
	} else if (t->flow_fresh <= t->flows_max) {
		i = t->flow_fresh++;
	} else {
		i = LEFT_OUT;
		t->stats.flows_left_out++;
	}
	return i;
}

void tcp_gap_packet(struct tcp_gaps *t, uint32_t *state, enum flow_direction direction,
        const uint8_t flags[FLOW_DIRECTIONS], const struct decoded_flow *p)
{
	const bool begins = *state == 0;
	struct tcp_gap *flow;

	if ((p->tcp_flags & TCP_RST) || (begins && !(p->tcp_flags & TCP_ACK)))
		return;
	if (begins)
		*state = flow_new(t);
	if (*state == LEFT_OUT)
		return;
	flow = t->flows[*state];
	// The opening that this answers was seen, though not kept.
	if (begins && p->tcp_whole && (p->tcp_flags & flags[!direction] & TCP_SYN)) {
		flow[!direction].seen = 1;
		start(t, &flow[!direction], p->tcp_ack, true);
	}
	step(t, &flow[direction], &flow[!direction], flags[direction] & TCP_SYN, p);
}

const struct tcp_gap *tcp_gap_of(const struct tcp_gaps *t, uint32_t state)
{
	return state == 0 || state == LEFT_OUT ? NULL : t->flows[state];
}

static void tell_one_sided(struct tcp_gaps *t, const struct tcp_gap *g)
{
	t->stats.one_sided_bytes += g->seen ? 0 : g->acked_bytes;
}

void tcp_gap_next_record(struct tcp_gaps *t, uint32_t state)
{
	if (!tcp_gap_of(t, state))
		return;
	for (unsigned i = 0; i < FLOW_DIRECTIONS; i++) {
		struct tcp_gap *g = &t->flows[state][i];

		tell_one_sided(t, g);
		if (g->started)
			tcp_holes_trim(t, g, counted_to(g));
		g->acked_bytes = g->missed_bytes = 0;
		g->gaps = 0;
	}
}

void tcp_gap_end(struct tcp_gaps *t, uint32_t *state)
{
	const uint32_t i = *state;

	*state = 0;
	if (!tcp_gap_of(t, i))
		return;
	for (unsigned d = 0; d < FLOW_DIRECTIONS; d++) {
		tell_one_sided(t, &t->flows[i][d]);
		tcp_holes_drop(t, &t->flows[i][d]);
	}
	t->flows[i][0].holes = t->flow_unused;
	t->flow_unused = i;
}

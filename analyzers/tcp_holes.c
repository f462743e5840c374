// SPDX-License-Identifier: Apache-2.0
// The holes of a direction are a list, the highest first: new ones come on top, and acknowledgements and
// retransmissions mostly look for high ones. Every loop is over one direction's, of which there are
// TCP_GAP_FLOW_HOLES_MAX at most.
#include "analyzers/tcp_gap_state.h"

// --- what is counted

static uint32_t counted_of(const struct hole *h, uint32_t limit)
{
	return after(limit, h->from) > 0 ? earlier(limit, h->to) - h->from : 0;
}

static void add_missed(struct tcp_gaps *t, struct tcp_gap *g, uint32_t bytes, unsigned gaps)
{
	g->missed_bytes += bytes;
	g->gaps += gaps;
	if (g->seen) {
		t->stats.missed_bytes += bytes;
		t->stats.gaps += gaps;
	}
}

// Of holes that this record counted.
static void take_missed(struct tcp_gaps *t, struct tcp_gap *g, uint32_t bytes, unsigned gaps)
{
	g->missed_bytes -= bytes;
	g->gaps -= gaps;
	if (g->seen) {
		t->stats.missed_bytes -= bytes;
		t->stats.gaps -= gaps;
	}
}

void tcp_holes_count_from(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from)
{
	const uint32_t to = counted_to(g);

	if (after(to, from) <= 0)
		return;
	g->acked_bytes += to - from;
	if (g->seen)
		t->stats.acked_bytes += to - from;
	for (uint32_t i = g->holes; i != 0; i = t->holes[i].next) {
		const struct hole *h = &t->holes[i];

		if (after(h->to, from) <= 0)
			break;
		add_missed(t, g, counted_of(h, to) - counted_of(h, from),
		        counted_of(h, to) > 0 && counted_of(h, from) == 0);
	}
}

void tcp_holes_confirm_top(struct tcp_gaps *t, struct tcp_gap *g)
{
	const uint32_t before = counted_to(g);

	if (!g->top_unsure)
		return;
	g->top_unsure = 0;
	tcp_holes_count_from(t, g, before);
}

// --- holes, the highest first

static uint32_t hole_new(struct tcp_gaps *t)
{
	const uint32_t i = t->hole_unused;

	if (i != 0)
		t->hole_unused = t->holes[i].next;
	else if (t->hole_fresh <= t->holes_max)
		return t->hole_fresh++;
	return i;
}

// What it counted stays counted.
static void unlink_hole(struct tcp_gaps *t, struct tcp_gap *g, uint32_t *link)
{
	const uint32_t i = *link;

	*link = t->holes[i].next;
	t->holes[i].next = t->hole_unused;
	t->hole_unused = i;
	g->hole_count--;
}

void tcp_holes_drop(struct tcp_gaps *t, struct tcp_gap *g)
{
	while (g->holes != 0)
		unlink_hole(t, g, &g->holes);
}

// A number for one more hole of this direction; the lowest goes for it when there is no room. 0: there is none.
static uint32_t room_for_hole(struct tcp_gaps *t, struct tcp_gap *g)
{
	uint32_t i = g->hole_count < TCP_GAP_FLOW_HOLES_MAX ? hole_new(t) : 0, *link = &g->holes;

	if (i != 0) {
		g->hole_count++;
		return i;
	}
	if (*link == 0) {
		t->stats.holes_dropped++;
		return 0;
	}
	while (t->holes[*link].next != 0)
		link = &t->holes[*link].next;
	t->stats.holes_dropped += after(t->holes[*link].to, counted_to(g)) > 0;
	i = *link;
	*link = 0;
	return i;
}

void tcp_holes_push(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from, uint32_t to)
{
	uint32_t i;

	if (g->holes != 0 && t->holes[g->holes].to == from) {
		t->holes[g->holes].to = to;
		return;
	}
	i = room_for_hole(t, g);
	if (i == 0)
		return;
	t->holes[i] = (struct hole){from, to, g->holes};
	g->holes = i;
}

void tcp_holes_trim(struct tcp_gaps *t, struct tcp_gap *g, uint32_t limit)
{
	uint32_t *link = &g->holes;

	while (*link != 0) {
		struct hole *h = &t->holes[*link];

		// By distance from the end, for h may be far below.
		if (g->end - h->to >= g->end - limit) {
			unlink_hole(t, g, link);
			continue;
		}
		if (g->end - h->from > g->end - limit)
			h->from = limit;
		link = &h->next;
	}
}

void tcp_holes_fill(struct tcp_gaps *t, struct tcp_gap *g, uint32_t from, uint32_t to)
{
	const uint32_t limit = counted_to(g);
	uint32_t *link = &g->holes;

	while (*link != 0) {
		struct hole *h = &t->holes[*link], above;
		const uint32_t counted = counted_of(h, limit);
		uint32_t left = 0, i = *link;
		unsigned pieces = 0;

		if (after(h->to, from) <= 0)
			break;
		if (after(h->from, to) >= 0) {
			link = &h->next;
			continue;
		}
		above = (struct hole){to, h->to, i};
		if (after(h->from, from) < 0) {
			h->to = from;
			left += counted_of(h, limit);
			pieces += left > 0;
		} else {
			unlink_hole(t, g, link);
			i = 0;
		}
		if (after(above.to, above.from) > 0) {
			const uint32_t rest = counted_of(&above, limit);
			const uint32_t room = g->hole_count < TCP_GAP_FLOW_HOLES_MAX ? hole_new(t) : 0;

			left += rest;
			pieces += rest > 0;
			if (room != 0) {
				above.next = i != 0 ? i : *link;
				t->holes[room] = above;
				*link = room;
				link = &t->holes[room].next;
				g->hole_count++;
			} else {
				t->stats.holes_dropped += after(above.to, limit) > 0;
			}
		}
		if (pieces > (counted > 0))
			add_missed(t, g, 0, pieces - (counted > 0));
		take_missed(t, g, counted - left, counted > 0 && pieces == 0);
		if (i != 0)
			break; // it began below what was seen
	}
}

void tcp_holes_retract(struct tcp_gaps *t, struct tcp_gap *g, uint32_t at)
{
	struct hole *h = &t->holes[g->holes];
	const uint32_t before = counted_to(g), counted = counted_of(h, before);
	uint32_t left;

	h->to = g->end = at;
	g->top_unsure = 0;
	g->acked = earlier(g->acked, at);
	left = counted_of(h, g->acked);
	if (h->to == h->from)
		unlink_hole(t, g, &g->holes);
	g->acked_bytes -= before - g->acked;
	t->stats.acked_bytes -= before - g->acked;
	take_missed(t, g, counted - left, counted > 0 && left == 0);
}

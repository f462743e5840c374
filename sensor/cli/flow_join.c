// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_join.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS (1u << 16)

struct unfinished {
	struct flow_key key;
	struct flow_span span;
	bool ended; // and the next flow of the same ports has begun, whose record will come
	struct unfinished *next;
};

struct flow_join {
	uint64_t seed;
	void (*flow)(void *user, const struct flow_key *key, const struct flow_span *span);
	void *user;
	struct unfinished *buckets[BUCKETS];
};

int flow_join_new(uint64_t seed, void (*flow)(void *user, const struct flow_key *key, const struct flow_span *span),
        void *user, struct flow_join **ret_join)
{
	struct flow_join *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->seed = seed;
	j->flow = flow;
	j->user = user;
	*ret_join = j;
	return 0;
}

void flow_join_free(struct flow_join *j)
{
	struct unfinished *u;

	for (size_t i = 0; j && i < BUCKETS; i++) {
		while ((u = j->buckets[i])) {
			j->buckets[i] = u->next;
			free(u);
		}
	}
	free(j);
}

// Where the key's entry stands, or would.
static struct unfinished **place(struct flow_join *j, const struct flow_key *key)
{
	struct unfinished **at = &j->buckets[flow_key_hash(key, j->seed) % BUCKETS];

	while (*at && !flow_key_equal(&(*at)->key, key))
		at = &(*at)->next;
	return at;
}

static void take_out(struct unfinished **at)
{
	struct unfinished *u = *at;

	*at = u->next;
	free(u);
}

static int keep(struct unfinished **at, const struct flow_key *key, const struct flow_span *span, bool ended)
{
	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (!*at)
		return -ENOMEM;
	(*at)->key = *key;
	(*at)->span = *span;
	(*at)->ended = ended;
	return 0;
}

int flow_join_record(struct flow_join *j, const struct flow_record *r, bool chosen)
{
	struct flow_span span = {.start_ns = r->start_ns,
	        .end_ns = r->end_ns,
	        .packets = r->pkts[0] + r->pkts[1],
	        .chosen = chosen,
	        .open = r->reason == FLOW_REASON_SHUTDOWN};
	struct unfinished **at;
	struct flow_key key;

	flow_key_of_record(r, &key);
	at = place(j, &key);
	if (*at && (*at)->ended) {
		if (span.start_ns <= (*at)->span.end_ns)
			j->flow(j->user, &key, &(*at)->span);
		take_out(at);
		at = place(j, &key);
	} else if (*at) {
		const struct flow_span *before = &(*at)->span;

		span.start_ns = before->start_ns < span.start_ns ? before->start_ns : span.start_ns;
		span.end_ns = before->end_ns > span.end_ns ? before->end_ns : span.end_ns;
		span.packets += before->packets;
		span.chosen = span.chosen || before->chosen;
	}
	if (r->reason == FLOW_REASON_ACTIVE_TIMEOUT)
		return keep(at, &key, &span, false);
	if (!span.chosen && r->reason == FLOW_REASON_TCP_REUSE)
		return keep(at, &key, &span, true);
	if (*at)
		take_out(at);
	if (span.chosen)
		j->flow(j->user, &key, &span);
	return 0;
}

void flow_join_end(struct flow_join *j)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct unfinished *u = j->buckets[i]; u; u = u->next)
			if (!u->ended && u->span.chosen)
				j->flow(j->user, &u->key, &u->span);
}

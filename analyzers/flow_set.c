// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define ASKED_MAX 1024u // with more flows than that a frame is hardly ever without one, and asking for each is dear

struct entry {
	struct flow_key key;
	struct flow_span span; // packets: those that have not come yet
	uint32_t next_key;     // in the bucket; of a key's first entry
	uint32_t next_span;    // of the same key
	uint32_t first, last;  // of a key's first entry: the first that can still have packets, the last of all
};

struct flow_set {
	uint64_t seed;
	struct entry *entries;
	uint32_t count, room, chosen;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint64_t first_ns, last_ns;
};

int flow_set_new(uint64_t seed, struct flow_set **ret_set)
{
	struct flow_set *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->seed = seed;
	s->first_ns = UINT64_MAX;
	*ret_set = s;
	return 0;
}

void flow_set_free(struct flow_set *s)
{
	if (!s)
		return;
	free(s->entries);
	free(s->buckets);
	free(s);
}

static uint32_t *bucket(const struct flow_set *s, const struct flow_key *key)
{
	return &s->buckets[flow_key_hash(key, s->seed) & s->bucket_mask];
}

// Twice as much, and the keys in their new buckets.
static int grow(struct flow_set *s)
{
	const uint32_t room = s->room > 0 ? 2 * s->room : 1024;
	struct entry *entries = realloc(s->entries, room * sizeof(*entries));
	uint32_t *buckets, *link;

	if (!entries)
		return -ENOMEM;
	s->entries = entries;
	buckets = malloc(room * sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_mask = room - 1;
	s->room = room;
	memset(buckets, 0xff, room * sizeof(*buckets));
	for (uint32_t i = 0; i < s->count; i++) {
		if (entries[i].last == NONE)
			continue; // not the first of its key
		link = bucket(s, &entries[i].key);
		entries[i].next_key = *link;
		*link = i;
	}
	return 0;
}

static struct entry *find(const struct flow_set *s, const struct flow_key *key)
{
	for (uint32_t i = s->count > 0 ? *bucket(s, key) : NONE; i != NONE; i = s->entries[i].next_key)
		if (flow_key_equal(&s->entries[i].key, key))
			return &s->entries[i];
	return NULL;
}

int flow_set_add(struct flow_set *s, const struct flow_key *key, const struct flow_span *span)
{
	struct entry *head;
	uint32_t *link, index = s->count;

	if (s->count == FLOW_SET_MAX)
		return -ENOBUFS;
	if (s->count == s->room && grow(s) < 0)
		return -ENOMEM;
	head = find(s, key);
	s->entries[index] = (struct entry){
	        .key = *key, .span = *span, .next_key = NONE, .next_span = NONE, .first = NONE, .last = NONE};
	s->count++;
	if (head) {
		s->entries[head->last].next_span = index;
		head->last = index;
	} else {
		link = bucket(s, key);
		s->entries[index].next_key = *link;
		s->entries[index].first = s->entries[index].last = index;
		*link = index;
	}
	s->chosen += span->chosen;
	s->first_ns = span->start_ns < s->first_ns ? span->start_ns : s->first_ns;
	s->last_ns = span->end_ns > s->last_ns ? span->end_ns : s->last_ns;
	return 0;
}

static bool within(const struct flow_span *span, uint64_t ts_ns)
{
	return ts_ns >= span->start_ns && ts_ns <= span->end_ns;
}

bool flow_set_take(struct flow_set *s, const struct flow_key *key, uint64_t ts_ns)
{
	struct entry *head = find(s, key);
	bool open = false;

	if (!head)
		return false;
	while (head->first != NONE && s->entries[head->first].span.packets == 0 && !s->entries[head->first].span.open)
		head->first = s->entries[head->first].next_span;
	for (uint32_t i = head->first; i != NONE; i = s->entries[i].next_span) {
		struct flow_span *span = &s->entries[i].span;

		if (!within(span, ts_ns))
			continue;
		if (span->packets > 0) {
			span->packets--;
			return span->chosen;
		}
		open = open || (span->open && span->chosen);
	}
	return open;
}

static bool may_have(const struct entry *e, const struct indexed_frame *frame)
{
	const struct flow_key *k = &e->key;
	const uint64_t conversation =
	        key_of_conversation(k->ip_version, k->addr[0], k->addr[1], k->port[0], k->port[1]);

	if (!indexed_frame_may_have(frame, key_of_host(k->ip_version, k->addr[0])) ||
	        !indexed_frame_may_have(frame, key_of_host(k->ip_version, k->addr[1])))
		return false;
	return !key_has_ports(k->proto) || k->port[0] + k->port[1] == 0 ||
	       indexed_frame_may_have(frame, conversation) || indexed_frame_may_have(frame, KEY_OF_FRAGMENT);
}

bool flow_set_may_be_in(const struct flow_set *s, const struct indexed_frame *frame)
{
	if (s->chosen == 0 || frame->ts_max < s->first_ns || frame->ts_min > s->last_ns)
		return false;
	if (s->count > ASKED_MAX)
		return true;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct entry *e = &s->entries[i];

		if (frame->ts_max >= e->span.start_ns && frame->ts_min <= e->span.end_ns && may_have(e, frame))
			return true;
	}
	return false;
}

bool flow_set_times(const struct flow_set *s, uint64_t *ret_first_ns, uint64_t *ret_last_ns)
{
	*ret_first_ns = s->first_ns;
	*ret_last_ns = s->last_ns;
	return s->chosen > 0;
}

uint32_t flow_set_chosen(const struct flow_set *s)
{
	return s->chosen;
}

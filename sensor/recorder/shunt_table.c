// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/shunt_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/ipc/loan.h"

#define WAYS 8u
#define TICK_SHIFT 24 // of the time of last use: 17 ms, so that 32 bits last for two years

// One cache line tells whether a flow is here.
struct bucket {
	uint32_t tag[WAYS]; // of the key's hash; 0: empty
	uint32_t used[WAYS];
};
_Static_assert(sizeof(struct bucket) == 64, "a cache line");

_Static_assert(sizeof(struct shunt_known) == 64, "a cache line");
_Static_assert(sizeof(struct shunt_key) == 44, "no padding: it is hashed and compared as bytes");

struct shunt_table {
	struct bucket *bucket;
	struct shunt_known *known; // WAYS of each bucket
	uint64_t *number;          // of each; NULL: the driver gives none
	uint64_t mask;
	uint64_t seed;
};

int shunt_table_new(uint32_t flows, uint64_t seed, bool numbered, struct shunt_table **ret_table)
{
	struct shunt_table *t = calloc(1, sizeof(*t));
	size_t buckets = flows / WAYS;

	if (!t)
		return -ENOMEM;
	t->bucket = aligned_alloc(64, buckets * sizeof(*t->bucket));
	t->known = aligned_alloc(64, buckets * WAYS * sizeof(*t->known));
	t->number = numbered ? aligned_alloc(64, buckets * WAYS * sizeof(*t->number)) : NULL;
	if (!t->bucket || !t->known || (numbered && !t->number)) {
		shunt_table_free(t);
		return -ENOMEM;
	}
	// Touched here, so that no page comes while frames do.
	memset(t->bucket, 0, buckets * sizeof(*t->bucket));
	memset(t->known, 0, buckets * WAYS * sizeof(*t->known));
	if (numbered)
		memset(t->number, 0, buckets * WAYS * sizeof(*t->number));
	t->mask = buckets - 1;
	t->seed = seed;
	*ret_table = t;
	return 0;
}

void shunt_table_free(struct shunt_table *t)
{
	if (!t)
		return;
	free(t->bucket);
	free(t->known);
	free(t->number);
	free(t);
}

// 64 by 64 bits to 128, folded: each bit of the input reaches each bit of the output.
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash(const struct shunt_key *key, uint64_t seed)
{
	uint64_t w[5], h;
	uint32_t last;

	memcpy(w, key, sizeof(w));
	memcpy(&last, (const uint8_t *)key + sizeof(w), sizeof(last));
	h = fold(w[0] ^ seed, w[1] ^ 0x9e3779b97f4a7c15ull);
	h = fold(h ^ w[2], w[3] ^ seed ^ 0xbf58476d1ce4e5b9ull);
	h = fold(h ^ w[4], last ^ 0x94d049bb133111ebull);
	return fold(h ^ seed, 0xd6e8feb86659fd93ull);
}

// An empty place, or that of the flow longest unused.
static unsigned victim(const struct bucket *b, uint32_t now)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		if (b->tag[i] == 0)
			return i;
		if ((int32_t)(now - b->used[i]) > (int32_t)(now - b->used[oldest]))
			oldest = i;
	}
	return oldest;
}

// WAYS when the flow is not here.
static inline unsigned find(const struct shunt_table *t, uint64_t index, uint32_t tag, const struct shunt_key *key)
{
	const struct bucket *b = &t->bucket[index];
	unsigned i;

	for (i = 0; i < WAYS; i++)
		if (b->tag[i] == tag && memcmp(&t->known[index * WAYS + i].key, key, sizeof(*key)) == 0)
			break;
	return i;
}

static inline uint32_t tag_of(uint64_t hashed)
{
	return (uint32_t)(hashed >> 32) | 1;
}

static inline uint32_t begun_at(uint64_t ns)
{
	return (uint32_t)(ns / LOAN_CLAIM_NS) & (UINT32_MAX >> 1);
}

static inline void begin(struct shunt_known *k, uint64_t now_ns)
{
	k->begun = begun_at(now_ns);
	k->named = 0;
	k->flow.bytes = 0;
}

// The place of the frame's flow, which begins there when there is none.
static inline uint64_t take_place(struct shunt_table *t, const struct shunt_key *key, uint64_t now_ns, bool *ret_is_new)
{
	const uint64_t h = hash(key, t->seed), index = h & t->mask;
	const uint32_t now = (uint32_t)(now_ns >> TICK_SHIFT);
	struct bucket *b = &t->bucket[index];
	unsigned i = find(t, index, tag_of(h), key);

	*ret_is_new = i == WAYS;
	if (i == WAYS) {
		i = victim(b, now);
		b->tag[i] = tag_of(h);
		t->known[index * WAYS + i].key = *key;
		begin(&t->known[index * WAYS + i], now_ns);
	}
	b->used[i] = now;
	return index * WAYS + i;
}

struct shunt_known *shunt_table_flow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns)
{
	bool is_new;
	struct shunt_known *k = &t->known[take_place(t, &frame->key, now_ns, &is_new)];

	if (!is_new && shunt_begins(&k->flow, frame, now_ns))
		begin(k, now_ns);
	k->flow.last_ns = now_ns;
	return k;
}

void shunt_table_follow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t number, uint64_t now_ns)
{
	bool is_new;
	const uint64_t at = take_place(t, &frame->key, now_ns, &is_new);

	if (!is_new && t->number[at] != number)
		begin(&t->known[at], now_ns);
	t->number[at] = number;
}

bool shunt_table_name(struct shunt_table *t, const struct shunt_key *key, uint64_t ns, uint64_t *ret_number)
{
	const uint64_t h = hash(key, t->seed), index = h & t->mask;
	const unsigned i = find(t, index, tag_of(h), key);
	struct shunt_known *k = &t->known[index * WAYS + i % WAYS];

	// By 31 bits.
	if (i == WAYS || (int32_t)((begun_at(ns) - k->begun) << 1) <= 0)
		return false;
	k->named = 1;
	*ret_number = t->number ? t->number[index * WAYS + i] : 0;
	return true;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/shunt_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8u
#define TICK_SHIFT 24 // of the time of last use: 17 ms, so that 32 bits last for two years

// One cache line tells whether a flow is here.
struct bucket {
	uint32_t tag[WAYS]; // of the key's hash; 0: empty
	uint32_t used[WAYS];
};
_Static_assert(sizeof(struct bucket) == 64, "a cache line");

struct entry {
	struct shunt_key key;
	uint32_t pad;
	struct shunt_flow flow;
};
_Static_assert(sizeof(struct entry) == 64, "a cache line");
_Static_assert(sizeof(struct shunt_key) == 44, "no padding: it is hashed and compared as bytes");

struct shunt_table {
	struct bucket *bucket;
	struct entry *entry; // WAYS of each bucket
	uint64_t mask;
	uint64_t seed;
};

int shunt_table_new(uint32_t flows, uint64_t seed, struct shunt_table **ret_table)
{
	struct shunt_table *t = calloc(1, sizeof(*t));
	size_t buckets = flows / WAYS;

	if (!t)
		return -ENOMEM;
	t->bucket = aligned_alloc(64, buckets * sizeof(*t->bucket));
	t->entry = aligned_alloc(64, buckets * WAYS * sizeof(*t->entry));
	if (!t->bucket || !t->entry) {
		shunt_table_free(t);
		return -ENOMEM;
	}
	// Touched here, so that no page comes while frames do.
	memset(t->bucket, 0, buckets * sizeof(*t->bucket));
	memset(t->entry, 0, buckets * WAYS * sizeof(*t->entry));
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
	free(t->entry);
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

struct shunt_flow *shunt_table_flow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns)
{
	const uint64_t h = hash(&frame->key, t->seed), index = h & t->mask;
	const uint32_t tag = (uint32_t)(h >> 32) | 1, now = (uint32_t)(now_ns >> TICK_SHIFT);
	struct bucket *b = &t->bucket[index];
	struct entry *e = &t->entry[index * WAYS];
	unsigned i;

	for (i = 0; i < WAYS; i++)
		if (b->tag[i] == tag && memcmp(&e[i].key, &frame->key, sizeof(frame->key)) == 0)
			break;
	if (i == WAYS) {
		i = victim(b, now);
		b->tag[i] = tag;
		e[i].key = frame->key;
		e[i].flow = (struct shunt_flow){0, now_ns};
	} else if (shunt_begins(&e[i].flow, frame, now_ns)) {
		e[i].flow.bytes = 0;
	}
	b->used[i] = now;
	e[i].flow.last_ns = now_ns;
	return &e[i].flow;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/merkle.h"

#include <string.h>

#include "sensor/evidence/digest.h"

void merkle_init(struct merkle *m)
{
	m->size = 0;
}

void merkle_leaf_hash(const void *data, size_t len, uint8_t out[DIGEST_LEN])
{
	uint8_t small[1 + TILE_PACKETS * DIGEST_LEN];
	static const uint8_t zero = 0;

	if (len < sizeof(small)) {
		small[0] = 0;
		memcpy(small + 1, data, len);
		digest_once(small, len + 1, out);
		return;
	}

	struct digest *d = digest_new();

	if (!d)
		__builtin_trap();
	digest_update(d, &zero, 1);
	digest_update(d, data, len);
	digest_peek(d, out);
	digest_free(d);
}

static void node_hash(const uint8_t left[DIGEST_LEN], const uint8_t right[DIGEST_LEN], uint8_t out[DIGEST_LEN])
{
	uint8_t both[1 + 2 * DIGEST_LEN];

	both[0] = 1;
	memcpy(both + 1, left, DIGEST_LEN);
	memcpy(both + 1 + DIGEST_LEN, right, DIGEST_LEN);
	digest_once(both, sizeof(both), out);
}

void merkle_append_hash(struct merkle *m, const uint8_t leaf_hash[DIGEST_LEN])
{
	unsigned top = (unsigned)__builtin_popcountll(m->size);
	uint8_t hash[DIGEST_LEN];

	memcpy(hash, leaf_hash, DIGEST_LEN);
	// Adding one to size carries through its trailing one bits: each is a perfect subtree of the same height.
	for (uint64_t bits = m->size; bits & 1; bits >>= 1)
		node_hash(m->node[--top], hash, hash);
	memcpy(m->node[top], hash, DIGEST_LEN);
	m->size++;
}

void merkle_append(struct merkle *m, const void *data, size_t len)
{
	uint8_t hash[DIGEST_LEN];

	merkle_leaf_hash(data, len, hash);
	merkle_append_hash(m, hash);
}

void merkle_root(const struct merkle *m, uint8_t out[DIGEST_LEN])
{
	unsigned top = (unsigned)__builtin_popcountll(m->size);

	if (top == 0) {
		digest_once("", 0, out);
		return;
	}
	memcpy(out, m->node[--top], DIGEST_LEN);
	while (top > 0)
		node_hash(m->node[--top], out, out);
}

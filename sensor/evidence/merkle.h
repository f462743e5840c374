// SPDX-License-Identifier: Apache-2.0
// RFC 6962 section 2.1 Merkle tree head over leaves that arrive one by one, in O(log n) memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

struct merkle {
	uint64_t size;
	uint8_t node[64][DIGEST_LEN]; // one perfect subtree per set bit of size, highest first
};

void merkle_init(struct merkle *m);
void merkle_leaf_hash(const void *data, size_t len, uint8_t out[DIGEST_LEN]); // H(0x00 | data)
void merkle_append(struct merkle *m, const void *data, size_t len);           // one leaf by its data
void merkle_append_hash(struct merkle *m, const uint8_t leaf_hash[DIGEST_LEN]);
void merkle_root(const struct merkle *m, uint8_t out[DIGEST_LEN]); // H("") when empty

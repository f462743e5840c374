// SPDX-License-Identifier: Apache-2.0
// The multiset hash of frames that sender and receivers compare: the sum modulo 2^128 of the first 16 bytes, read
// big-endian, of every frame's SHA-256. Order does not matter, a lost, doubled or changed frame does.
#pragma once

#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>

struct frame_set {
	unsigned __int128 sum;
	uint64_t frames;
	uint64_t bytes;
};

static inline void frame_set_add(struct frame_set *set, const uint8_t *frame, size_t len)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	unsigned __int128 v = 0;

	SHA256(frame, len, digest);
	for (int i = 0; i < 16; i++)
		v = v << 8 | digest[i];
	set->sum += v;
	set->frames++;
	set->bytes += len;
}

static inline void frame_set_print(const struct frame_set *set)
{
	printf("frames=%llu bytes=%llu hash=%016llx%016llx\n", (unsigned long long)set->frames,
	        (unsigned long long)set->bytes, (unsigned long long)(set->sum >> 64), (unsigned long long)set->sum);
	fflush(stdout);
}

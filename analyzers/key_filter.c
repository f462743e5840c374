// SPDX-License-Identifier: Apache-2.0
#include "analyzers/key_filter.h"

#define PROBES 8u // near the best for 8 to 16 bits per key

size_t key_filter_bytes(size_t keys, unsigned bits_per_key)
{
	return (keys * bits_per_key + 63) / 64 * 8;
}

// The next bit of the sequence that belongs to a key; bits is below 2^32.
static uint32_t probe(uint64_t *at, uint64_t step, uint32_t bits)
{
	*at += step;
	return (uint32_t)((*at >> 32) * bits >> 32);
}

void key_filter_add(uint8_t *filter, size_t bytes, uint64_t key)
{
	const uint32_t bits = (uint32_t)(bytes * 8);
	uint64_t at = key, step = key << 32 | key >> 32 | 1;

	for (unsigned i = 0; i < PROBES; i++) {
		uint32_t bit = probe(&at, step, bits);

		filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

bool key_filter_has(const uint8_t *filter, size_t bytes, uint64_t key)
{
	const uint32_t bits = (uint32_t)(bytes * 8);
	uint64_t at = key, step = key << 32 | key >> 32 | 1;

	for (unsigned i = 0; i < PROBES; i++) {
		uint32_t bit = probe(&at, step, bits);

		if (!(filter[bit / 8] & 1u << bit % 8))
			return false;
	}
	return true;
}

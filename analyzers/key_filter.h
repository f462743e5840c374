// SPDX-License-Identifier: Apache-2.0
// A Bloom filter over 64-bit keys (Bloom 1970; two hashes make all, Kirsch and Mitzenmacher 2006): says "not in it" for
// certain and "in it" with a small chance of error. Pure, any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_FILTER_BITS_PER_KEY 16u // one wrong yes in about 2,000
#define KEY_FILTER_BITS_MIN 8u      // one in about 50: below this a filter is not worth its room

// Bytes of a filter for so many keys of which each may have bits_per_key; a multiple of eight.
size_t key_filter_bytes(size_t keys, unsigned bits_per_key);
// filter is zeroed at first.
void key_filter_add(uint8_t *filter, size_t bytes, uint64_t key);
bool key_filter_has(const uint8_t *filter, size_t bytes, uint64_t key);

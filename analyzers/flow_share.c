// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_share.h"

#include <string.h>

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t address_hash(const uint8_t address[FLOW_ADDR_LEN], uint64_t seed)
{
	uint64_t w[2];

	memcpy(w, address, sizeof(w));
	return fold(fold(w[0] ^ seed, 0x9e3779b97f4a7c15ull) ^ w[1], seed | 1);
}

uint32_t flow_share(const struct decoded *packet, uint32_t threads, uint64_t seed)
{
	const struct decoded_flow *outermost = &packet->flows[0];

	if (threads == 1 || packet->count == 0)
		return 0;
	// The sum is the same for both directions.
	return (uint32_t)(fold(address_hash(outermost->src, seed) + address_hash(outermost->dest, seed),
	                          0xbf58476d1ce4e5b9ull) %
	                  threads);
}

// SPDX-License-Identifier: Apache-2.0
// The block pool's memory: made and sealed by the supervisor, mapped by each recorder in turn.
#pragma once

#include "sealtap/block.h"
#include "sealtap/error.h"

struct pool {
	struct pool_shared *shared;
	struct block *block;
	uint8_t *data;
	uint32_t blocks;
};

int pool_create(uint32_t blocks, int *ret_fd, struct error *e); // supervisor
int pool_map(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e);

static inline uint8_t *pool_data(const struct pool *p, uint32_t id)
{
	return p->data + (size_t)id * BLOCK_BYTES;
}

// SPDX-License-Identifier: Apache-2.0
// The block pool's memory: made and sealed by the supervisor, mapped by each recorder in turn. Sealed against shrinking
// and growing alone: a successor must map it writable, which F_SEAL_FUTURE_WRITE would forbid. The inspector, which
// shall only read blocks, is given a descriptor that was opened read-only.
#pragma once

#include "sealtap/block.h"
#include "sealtap/error.h"

struct pool {
	struct pool_shared *shared;
	struct block *block;
	uint8_t *data;
	uint32_t blocks;
	bool huge;   // on huge pages
	bool locked; // cannot be paged out
};

// Supervisor. huge: on huge pages if enough are free.
int pool_create(uint32_t blocks, bool huge, int *ret_fd, struct error *e);
int pool_map(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e);
// Inspector, by a descriptor that permits no writing (memory_readonly).
int pool_map_readonly(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e);
// Has the kernel give all memory of blocks `first` to before `end`, which it otherwise does at the first touch, in the
// middle of a burst. What they hold stays. Recorder, before the sandbox closes.
int pool_fill(const struct pool *p, uint32_t first, uint32_t end, struct error *e);
void pool_lock(struct pool *p); // after pool_fill; where the machine does not permit it, locked stays false

static inline uint8_t *pool_data(const struct pool *p, uint32_t id)
{
	return p->data + (size_t)id * BLOCK_BYTES;
}

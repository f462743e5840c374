// SPDX-License-Identifier: Apache-2.0
// Single-producer single-consumer ring of 32-bit ids, and the doorbell that wakes a consumer which sleeps.
// Producer and consumer indices live on cache lines of their own; each side keeps a copy of the other's index.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	_Alignas(64) _Atomic uint32_t tail; // producer: release; pairs with the consumer's acquire in ring_pop
	uint32_t head_seen;
	_Alignas(64) _Atomic uint32_t head; // consumer: release; pairs with the producer's acquire in ring_push
	uint32_t tail_seen;
	_Alignas(64) uint32_t mask;
	uint32_t *slot;
};

int ring_init(struct ring *r, unsigned at_least); // rounds up to a power of two; -ENOMEM
void ring_free(struct ring *r);

static inline bool ring_push(struct ring *r, uint32_t id)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - r->head_seen > r->mask) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail - r->head_seen > r->mask)
			return false;
	}
	r->slot[tail & r->mask] = id;
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

static inline bool ring_pop(struct ring *r, uint32_t *ret_id)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head == r->tail_seen) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head == r->tail_seen)
			return false;
	}
	*ret_id = r->slot[head & r->mask];
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return true;
}

// How many are waiting, as the producer sees it.
static inline uint32_t ring_backlog(const struct ring *r)
{
	return atomic_load_explicit(&r->tail, memory_order_relaxed) -
	       atomic_load_explicit(&r->head, memory_order_relaxed);
}

struct doorbell {
	_Alignas(64) _Atomic uint32_t rung;
	_Atomic uint32_t waiting;
};

void doorbell_ring(struct doorbell *d); // after the work has been made visible; a system call only when somebody sleeps
// Read before looking for work; doorbell_wait returns at once when it rang since, else after at most timeout_ms.
uint32_t doorbell_read(const struct doorbell *d);
void doorbell_wait(struct doorbell *d, uint32_t seen, int timeout_ms);

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE 1024u // claims; a power of two

struct queue {
	_Alignas(64) _Atomic uint32_t tail; // lender: release; pairs with the acquire in claims_take
	_Alignas(64) _Atomic uint32_t head; // RX: release; pairs with the acquire in put
	_Alignas(64) struct loan_claim slot[QUEUE];
};

struct claims {
	struct loans *loans;
	const struct loan_reply *reply;
	uint32_t workers, rx_count;
	struct queue *queue; // of each RX thread
};

int claims_new(struct loans *loans, const struct loan_reply *reply, uint32_t workers, uint32_t rx_count,
        struct claims **ret_claims)
{
	struct claims *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*v = (struct claims){.loans = loans, .reply = reply, .workers = workers, .rx_count = rx_count};
	v->queue = aligned_alloc(64, rx_count * sizeof(*v->queue));
	if (!v->queue) {
		free(v);
		return -ENOMEM;
	}
	memset(v->queue, 0, rx_count * sizeof(*v->queue));
	*ret_claims = v;
	return 0;
}

void claims_free(struct claims *v)
{
	if (!v)
		return;
	free(v->queue);
	free(v);
}

void claims_begin(struct claims *v)
{
	for (uint32_t i = 0; i < v->workers; i++)
		atomic_store(&v->loans->heard[i], 0);
}

static void put(struct queue *q, const struct loan_claim *claim)
{
	const uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&q->head, memory_order_acquire) == QUEUE)
		return;
	q->slot[tail & (QUEUE - 1)] = *claim;
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
}

bool claims_carry(struct claims *v)
{
	for (uint32_t i = 0; i < v->workers; i++) {
		const struct loan_claims *from = &v->reply->claims[i];
		uint32_t heard = atomic_load_explicit(&v->loans->heard[i], memory_order_relaxed);
		// Acquire: what it counts is written (pairs with the worker's release).
		const uint32_t told = atomic_load_explicit(&from->told, memory_order_acquire);

		if (told - heard > LOAN_CLAIMS)
			return false;
		for (; heard != told; heard++) {
			// Once read it is ours: it may be written over while it is looked at.
			const struct loan_claim claim = from->ring[heard & (LOAN_CLAIMS - 1)];

			for (uint32_t rx = 0; rx < v->rx_count; rx++)
				put(&v->queue[rx], &claim);
		}
		// Release: the places are free (pairs with the worker's acquire).
		atomic_store_explicit(&v->loans->heard[i], told, memory_order_release);
	}
	return true;
}

bool claims_take(struct claims *v, uint32_t rx, struct loan_claim *ret_claim)
{
	struct queue *q = &v->queue[rx];
	const uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&q->tail, memory_order_acquire))
		return false;
	*ret_claim = q->slot[head & (QUEUE - 1)];
	atomic_store_explicit(&q->head, head + 1, memory_order_release);
	return true;
}

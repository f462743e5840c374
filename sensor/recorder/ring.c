// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/ring.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int ring_init(struct ring *r, unsigned at_least)
{
	uint32_t size = 2;

	while (size < at_least)
		size *= 2;
	memset(r, 0, sizeof(*r));
	r->mask = size - 1;
	r->slot = calloc(size, sizeof(*r->slot));
	return r->slot ? 0 : -ENOMEM;
}

void ring_free(struct ring *r)
{
	free(r->slot);
	r->slot = NULL;
}

void doorbell_ring(struct doorbell *d)
{
	// seq_cst on both sides: either the sleeper sees the new value, or we see that it waits (pairs with
	// doorbell_wait).
	atomic_fetch_add_explicit(&d->rung, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&d->waiting, memory_order_seq_cst))
		syscall(SYS_futex, &d->rung, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

uint32_t doorbell_read(const struct doorbell *d)
{
	return atomic_load_explicit(&d->rung, memory_order_seq_cst);
}

void doorbell_wait(struct doorbell *d, uint32_t seen, int timeout_ms)
{
	struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};

	atomic_store_explicit(&d->waiting, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&d->rung, memory_order_seq_cst) == seen)
		syscall(SYS_futex, &d->rung, FUTEX_WAIT_PRIVATE, seen, &timeout, NULL, 0);
	atomic_store_explicit(&d->waiting, 0, memory_order_relaxed);
}

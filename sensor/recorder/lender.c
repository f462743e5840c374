// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/lender.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "sealtap/block.h"
#include "sensor/recorder/claims.h"

#define INDEX(number) ((number) & (LOANS_MAX - 1))

struct lent {
	uint32_t block; // BLOCK_NONE: a tick
	uint32_t rx;
};

struct waiting {
	struct loan loan;
	uint32_t rx;
};

struct lender {
	pthread_mutex_t mutex;
	struct lender_config config;
	uint32_t inspector;  // whom it lends to; LOAN_NOBODY
	uint32_t head, tail; // numbers of what is on loan: head up to before tail
	struct lent lent[LOANS_MAX];
	uint32_t *of_rx; // blocks on loan
	// Lossless: those to be lent, a ring with room for every block.
	struct waiting *waiting;
	uint32_t wait_head, wait_tail, wait_mask;
};

int lender_new(const struct lender_config *config, struct lender **ret_lender)
{
	struct lender *l = calloc(1, sizeof(*l));
	uint32_t size = 2;

	if (!l)
		return -ENOMEM;
	while (size < config->blocks)
		size *= 2;
	l->config = *config;
	l->wait_mask = size - 1;
	l->waiting = calloc(size, sizeof(*l->waiting));
	l->of_rx = calloc(config->rx_count, sizeof(*l->of_rx));
	pthread_mutex_init(&l->mutex, NULL);
	if (!l->waiting || !l->of_rx) {
		lender_free(l);
		return -ENOMEM;
	}
	// An earlier recorder's loans went with it.
	l->head = l->tail = atomic_load(&config->loans->tail);
	atomic_store(&config->loans->attached, LOAN_NOBODY);
	*ret_lender = l;
	return 0;
}

void lender_free(struct lender *l)
{
	if (!l)
		return;
	free(l->waiting);
	free(l->of_rx);
	free(l);
}

// Follows the supervisor's word on who borrows: the next one begins when all has come back from the one before. True
// when there is somebody to lend to.
static bool attach(struct lender *l)
{
	struct loans *s = l->config.loans;
	uint32_t now = atomic_load(&s->inspector);

	if (now == LOAN_NEVER)
		now = LOAN_NOBODY;
	if (now != l->inspector) {
		l->inspector = LOAN_NOBODY;
		if (now == LOAN_NOBODY || l->head != l->tail)
			return false;
		l->inspector = now;
		if (l->config.claims)
			claims_begin(l->config.claims);
		atomic_store(&s->ending, LOAN_GOES_ON);
		atomic_store(&s->first, l->tail);
		atomic_store(&s->attached, now);
		loans_ring(s);
	}
	return now != LOAN_NOBODY && atomic_load(&s->refused) != now;
}

static void refuse(struct lender *l)
{
	atomic_store(&l->config.loans->refused, l->inspector);
}

// How many of the oldest loans all workers are through with; none when what one says cannot be.
static uint32_t through(struct lender *l)
{
	int32_t on_loan = (int32_t)(l->tail - l->head), least = on_loan;

	for (uint32_t i = 0; i < l->config.workers; i++) {
		// Acquire: what it read of the blocks, it has read (pairs with the worker's release).
		uint32_t done = atomic_load_explicit(&l->config.reply->worker[i].done, memory_order_acquire);
		int32_t of_worker = (int32_t)(done - l->head);

		if (of_worker > on_loan) {
			refuse(l);
			return 0;
		}
		if (of_worker < least)
			least = of_worker;
	}
	return least > 0 ? (uint32_t)least : 0; // less: from before it was attached
}

static bool put(struct lender *l, const struct loan *loan, uint32_t rx)
{
	const bool block = loan->kind == LOAN_BLOCK;
	struct loans *s = l->config.loans;

	if (l->tail - l->head == LOANS_MAX || (block && !l->config.lossless && l->of_rx[rx] >= l->config.share / 4))
		return false;
	l->lent[INDEX(l->tail)] = (struct lent){block ? loan->block : BLOCK_NONE, rx};
	s->ring[INDEX(l->tail)] = *loan;
	l->tail++;
	atomic_store_explicit(&s->tail, l->tail, memory_order_release);
	loans_ring(s);
	if (!block)
		return true;
	l->of_rx[rx]++;
	atomic_fetch_add(&s->lent_blocks, 1);
	atomic_fetch_add(&s->lent_packets, loan->packets);
	return true;
}

static void lend_waiting(struct lender *l)
{
	while (l->wait_head != l->wait_tail) {
		const struct waiting *w = &l->waiting[l->wait_head & l->wait_mask];

		if (!put(l, &w->loan, w->rx))
			return;
		l->wait_head++;
	}
}

static void shed(struct lender *l, const struct loan *loan)
{
	atomic_fetch_add(&l->config.loans->shed_blocks, 1);
	atomic_fetch_add(&l->config.loans->shed_packets, loan->packets);
}

bool lender_lend(struct lender *l, const struct loan *loan, uint32_t rx, bool scarce)
{
	bool taken, there;

	pthread_mutex_lock(&l->mutex);
	there = attach(l);
	if (l->config.lossless && atomic_load(&l->config.loans->inspector) != LOAN_NEVER) {
		l->waiting[l->wait_tail++ & l->wait_mask] = (struct waiting){*loan, rx};
		if (there)
			lend_waiting(l);
		taken = true;
	} else {
		taken = there && !scarce && put(l, loan, rx);
		if (!taken)
			shed(l, loan);
	}
	pthread_mutex_unlock(&l->mutex);
	return taken;
}

// The oldest of what has come back, or of what waits for an inspector that will never come.
static bool take_back(struct lender *l, uint32_t *ret_block)
{
	bool there = attach(l), never = atomic_load(&l->config.loans->inspector) == LOAN_NEVER;
	uint32_t count = there ? through(l) : l->tail - l->head;

	if (there)
		lend_waiting(l);
	if (there && l->config.claims && !claims_carry(l->config.claims))
		refuse(l);
	for (; count > 0; count--) {
		struct lent *lent = &l->lent[INDEX(l->head++)];

		if (lent->block == BLOCK_NONE)
			continue;
		l->of_rx[lent->rx]--;
		*ret_block = lent->block;
		return true;
	}
	if (!never || l->wait_head == l->wait_tail)
		return false;
	shed(l, &l->waiting[l->wait_head & l->wait_mask].loan);
	*ret_block = l->waiting[l->wait_head++ & l->wait_mask].loan.block;
	return true;
}

bool lender_returned(struct lender *l, uint32_t *ret_block)
{
	bool any;

	pthread_mutex_lock(&l->mutex);
	any = take_back(l, ret_block);
	pthread_mutex_unlock(&l->mutex);
	return any;
}

void lender_tick(struct lender *l, uint64_t ns)
{
	pthread_mutex_lock(&l->mutex);
	if (attach(l))
		put(l, &(struct loan){.kind = LOAN_TICK, .block = BLOCK_NONE, .ns = ns}, 0);
	pthread_mutex_unlock(&l->mutex);
}

bool lender_has_loans(struct lender *l)
{
	bool any;

	pthread_mutex_lock(&l->mutex);
	any = l->head != l->tail || l->wait_head != l->wait_tail;
	pthread_mutex_unlock(&l->mutex);
	return any;
}

bool lender_waits(struct lender *l)
{
	bool any;

	pthread_mutex_lock(&l->mutex);
	any = l->wait_head != l->wait_tail;
	pthread_mutex_unlock(&l->mutex);
	return any;
}

void lender_end(struct lender *l)
{
	pthread_mutex_lock(&l->mutex);
	attach(l);
	atomic_store(&l->config.loans->ending, LOAN_ENDS_BEHIND);
	loans_ring(l->config.loans);
	pthread_mutex_unlock(&l->mutex);
}

// SPDX-License-Identifier: Apache-2.0
// The lender against inspectors that are slow, die, come again and lie. What must hold, whatever they write: each block
// comes back exactly once, at most a quarter of a thread's blocks is on loan, and nothing is lent to a liar.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sealtap/block.h"
#include "sensor/recorder/claims.h"
#include "sensor/recorder/lender.h"

#define BLOCKS 64u
#define SHARE 32u // of each of two RX threads

struct world {
	struct loans loans;
	struct loan_reply reply;
	struct lender *lender;
	struct claims *claims;
};

static struct world *begin(uint32_t workers, bool lossless)
{
	struct world *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	struct lender_config config = {
	        .workers = workers, .blocks = BLOCKS, .rx_count = 2, .share = SHARE, .lossless = lossless};

	assert_non_null(w);
	memset(w, 0, sizeof(*w));
	config.loans = &w->loans;
	config.reply = &w->reply;
	atomic_store(&w->loans.inspector, 1);
	assert_int_equal(claims_new(&w->loans, &w->reply, workers, 2, &w->claims), 0);
	config.claims = w->claims;
	assert_int_equal(lender_new(&config, &w->lender), 0);
	return w;
}

static void end(struct world *w)
{
	lender_free(w->lender);
	claims_free(w->claims);
	free(w);
}

static bool lend(struct world *w, uint32_t block, uint32_t rx)
{
	const struct loan loan = {.kind = LOAN_BLOCK, .block = block, .packets = 10};

	return lender_lend(w->lender, &loan, rx, false);
}

static uint32_t back(struct world *w)
{
	uint32_t block;

	return lender_returned(w->lender, &block) ? block : BLOCK_NONE;
}

static void done(struct world *w, uint32_t worker, uint32_t number)
{
	atomic_store(&w->reply.worker[worker].done, number);
}

static void a_quarter_of_each_thread(void **state)
{
	struct world *w = begin(1, false);

	for (uint32_t i = 0; i < SHARE / 4; i++)
		assert_true(lend(w, i, 0));
	assert_false(lend(w, 20, 0));
	for (uint32_t i = 0; i < SHARE / 4; i++)
		assert_true(lend(w, SHARE + i, 1));
	assert_false(lend(w, SHARE + 20, 1));
	assert_int_equal(atomic_load(&w->loans.lent_blocks), 2 * (SHARE / 4));
	assert_int_equal(atomic_load(&w->loans.shed_blocks), 2);
	assert_int_equal(atomic_load(&w->loans.shed_packets), 20);
	assert_int_equal(back(w), BLOCK_NONE);
	done(w, 0, 1);
	assert_int_equal(back(w), 0);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_false(lend(w, SHARE + 20, 1)); // it was the other's
	assert_true(lend(w, 20, 0));
	end(w);
}

static void nothing_when_blocks_are_scarce(void **state)
{
	struct world *w = begin(1, false);
	const struct loan loan = {.kind = LOAN_BLOCK, .block = 3, .packets = 7};

	assert_false(lender_lend(w->lender, &loan, 0, true));
	assert_int_equal(atomic_load(&w->loans.shed_packets), 7);
	end(w);
}

static void the_slowest_worker_counts(void **state)
{
	struct world *w = begin(3, false);

	for (uint32_t i = 0; i < 4; i++)
		assert_true(lend(w, i, 0));
	done(w, 0, 4);
	done(w, 1, 4);
	assert_int_equal(back(w), BLOCK_NONE);
	done(w, 2, 2);
	assert_int_equal(back(w), 0);
	assert_int_equal(back(w), 1);
	assert_int_equal(back(w), BLOCK_NONE);
	end(w);
}

static void ticks_are_no_blocks(void **state)
{
	struct world *w = begin(1, false);

	lender_tick(w->lender, 5);
	assert_true(lend(w, 9, 0));
	lender_tick(w->lender, 6);
	assert_int_equal(w->loans.ring[0].kind, LOAN_TICK);
	assert_int_equal(w->loans.ring[0].ns, 5);
	assert_int_equal(w->loans.ring[1].block, 9);
	assert_int_equal(atomic_load(&w->loans.tail), 3);
	done(w, 0, 3);
	assert_true(lender_has_loans(w->lender));
	assert_int_equal(back(w), 9);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_false(lender_has_loans(w->lender));
	end(w);
}

static void a_liar_gets_nothing_more(void **state)
{
	struct world *w = begin(2, false);

	assert_true(lend(w, 1, 0));
	assert_true(lend(w, 2, 0));
	done(w, 0, 2);
	done(w, 1, 3); // of two
	assert_int_equal(back(w), BLOCK_NONE);
	assert_int_equal(atomic_load(&w->loans.refused), 1);
	assert_int_equal(back(w), 1); // from whom nothing is expected any more
	assert_int_equal(back(w), 2);
	assert_false(lend(w, 3, 0));
	done(w, 1, 2);
	assert_false(lend(w, 3, 0));
	atomic_store(&w->loans.inspector, 2); // another one
	assert_true(lend(w, 3, 0));
	assert_int_equal(atomic_load(&w->loans.attached), 2);
	assert_int_equal(atomic_load(&w->loans.first), 2);
	end(w);
}

static void going_back_gives_nothing(void **state)
{
	struct world *w = begin(1, false);

	assert_true(lend(w, 1, 0));
	done(w, 0, 1);
	assert_int_equal(back(w), 1);
	assert_true(lend(w, 2, 0));
	done(w, 0, 0);
	assert_int_equal(back(w), BLOCK_NONE);
	done(w, 0, UINT32_MAX - 5);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_int_equal(atomic_load(&w->loans.refused), 0);
	end(w);
}

static void the_next_begins_when_all_is_back(void **state)
{
	struct world *w = begin(1, false);

	assert_true(lend(w, 1, 0));
	assert_true(lend(w, 2, 0));
	atomic_store(&w->loans.inspector, LOAN_NOBODY);
	assert_false(lend(w, 3, 0));
	atomic_store(&w->loans.inspector, 2);
	assert_false(lend(w, 3, 0));
	assert_int_equal(atomic_load(&w->loans.attached), 1);
	assert_int_equal(back(w), 1);
	assert_int_equal(back(w), 2);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_int_equal(atomic_load(&w->loans.attached), 2);
	assert_true(lend(w, 3, 0));
	done(w, 0, 2); // as the one before left it
	assert_int_equal(back(w), BLOCK_NONE);
	end(w);
}

static void a_file_waits(void **state)
{
	struct world *w = begin(1, true);

	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_true(lend(w, i, i / SHARE));
	assert_false(lender_waits(w->lender)); // all are on loan
	atomic_store(&w->loans.inspector, LOAN_NOBODY);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(back(w), i);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_true(lend(w, i, i / SHARE)); // there is none, but one will come
	assert_true(lender_waits(w->lender));
	assert_int_equal(back(w), BLOCK_NONE);
	atomic_store(&w->loans.inspector, 2);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_false(lender_waits(w->lender));
	done(w, 0, 2 * BLOCKS);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(back(w), i);
	assert_int_equal(atomic_load(&w->loans.shed_blocks), 0);
	end(w);
}

static void a_file_does_not_wait_for_ever(void **state)
{
	struct world *w = begin(1, true);

	atomic_store(&w->loans.inspector, LOAN_NOBODY);
	assert_true(lend(w, 1, 0));
	assert_true(lend(w, 2, 0));
	atomic_store(&w->loans.inspector, LOAN_NEVER);
	assert_false(lend(w, 3, 0));
	assert_int_equal(back(w), 1);
	assert_int_equal(back(w), 2);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_int_equal(atomic_load(&w->loans.shed_blocks), 3);
	end(w);
}

static void another_recorder_begins_where_the_ring_is(void **state)
{
	struct world *w = begin(1, false);
	struct lender_config config = {.loans = &w->loans,
	        .reply = &w->reply,
	        .workers = 1,
	        .blocks = BLOCKS,
	        .rx_count = 2,
	        .share = SHARE,
	        .claims = w->claims};

	assert_true(lend(w, 1, 0));
	assert_true(lend(w, 2, 0));
	lender_free(w->lender);
	atomic_store(&w->loans.inspector, LOAN_NOBODY);
	assert_int_equal(lender_new(&config, &w->lender), 0);
	assert_int_equal(atomic_load(&w->loans.attached), LOAN_NOBODY);
	assert_int_equal(back(w), BLOCK_NONE);
	atomic_store(&w->loans.inspector, 2);
	assert_true(lend(w, 1, 0));
	assert_int_equal(atomic_load(&w->loans.first), 2);
	done(w, 0, 3);
	assert_int_equal(back(w), 1);
	end(w);
}

static void tell(struct world *w, uint32_t worker, uint64_t ns)
{
	struct loan_claims *v = &w->reply.claims[worker];

	v->ring[atomic_load(&v->told) % LOAN_CLAIMS].ns = ns;
	atomic_fetch_add(&v->told, 1);
}

// ns of the next claim that the RX thread gets; 0: there is none.
static uint64_t heard(struct world *w, uint32_t rx)
{
	struct loan_claim v;

	return claims_take(w->claims, rx, &v) ? v.ns : 0;
}

static void each_thread_hears_every_claim(void **state)
{
	struct world *w = begin(2, false);

	assert_true(lend(w, 1, 0));
	tell(w, 0, 11);
	tell(w, 1, 21);
	tell(w, 0, 12);
	assert_int_equal(heard(w, 0), 0);
	assert_int_equal(back(w), BLOCK_NONE); // the writer looks
	for (uint32_t rx = 0; rx < 2; rx++) {
		assert_int_equal(heard(w, rx), 11);
		assert_int_equal(heard(w, rx), 12);
		assert_int_equal(heard(w, rx), 21);
		assert_int_equal(heard(w, rx), 0);
	}
	assert_int_equal(atomic_load(&w->loans.heard[0]), 2);
	assert_int_equal(atomic_load(&w->loans.heard[1]), 1);
	end(w);
}

// A thread that does not listen keeps neither the others nor the inspector waiting.
static void a_deaf_thread_misses_some(void **state)
{
	struct world *w = begin(1, false);
	uint64_t ns = 0, last, count = 0;

	assert_true(lend(w, 1, 0));
	for (unsigned i = 0; i < 100; i++) {
		for (uint32_t k = 0; k < LOAN_CLAIMS; k++)
			tell(w, 0, ++ns);
		assert_int_equal(back(w), BLOCK_NONE);
		assert_int_equal(atomic_load(&w->loans.heard[0]), ns);
		for (uint64_t next = ns - LOAN_CLAIMS + 1; next <= ns; next++)
			assert_int_equal(heard(w, 0), next);
	}
	for (last = 0; (ns = heard(w, 1)) > 0; count++, last = ns)
		assert_int_equal(ns, last + 1);
	assert_true(count >= LOAN_CLAIMS && count < 100 * LOAN_CLAIMS);
	tell(w, 0, 5);
	assert_int_equal(back(w), BLOCK_NONE);
	assert_int_equal(heard(w, 1), 5);
	assert_int_equal(atomic_load(&w->loans.refused), 0);
	end(w);
}

static void more_claims_than_there_is_room_for_are_a_lie(void **state)
{
	const uint32_t lies[] = {LOAN_CLAIMS + 1, UINT32_MAX, UINT32_MAX / 2};

	for (unsigned i = 0; i < 3; i++) {
		struct world *w = begin(1, false);

		assert_true(lend(w, 1, 0));
		atomic_store(&w->reply.claims[0].told, lies[i]);
		assert_int_equal(back(w), BLOCK_NONE);
		assert_int_equal(atomic_load(&w->loans.refused), 1);
		assert_int_equal(heard(w, 0), 0);
		memset(&w->reply, 0, sizeof(w->reply)); // as the supervisor does before another one
		atomic_store(&w->loans.inspector, 2);
		assert_int_equal(back(w), 1);
		assert_true(lend(w, 2, 0));
		tell(w, 0, 9);
		assert_int_equal(back(w), BLOCK_NONE);
		assert_int_equal(heard(w, 0), 9);
		assert_int_equal(atomic_load(&w->loans.refused), 1);
		end(w);
	}
}

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct vandal {
	struct world *world;
	_Atomic bool stop;
};

// Writes whatever it likes wherever it can: near what is on loan, and far from it.
static void *vandalise(void *arg)
{
	struct vandal *v = arg;
	uint64_t seed = 0x2545f4914f6cdd1dull;

	while (!atomic_load(&v->stop)) {
		uint64_t r = random64(&seed);
		uint32_t tail = atomic_load(&v->world->loans.tail);
		uint32_t value = r & 1   ? tail
		                 : r & 2 ? tail - (uint32_t)(r >> 8) % 20
		                 : r & 4 ? tail + 1
		                         : (uint32_t)(r >> 32);

		atomic_store(&v->world->reply.worker[(r >> 3) & 1].done, value);
		atomic_fetch_add(&v->world->reply.claims[(r >> 4) & 1].told, r & 0xff00 ? 1 : (uint32_t)(r >> 32));
	}
	return NULL;
}

static void whatever_is_written_each_block_comes_back_once(void **state)
{
	struct vandal v = {.world = begin(2, false)};
	bool out[BLOCKS] = {0};
	uint32_t on_loan[2] = {0}, number = 1, lent = 0, block;
	uint64_t seed = 88172645463325252ull;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, vandalise, &v), 0);
	// As long as it takes the other thread, on a machine that is busy, to be caught often enough.
	for (int i = 0; i < 300000 || (i < 100000000 && (number <= 100 || lent <= 1000)); i++) {
		uint32_t id = (uint32_t)random64(&seed) % BLOCKS;

		if (!out[id] && lend(v.world, id, id / SHARE)) {
			out[id] = true;
			on_loan[id / SHARE]++;
			lent++;
			assert_true(on_loan[id / SHARE] <= SHARE / 4);
		}
		while (lender_returned(v.world->lender, &block)) {
			assert_true(block < BLOCKS && out[block]);
			out[block] = false;
			on_loan[block / SHARE]--;
		}
		if (atomic_load(&v.world->loans.refused) == number) // as the supervisor does
			atomic_store(&v.world->loans.inspector, ++number);
	}
	atomic_store(&v.stop, true);
	pthread_join(thread, NULL);
	atomic_store(&v.world->loans.inspector, LOAN_NOBODY);
	while (lender_returned(v.world->lender, &block)) {
		assert_true(block < BLOCKS && out[block]);
		out[block] = false;
	}
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_false(out[i]);
	assert_true(number > 100 && lent > 1000); // it was caught, and it did borrow
	end(v.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_thread_hears_every_claim),
	        cmocka_unit_test(a_deaf_thread_misses_some),
	        cmocka_unit_test(more_claims_than_there_is_room_for_are_a_lie),
	        cmocka_unit_test(a_quarter_of_each_thread),
	        cmocka_unit_test(nothing_when_blocks_are_scarce),
	        cmocka_unit_test(the_slowest_worker_counts),
	        cmocka_unit_test(ticks_are_no_blocks),
	        cmocka_unit_test(a_liar_gets_nothing_more),
	        cmocka_unit_test(going_back_gives_nothing),
	        cmocka_unit_test(the_next_begins_when_all_is_back),
	        cmocka_unit_test(a_file_waits),
	        cmocka_unit_test(a_file_does_not_wait_for_ever),
	        cmocka_unit_test(another_recorder_begins_where_the_ring_is),
	        cmocka_unit_test(whatever_is_written_each_block_comes_back_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

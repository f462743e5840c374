// SPDX-License-Identifier: Apache-2.0
// The ring and the doorbell between two threads, as the recorder uses them: what goes in comes out once and in order,
// what was written before a push is seen after the pop, and nobody sleeps through a bell. Meant for ThreadSanitizer
// too.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sensor/recorder/ring.h"

#define ITEMS 3000000u
#define SIZE 64u
#define NAPS 20000u

struct pair {
	struct ring there;
	struct ring back;
	struct doorbell there_bell;
	struct doorbell back_bell;
	uint64_t payload[SIZE]; // plain memory, handed over with its index
	uint64_t wrong;
};

static void pair_init(struct pair *p)
{
	*p = (struct pair){0};
	assert_int_equal(ring_init(&p->there, SIZE), 0);
	assert_int_equal(ring_init(&p->back, SIZE), 0);
}

static void pair_free(struct pair *p)
{
	ring_free(&p->there);
	ring_free(&p->back);
}

static uint32_t pop_waiting(struct ring *r, struct doorbell *d)
{
	uint32_t id;

	for (;;) {
		uint32_t seen = doorbell_read(d);

		if (ring_pop(r, &id))
			return id;
		doorbell_wait(d, seen, 10000);
	}
}

// Takes slots, checks what is in them, gives them back.
static void *consumer(void *arg)
{
	struct pair *p = arg;

	for (uint64_t n = 0; n < ITEMS; n++) {
		uint32_t slot = pop_waiting(&p->there, &p->there_bell);

		p->wrong += p->payload[slot] != n * 0x9E3779B97F4A7C15u;
		p->payload[slot] = 0;
		p->wrong += !ring_push(&p->back, slot);
		doorbell_ring(&p->back_bell);
	}
	return NULL;
}

static void everything_arrives_once_in_order(void **state)
{
	static struct pair p;
	pthread_t thread;

	pair_init(&p);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_true(ring_push(&p.back, i));
	assert_int_equal(pthread_create(&thread, NULL, consumer, &p), 0);
	for (uint64_t n = 0; n < ITEMS; n++) {
		uint32_t slot = pop_waiting(&p.back, &p.back_bell);

		p.payload[slot] = n * 0x9E3779B97F4A7C15u;
		assert_true(ring_push(&p.there, slot));
		doorbell_ring(&p.there_bell);
	}
	pthread_join(thread, NULL);
	assert_int_equal(p.wrong, 0);
	pair_free(&p);
}

static void *taker(void *arg)
{
	struct pair *p = arg;

	for (uint32_t n = 0; n < ITEMS;) {
		uint32_t id;

		if (!ring_pop(&p->there, &id))
			sched_yield();
		else
			p->wrong += id != n++;
	}
	return NULL;
}

// Nothing but the ring's own indices orders the two sides: a slot may be written again only when it has been read.
static void a_slot_is_not_used_again_too_early(void **state)
{
	static struct pair p;
	pthread_t thread;

	pair_init(&p);
	assert_int_equal(pthread_create(&thread, NULL, taker, &p), 0);
	for (uint32_t n = 0; n < ITEMS; n++)
		while (!ring_push(&p.there, n))
			sched_yield();
	pthread_join(thread, NULL);
	assert_int_equal(p.wrong, 0);
	pair_free(&p);
}

static void *echo(void *arg)
{
	struct pair *p = arg;

	for (uint32_t n = 0; n < NAPS; n++) {
		ring_push(&p->back, pop_waiting(&p->there, &p->there_bell));
		doorbell_ring(&p->back_bell);
	}
	return NULL;
}

// One item at a time: both sides sleep at nearly every step, so that a lost bell would cost ten seconds.
static void no_bell_is_lost(void **state)
{
	static struct pair p;
	struct timespec before, after;
	pthread_t thread;

	pair_init(&p);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(pthread_create(&thread, NULL, echo, &p), 0);
	for (uint32_t n = 0; n < NAPS; n++) {
		assert_true(ring_push(&p.there, n));
		doorbell_ring(&p.there_bell);
		assert_int_equal(pop_waiting(&p.back, &p.back_bell), n);
	}
	pthread_join(thread, NULL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 10);
	pair_free(&p);
}

static void a_full_ring_refuses_and_an_empty_one_gives_nothing(void **state)
{
	struct ring r;
	uint32_t id = 7;

	assert_int_equal(ring_init(&r, 5), 0); // rounded up to 8
	assert_false(ring_pop(&r, &id));
	assert_int_equal(id, 7);
	for (unsigned round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < 8; i++) {
			assert_int_equal(ring_backlog(&r), i);
			assert_true(ring_push(&r, i));
		}
		assert_false(ring_push(&r, 99));
		for (uint32_t i = 0; i < 8; i++) {
			assert_true(ring_pop(&r, &id));
			assert_int_equal(id, i);
		}
		assert_false(ring_pop(&r, &id));
	}
	ring_free(&r);
}

// Indices are 32 bits wide and wrap.
static void indices_wrap(void **state)
{
	struct ring r;
	uint32_t id;

	assert_int_equal(ring_init(&r, 4), 0);
	r.head = r.tail = r.head_seen = r.tail_seen = UINT32_MAX - 1;
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(ring_push(&r, i));
		assert_true(ring_push(&r, i + 1000));
		assert_int_equal(ring_backlog(&r), 2);
		assert_true(ring_pop(&r, &id));
		assert_int_equal(id, i);
		assert_true(ring_pop(&r, &id));
		assert_int_equal(id, i + 1000);
	}
	ring_free(&r);
}

static void a_bell_that_rang_since_does_not_wait(void **state)
{
	struct doorbell d = {0};
	struct timespec before, after;
	uint32_t seen = doorbell_read(&d);

	clock_gettime(CLOCK_MONOTONIC, &before);
	doorbell_ring(&d);
	doorbell_wait(&d, seen, 10000);
	seen = doorbell_read(&d);
	doorbell_wait(&d, seen, 20); // nobody rings: it comes back all the same
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec < 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_full_ring_refuses_and_an_empty_one_gives_nothing),
	        cmocka_unit_test(indices_wrap),
	        cmocka_unit_test(a_bell_that_rang_since_does_not_wait),
	        cmocka_unit_test(everything_arrives_once_in_order),
	        cmocka_unit_test(a_slot_is_not_used_again_too_early),
	        cmocka_unit_test(no_bell_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

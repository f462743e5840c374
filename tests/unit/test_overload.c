// SPDX-License-Identifier: Apache-2.0
// The level under pressure of the pool: which levels, how fast down, how slowly up, never beyond ceiling and floor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sensor/recorder/overload.h"

#define MS 1000000ULL
#define BLOCKS 64u

static void the_ladder_lies_between_ceiling_and_floor(void **state)
{
	static const struct {
		int ceiling, floor;
		unsigned steps;
		int level[OVERLOAD_STEPS_MAX];
	} rows[] = {
	        {-5, -20, 3, {-5, -10, -20}},
	        {1, -5, 3, {1, -1, -5}},
	        {-5, -5, 1, {-5}},
	        {19, -50, 8, {19, 9, 3, 1, -1, -5, -10, -20}},
	        {-7, -20, 3, {-7, -10, -20}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overload o;

		overload_init(&o, rows[i].ceiling, rows[i].floor);
		assert_int_equal(o.steps, rows[i].steps);
		for (unsigned k = 0; k < o.steps; k++)
			assert_int_equal(o.level[k], rows[i].level[k]);
		assert_int_equal(overload_level(&o), rows[i].ceiling);
	}
}

static void a_low_pool_lowers_one_step_at_a_time(void **state)
{
	uint64_t now = 1000 * MS;
	struct overload o;

	overload_init(&o, -5, -20);
	assert_true(overload_check(&o, now, BLOCKS / 2 - 1, BLOCKS));
	assert_int_equal(overload_level(&o), -10);
	// Not again before the first step could show.
	assert_false(overload_check(&o, now + 99 * MS, 0, BLOCKS));
	assert_true(overload_check(&o, now + 100 * MS, 0, BLOCKS));
	assert_int_equal(overload_level(&o), -20);
	assert_false(overload_check(&o, now + 1000 * MS, 0, BLOCKS));
	assert_int_equal(overload_level(&o), -20);
	assert_int_equal(o.lowered, 2);
}

static void lasting_room_raises_and_a_moment_does_not(void **state)
{
	uint64_t now = 1000 * MS;
	struct overload o;

	overload_init(&o, -5, -20);
	assert_true(overload_check(&o, now, 0, BLOCKS));
	for (unsigned s = 1; s <= 20; s++) { // room, but never for five seconds
		assert_false(overload_check(&o, now + s * 2000 * MS, BLOCKS, BLOCKS));
		assert_false(overload_check(&o, now + s * 2000 * MS + 1999 * MS, BLOCKS / 2, BLOCKS));
	}
	now += 100000 * MS;
	assert_false(overload_check(&o, now, BLOCKS, BLOCKS));
	assert_false(overload_check(&o, now + 4999 * MS, BLOCKS, BLOCKS));
	assert_true(overload_check(&o, now + 5000 * MS, BLOCKS, BLOCKS));
	assert_int_equal(overload_level(&o), -5);
	assert_false(overload_check(&o, now + 50000 * MS, BLOCKS, BLOCKS));
	assert_int_equal(o.raised, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_ladder_lies_between_ceiling_and_floor),
	        cmocka_unit_test(a_low_pool_lowers_one_step_at_a_time),
	        cmocka_unit_test(lasting_room_raises_and_a_moment_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

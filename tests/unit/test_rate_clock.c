// SPDX-License-Identifier: Apache-2.0
// Ticks to time: the rate is measured, drift and steps of the clock are followed, frames older than the anchor are
// right.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sensor/sources/rate_clock.h"

#define START_NS 1700000000000000000ULL
#define START_TICKS 987654321987ULL

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

// Anchors every 100 ms of a counter that runs at hz; in between, the clock must tell the time to within 100 ns.
static void measures(uint64_t hz)
{
	struct rate_clock c;
	uint64_t last = START_TICKS;

	rate_clock_init(&c, 0, START_TICKS, START_NS);
	rate_clock_anchor(&c, START_TICKS + hz / 25, START_NS + 40000000);
	for (uint64_t ms = 100; ms < 60000; ms += 100) {
		uint64_t ticks = START_TICKS + (uint64_t)((unsigned __int128)hz * (ms + 73) / 1000);

		assert_true(apart(rate_clock_ns(&c, ticks), START_NS + (ms + 73) * 1000000) < 100);
		assert_true(apart(rate_clock_ns(&c, START_TICKS + hz / 50), START_NS + 20000000) < 100000);
		last = START_TICKS + (uint64_t)((unsigned __int128)hz * ms / 1000);
		rate_clock_anchor(&c, last, START_NS + ms * 1000000);
		assert_int_equal(rate_clock_ns(&c, last), START_NS + ms * 1000000);
	}
}

static void test_rates(void **state)
{
	static const uint64_t hz[] = {25000000, 125000000, 1000000000, 2394374000, 5200000000};

	for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++)
		measures(hz[i]);
}

static void test_step_forward_and_back(void **state)
{
	static const int64_t steps[] = {3600000000000LL, -3600000000000LL, 1000000, -1000000, 37000000000LL};
	const uint64_t hz = 2000000000;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct rate_clock c;
		uint64_t ticks = START_TICKS, ns = START_NS;

		rate_clock_init(&c, 0, ticks, ns);
		for (int n = 0; n < 200; n++) {
			ticks += hz / 10;
			ns += 100000000;
			if (n == 100)
				ns += (uint64_t)steps[i];
			rate_clock_anchor(&c, ticks, ns);
			// The rate does not learn from a step, so that 50 ms later the time is right at once.
			if (n > 0)
				assert_true(apart(rate_clock_ns(&c, ticks + hz / 20), ns + 50000000) < 60000);
		}
	}
}

static void test_slewed_clock_is_followed(void **state)
{
	const uint64_t hz = 3000000000;
	uint64_t ticks = START_TICKS, ns = START_NS;
	struct rate_clock c;

	rate_clock_init(&c, 0, ticks, ns);
	for (int n = 0; n < 3000; n++) {
		ticks += hz / 10;
		ns += n < 100 ? 100000000 : 100050000; // adjtimex: 500 ppm faster
		rate_clock_anchor(&c, ticks, ns);
	}
	assert_true(apart(rate_clock_ns(&c, ticks + hz / 10), ns + 100050000) < 1000);
}

static void test_counter_that_stands_or_wraps(void **state)
{
	struct rate_clock c;

	rate_clock_init(&c, 1000000000, 500, START_NS);
	rate_clock_anchor(&c, 500, START_NS + 100000000);
	rate_clock_anchor(&c, 100, START_NS + 200000000);
	assert_int_equal(rate_clock_ns(&c, 100), START_NS + 200000000);
	assert_int_equal(rate_clock_ns(&c, 1100), START_NS + 200001000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rates),
	        cmocka_unit_test(test_step_forward_and_back),
	        cmocka_unit_test(test_slewed_clock_is_followed),
	        cmocka_unit_test(test_counter_that_stands_or_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

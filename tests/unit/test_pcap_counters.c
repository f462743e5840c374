// SPDX-License-Identifier: Apache-2.0
// libpcap counts in 32 bits; what a lane counts does not wrap with it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sensor/sources/pcap_driver.h"

static void counts_survive_a_wrap(void **state)
{
	uint64_t sum = 0;
	uint32_t last = 0;

	pcap_driver_count(&sum, &last, 4000000000u);
	assert_int_equal(sum, 4000000000u);
	pcap_driver_count(&sum, &last, 4000000000u);
	assert_int_equal(sum, 4000000000u);
	pcap_driver_count(&sum, &last, 5); // 294,967,296 to the wrap, and 5
	assert_true(sum == 4294967301u);
	pcap_driver_count(&sum, &last, 4);
	assert_true(sum == 8589934596u); // 2^33 + 4: all but one of another 2^32
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counts_survive_a_wrap)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

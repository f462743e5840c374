// SPDX-License-Identifier: Apache-2.0
// A worker of the inspector, without the processes round it: what it shows of itself while it tells records.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/inspector/worker.h"

// The supervisor ends an inspector that makes no headway. Telling all flows at the end takes as long as the flow log
// needs, so each record that it takes, and each that it does not, must be seen at once and not when all are told.
static void each_record_told_is_headway(void **state)
{
	const struct flow_record record = {.ip_version = 4};
	static struct loan_reply reply;
	const struct inspection inspection = {.reply = &reply, .workers = 3};
	static struct worker w;
	int pair[2];

	w.inspection = &inspection;
	w.index = 2;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	teller_init(&w.teller, pair[0], 0);
	for (unsigned told = 1; told <= 3; told++) {
		worker_record(&w, &record);
		assert_int_equal(atomic_load(&reply.worker[2].records), told);
	}
	close(pair[1]);
	worker_record(&w, &record);
	assert_int_equal(atomic_load(&reply.worker[2].records), 3);
	assert_int_equal(atomic_load(&reply.worker[2].records_lost), 1);
	assert_int_equal(atomic_load(&reply.worker[0].records), 0);
	close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_record_told_is_headway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

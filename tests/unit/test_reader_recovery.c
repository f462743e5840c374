// SPDX-License-Identifier: Apache-2.0
// The statement that `recover` would make about the vector "recovered" is the one that the vectors' script made.
#include "tests/unit/reader_fixture.h"

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recovery_scan.h"

static void the_statement_is_that_of_the_vector(void **state)
{
	struct recovery_scan *scan;
	char path[PATH_ROOM], *text, want[8192];
	struct fixture f;
	json_t *statement, *there;
	uint64_t t_real;
	size_t len;
	ssize_t n;
	int dirfd, fd;

	fixture_make(&f, "recovered");
	snprintf(path, sizeof(path), "%s/recording", f.dir);
	dirfd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(dirfd >= 0);
	fd = openat(dirfd, "recovery.json", O_RDONLY);
	n = read(fd, want, sizeof(want));
	assert_true(n > 0 && n < (ssize_t)sizeof(want));
	close(fd);
	assert_int_equal(unlinkat(dirfd, "recovery.json", 0), 0);

	there = json_loadb(want, (size_t)n, 0, NULL);
	assert_int_equal(time_parse(json_string_value(json_object_get(there, "t_real")), &t_real), 0);
	assert_int_equal(recovery_scan(&(struct recording_dir){.fd = dirfd}, &scan), 0);
	assert_int_equal(scan->report->by_verdict[VERDICT_INVALID], 0);
	statement = recovery_statement(scan, t_real);
	assert_non_null(statement);
	text = ledger_line_print(statement, RECOVERY_MAX, &len);
	assert_int_equal(len, n);
	assert_memory_equal(text, want, len);
	free(text);
	json_decref(statement);
	json_decref(there);
	recovery_scan_free(scan);
	close(dirfd);
	fixture_remove(&f);
}

static void a_closed_recording_has_nothing_to_recover(void **state)
{
	struct recovery_scan *scan;
	char path[PATH_ROOM];
	struct fixture f;
	int dirfd;

	fixture_make(&f, "minimal");
	snprintf(path, sizeof(path), "%s/recording", f.dir);
	dirfd = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(recovery_scan(&(struct recording_dir){.fd = dirfd}, &scan), 0);
	assert_true(scan->report->closed);
	assert_int_equal(scan->segment_count, 0);
	recovery_scan_free(scan);
	close(dirfd);
	fixture_remove(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_statement_is_that_of_the_vector),
	        cmocka_unit_test(a_closed_recording_has_nothing_to_recover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

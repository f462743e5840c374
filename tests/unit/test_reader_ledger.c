// SPDX-License-Identifier: Apache-2.0
// Ledger lines by the table of types, lines out of files, and the law of counters. Expected results are from
// sections 2.1-2.3.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/ledger_file.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/evidence/reader/verify_state.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define COMMON(type)                                                                                                   \
	"{\"seq\":7,\"prev\":\"" ZEROS "\",\"type\":\"" type                                                           \
	"\",\"t_real\":\"1700000000.000000001\",\"t_boot\":\"5.000000000\",\"nonce\":"                                 \
	"\"000102030405060708090a0b0c0d0e0f\""

static int take(const char *text, struct ledger_line *line, struct field_fault *fault)
{
	json_t *object;
	int r = ledger_line_parse(text, strlen(text), LEDGER_LINE_MAX, &object);

	if (r < 0)
		return r;
	r = ledger_line_take(object, line, fault);
	json_decref(object);
	return r;
}

static void lines_are_taken_by_the_table(void **state)
{
	static const struct {
		int expected;
		const char *text;
	} rows[] = {
	        {0, COMMON("heartbeat") "}"},
	        {-EBADMSG, COMMON("heartbeat") ",\"more\":1}"},
	        {-EBADMSG, COMMON("flows") "}"},
	        {0, COMMON("mark") ",\"by\":\"me\",\"text\":\"\\u00E9\"}"},
	        {-EBADMSG, COMMON("mark") ",\"text\":\"a\",\"by\":\"me\"}"},
	        {-EBADMSG, COMMON("mark") ",\"by\":\"me\"}"},
	        {-EBADMSG, COMMON("mark") ",\"by\":\"me\",\"text\":null}"},
	        {0, COMMON("loss") ",\"lane\":4095,\"cause\":\"crash\",\"frames\":\"18446744073709551615\","
	                           "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("loss") ",\"lane\":4096,\"cause\":\"crash\",\"frames\":\"1\","
	                                  "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("loss") ",\"lane\":-1,\"cause\":\"crash\",\"frames\":\"1\","
	                                  "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("loss") ",\"lane\":0,\"cause\":\"wish\",\"frames\":\"1\","
	                                  "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("loss") ",\"lane\":0,\"cause\":\"pool\",\"frames\":1,"
	                                  "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("loss") ",\"lane\":0,\"cause\":\"pool\",\"frames\":\"1\","
	                                  "\"t_first\":\"0.00000000\",\"t_last\":\"1.999999999\"}"},
	        {0, COMMON("shunt") ",\"lane\":4095,\"frames\":\"1\",\"bytes\":\"18446744073709551615\","
	                            "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("shunt") ",\"lane\":4096,\"frames\":\"1\",\"bytes\":\"1\","
	                                   "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("shunt") ",\"lane\":0,\"frames\":\"1\","
	                                   "\"t_first\":\"0.000000000\",\"t_last\":\"1.999999999\"}"},
	        {-EBADMSG, COMMON("progress") ",\"segments\":[],\"sync_ns_max\":\"0\"}"},
	        {-EBADMSG, COMMON("progress") ",\"segments\":{},\"sync_ns_max\":\"0\"}"},
	        {0, COMMON("key") ",\"epoch\":2,\"public_key\":\"" ZEROS "\"}"},
	        {-EBADMSG, COMMON("key") ",\"epoch\":2,\"public_key\":\"" ZEROS "0\"}"},
	        {0, COMMON("close") ",\"reason\":\"signal\",\"segments\":\"0\",\"packets\":\"0\"}"},
	        {-EBADMSG, COMMON("close") ",\"reason\":\"boredom\",\"segments\":\"0\",\"packets\":\"0\"}"},
	        {-EBADMSG, "{\"seq\":0}"},
	        {-EBADMSG, "{}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct field_fault fault = {0};
		struct ledger_line line;
		int r = take(rows[i].text, &line, &fault);

		if (r != rows[i].expected)
			fail_msg("row %zu: %d, key %s", i, r, fault.key ? fault.key : "");
		if (r == 0) {
			assert_int_equal(line.seq, 7);
			assert_int_equal(line.t_real, 1700000000000000001);
			assert_int_equal(line.nonce[15], 0x0f);
		}
	}
}

static void optional_keys_set_their_bit(void **state)
{
	struct field_fault fault = {0};
	struct ledger_line line;

	assert_int_equal(
	        take(COMMON("source") ",\"index\":0,\"name\":\"a\",\"format\":\"pcapng\",\"bytes\":\"9\",\"sha256\":"
	                              "\"" ZEROS "\",\"packets\":\"1\",\"ts_truncated\":\"0\",\"ts_out_of_range\":"
	                              "\"0\",\"damage\":{\"offset\":\"5\","
	                              "\"reason\":\"cut\"}}",
	                &line, &fault),
	        0);
	assert_int_equal(line.source.has, SOURCE_HAS_DAMAGE);
	assert_int_equal(line.source.damage_offset, 5);
	assert_int_equal(take(COMMON("source") ",\"index\":0,\"name\":\"a\",\"format\":\"pcapng\",\"bytes\":\"9\","
	                                       "\"sha256\":\"" ZEROS
	                                       "\",\"packets\":\"1\",\"ts_truncated\":\"0\",\"ts_out_of_range\":\"0\"}",
	                         &line, &fault),
	        0);
	assert_int_equal(line.source.has, 0);
}

static void the_law_of_counters(void **state)
{
	struct counters c = {.received = 10, .recorded = 5, .filtered = 2, .dropped = {1, 1, 1, 0}};

	assert_true(counters_lawful(&c, false));
	c.received = 11;
	assert_false(counters_lawful(&c, false));
	// A sum that wraps around to the right value is no sum.
	c = (struct counters){.received = 1, .recorded = UINT64_MAX, .filtered = 2};
	assert_false(counters_lawful(&c, false));
	c = (struct counters){.received = 3, .recorded = 2, .shunted = 1};
	assert_false(counters_lawful(&c, false)); // nothing said that frames may be left out
	assert_true(counters_lawful(&c, true));
	c.shunted = 2;
	assert_false(counters_lawful(&c, true));
	c = (struct counters){
	        .driver_dropped = 6, .xsk = {1, 2, 3, 4}, .driver_mask = COUNTERS_DRIVER_DROPPED | COUNTERS_XDP};
	assert_true(counters_lawful(&c, false)); // fill_empty is no frame
	c.driver_dropped = 10;
	assert_false(counters_lawful(&c, false));
	c.driver_mask = COUNTERS_DRIVER_DROPPED;
	assert_true(counters_lawful(&c, false));
	c.driver_mask = COUNTERS_XDP;
	assert_false(counters_lawful(&c, false));
	c = (struct counters){.xsk = {1, UINT64_MAX}, .driver_mask = COUNTERS_DRIVER_DROPPED | COUNTERS_XDP};
	assert_false(counters_lawful(&c, false));
}

static void counters_that_fall_are_named(void **state)
{
	struct counters a = {.received = 3, .recorded = 2, .dropped = {0, 1}}, b = a;

	assert_null(counters_decrease(&a, &b));
	b.dropped[DROP_DISK] = 0;
	assert_string_equal(counters_decrease(&a, &b), "disk");
	b = a;
	a.driver_dropped = 5;
	a.driver_mask = COUNTERS_DRIVER_DROPPED;
	assert_null(counters_decrease(&a, &b)); // absent is not zero
	b.driver_mask = COUNTERS_DRIVER_DROPPED;
	assert_string_equal(counters_decrease(&a, &b), "driver.dropped");
	b = a;
	a.nic[NIC_MISSED] = 5;
	a.driver_mask |= COUNTERS_NIC;
	assert_null(counters_decrease(&a, &b));
	b.driver_mask |= COUNTERS_NIC;
	assert_string_equal(counters_decrease(&a, &b), "missed");
	b = a;
	a.xsk[XSK_FILL_EMPTY] = 5;
	a.driver_mask |= COUNTERS_XDP;
	assert_null(counters_decrease(&a, &b));
	b.driver_mask |= COUNTERS_XDP;
	assert_string_equal(counters_decrease(&a, &b), "fill_empty");
}

static char dir[] = "/tmp/sealtap-test-XXXXXX";

static void with_ledger(const char *text, size_t len, struct ledger_file *f)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	int fd = openat(dirfd, "ledger.jsonl", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	assert_int_equal(ledger_file_open(dirfd, f), 0);
	close(dirfd);
}

static void lines_come_with_their_lf_and_a_torn_one_is_told(void **state)
{
	struct ledger_file f;
	const char *line;
	size_t len;

	with_ledger("ab\n\ncdef\nxy", 11, &f);
	assert_int_equal(ledger_file_next(&f, &line, &len), 1);
	assert_int_equal(len, 3);
	assert_int_equal(ledger_file_next(&f, &line, &len), 1);
	assert_int_equal(len, 1);
	assert_int_equal(ledger_file_next(&f, &line, &len), 1);
	assert_memory_equal(line, "cdef\n", 5);
	assert_int_equal(ledger_file_next(&f, &line, &len), -ENODATA);
	ledger_file_close(&f);
}

static void lines_end_at_their_limit(void **state)
{
	size_t count = 9, each = LEDGER_LINE_MAX + 1, len;
	char *text = malloc(count * each + 1);
	struct ledger_file f;
	const char *line;

	memset(text, 'x', count * each + 1);
	for (size_t i = 1; i <= count; i++)
		text[i * each - 1] = '\n';
	with_ledger(text, count * each, &f);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(ledger_file_next(&f, &line, &len), 1);
		assert_int_equal(len, each);
	}
	assert_int_equal(ledger_file_next(&f, &line, &len), 0);
	ledger_file_close(&f);

	memset(text, 'x', each);
	text[each] = '\n';
	with_ledger(text, each + 1, &f);
	assert_int_equal(ledger_file_next(&f, &line, &len), -EBADMSG);
	ledger_file_close(&f);
	free(text);
}

static int remove_dir(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/ledger.jsonl", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_are_taken_by_the_table),
	        cmocka_unit_test(optional_keys_set_their_bit),
	        cmocka_unit_test(the_law_of_counters),
	        cmocka_unit_test(counters_that_fall_are_named),
	        cmocka_unit_test(lines_come_with_their_lf_and_a_torn_one_is_told),
	        cmocka_unit_test(lines_end_at_their_limit),
	};

	if (!mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, remove_dir);
}

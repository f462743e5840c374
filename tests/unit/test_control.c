// SPDX-License-Identifier: Apache-2.0
// What may come over a control socket, and what of it is a request: everything else is refused, whatever its length.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sensor/ipc/control.h"

static union control_request request(uint32_t type, size_t len)
{
	union control_request m;

	memset(&m, 0, sizeof(m));
	m.h = (struct control_header){.magic = CONTROL_MAGIC, .type = type, .len = (uint32_t)len};
	return m;
}

static int mark_with(const char *text)
{
	union control_request m = request(CONTROL_MARK, sizeof(m.mark));

	memcpy(m.mark.text, text, strlen(text));
	return control_request_check(&m, sizeof(m.mark));
}

static void takes_requests_only(void **state)
{
	union control_request m = request(CONTROL_STATUS, sizeof(m.status));

	assert_int_equal(control_request_check(&m, sizeof(m.status)), CONTROL_STATUS);
	assert_int_equal(mark_with("a note"), CONTROL_MARK);
	for (uint32_t type = 0; type < 40; type++) {
		m = request(type, sizeof(m.status));
		if (type != CONTROL_STATUS)
			assert_int_equal(control_request_check(&m, sizeof(m.status)), -EBADMSG);
		m = request(type, sizeof(m.mark));
		strcpy(m.mark.text, "a note");
		if (type != CONTROL_MARK)
			assert_int_equal(control_request_check(&m, sizeof(m.mark)), -EBADMSG);
	}
}

static void takes_no_other_length(void **state)
{
	for (size_t len = 0; len <= sizeof(union control_request); len++) {
		// Of what was received, of what the header says, of both.
		union control_request m = request(CONTROL_STATUS, sizeof(m.status));

		if (len != sizeof(m.status)) {
			assert_int_equal(control_request_check(&m, len), -EBADMSG);
			m.h.len = (uint32_t)len;
			assert_int_equal(control_request_check(&m, sizeof(m.status)), -EBADMSG);
			assert_int_equal(control_request_check(&m, len), -EBADMSG);
		}
		m = request(CONTROL_MARK, sizeof(m.mark));
		strcpy(m.mark.text, "a note");
		if (len != sizeof(m.mark)) {
			assert_int_equal(control_request_check(&m, len), -EBADMSG);
			m.h.len = (uint32_t)len;
			assert_int_equal(control_request_check(&m, sizeof(m.mark)), -EBADMSG);
			assert_int_equal(control_request_check(&m, len), -EBADMSG);
		}
	}
}

static void takes_no_other_header(void **state)
{
	union control_request m = request(CONTROL_STATUS, sizeof(m.status));

	m.h.magic ^= 1;
	assert_int_equal(control_request_check(&m, sizeof(m.status)), -EBADMSG);
	m = request(CONTROL_STATUS, sizeof(m.status));
	m.h.reserved = 1;
	assert_int_equal(control_request_check(&m, sizeof(m.status)), -EBADMSG);
}

static void takes_one_line_of_text(void **state)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
	        {"Phase 2", CONTROL_MARK},
	        {"\"quotes\" and \\", CONTROL_MARK},
	        {"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x93\xa6", CONTROL_MARK}, // two, three, four bytes
	        {"\xc2\xa0x", CONTROL_MARK},                            // the first behind the controls
	        {"", -EBADMSG},
	        {"   ", -EBADMSG},
	        {"two\nlines", -EBADMSG},
	        {"tab\tbed", -EBADMSG},
	        {"\x1b[2J", -EBADMSG},
	        {"del\x7f", -EBADMSG},
	        {"c1 \xc2\x9b", -EBADMSG}, // the terminals' other escape
	        {"latin1 \xe9", -EBADMSG},
	        {"cut \xe6\x97", -EBADMSG},
	        {"overlong \xc0\xaf", -EBADMSG},
	        {"surrogate \xed\xa0\x80", -EBADMSG},
	        {"beyond \xf4\x90\x80\x80", -EBADMSG},
	        {"alone \x80", -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (mark_with(cases[i].text) != cases[i].result)
			fail_msg("\"%s\"", cases[i].text);
}

static void takes_no_endless_text(void **state)
{
	union control_request m = request(CONTROL_MARK, sizeof(m.mark));

	memset(m.mark.text, 'x', sizeof(m.mark.text));
	assert_int_equal(control_request_check(&m, sizeof(m.mark)), -EBADMSG);
	m.mark.text[sizeof(m.mark.text) - 1] = '\0';
	assert_int_equal(control_request_check(&m, sizeof(m.mark)), CONTROL_MARK);
}

static void takes_answers_that_end(void **state)
{
	static union control_answer m;

	m.h = (struct control_header){.magic = CONTROL_MAGIC, .type = CONTROL_RUN, .len = sizeof(m.run)};
	m.run.state = CONTROL_CAPTURING;
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), CONTROL_RUN);
	assert_int_equal(control_answer_check(&m, sizeof(m.run) - 1), -EBADMSG);
	m.run.lanes = LANES_MAX + 1;
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), -EBADMSG);
	m.run.lanes = LANES_MAX;
	memset(m.run.sensor, 'x', sizeof(m.run.sensor));
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), -EBADMSG);
	memset(m.run.sensor, 0, sizeof(m.run.sensor));
	m.run.exports = JOB_EXPORTS_MAX + 1;
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), -EBADMSG);
	m.run.exports = JOB_EXPORTS_MAX;
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), CONTROL_RUN);
	memset(m.run.export[JOB_EXPORTS_MAX - 1].target, 'x', sizeof(m.run.export[0].target));
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), -EBADMSG);
	m.run.exports = 0;
	memset(m.run.incident.detail, 'x', sizeof(m.run.incident.detail));
	assert_int_equal(control_answer_check(&m, sizeof(m.run)), -EBADMSG);

	memset(&m, 0, sizeof(m));
	m.h = (struct control_header){.magic = CONTROL_MAGIC, .type = CONTROL_LANE, .len = sizeof(m.lane)};
	assert_int_equal(control_answer_check(&m, sizeof(m.lane)), CONTROL_LANE);
	memset(m.lane.source, 'x', sizeof(m.lane.source));
	assert_int_equal(control_answer_check(&m, sizeof(m.lane)), -EBADMSG);

	memset(&m, 0, sizeof(m));
	m.h = (struct control_header){.magic = CONTROL_MAGIC, .type = CONTROL_MARKED, .len = sizeof(m.marked)};
	assert_int_equal(control_answer_check(&m, sizeof(m.marked)), CONTROL_MARKED);
	memset(m.marked.by, 'x', sizeof(m.marked.by));
	assert_int_equal(control_answer_check(&m, sizeof(m.marked)), -EBADMSG);
}

static void takes_names_of_sockets_only(void **state)
{
	static const char *const bad[] = {"", ".", "..", "12-0123abcd", "12-0123abcd.sock.sock", "-1-0123abcd.sock",
	        "0-0123abcd.sock", "12-0123abc.sock", "12-0123ABCD.sock", ".12-0123abcd.sock", "12-0123abcd.sock/",
	        "../12-0123abcd.sock", "12-0123abcde.sock", " 12-0123abcd.sock"};

	assert_true(control_name_ok("12-0123abcd.sock"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (control_name_ok(bad[i]))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(takes_requests_only),
	        cmocka_unit_test(takes_no_other_length),
	        cmocka_unit_test(takes_no_other_header),
	        cmocka_unit_test(takes_one_line_of_text),
	        cmocka_unit_test(takes_no_endless_text),
	        cmocka_unit_test(takes_answers_that_end),
	        cmocka_unit_test(takes_names_of_sockets_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

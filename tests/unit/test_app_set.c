// SPDX-License-Identifier: Apache-2.0
// analyzers/app_set.h with the library that is built in: which names are applications, and which flows are of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "analyzers/app_set.h"

static struct dpi *dpi;

static uint16_t number(const char *name)
{
	int i = app_find(dpi, name, strlen(name));

	assert_true(i > 0);
	return (uint16_t)i;
}

static void names_are_found_in_any_case(void **state)
{
	assert_int_equal(number("http"), number("HTTP"));
	assert_int_not_equal(number("http"), number("tls"));
	assert_string_equal(dpi_app_name(dpi, number("youtube")), "YouTube");
	assert_int_equal(app_find(dpi, "httpx", 5), -1);
	assert_true(app_find(dpi, "httpx", 4) > 0);
	assert_int_equal(app_find(dpi, "", 0), -1);
}

static void lists(void **state)
{
	const struct {
		const char *list, *failed; // what the first name that is none begins with
		unsigned count;
	} rows[] = {
	        {"HTTP", NULL, 1},
	        {"http,TLS.YouTube,dns", NULL, 3},
	        {"HTTP,,DNS", ",DNS", 2},
	        {"HTTP,", "", 1},
	        {",HTTP", ",HTTP", 1},
	        {"", "", 0},
	        {"HTTP, DNS", " DNS", 1},
	        {"Unknown", "Unknown", 0},
	        {"TLS.", "TLS.", 0},
	        {".YouTube", ".YouTube", 0},
	        {"TLS.Unknown", "TLS.Unknown", 0},
	        {"Unknown.YouTube", "Unknown.YouTube", 0},
	        {"nosuch.YouTube,alsono,DNS", "nosuch.YouTube,", 1},
	        {"dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns", NULL, 16},
	        {"dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,dns,tls", "tls", 16},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = NULL;
		struct app_set set;
		size_t len = app_set_read(&set, dpi, rows[i].list, &name);

		assert_int_equal(set.count, rows[i].count);
		assert_int_equal(len > 0, rows[i].failed != NULL);
		if (rows[i].failed)
			assert_int_equal(strncmp(name, rows[i].failed, strlen(rows[i].failed)), 0);
	}
}

static bool has(const char *list, uint16_t master, uint16_t proto)
{
	struct flow flow = {.app_master = master, .app_proto = proto};
	const char *name;
	struct app_set set;

	assert_int_equal(app_set_read(&set, dpi, list, &name), 0);
	return app_set_has(&set, &flow);
}

static void flows_are_of_what_carries_them_too(void **state)
{
	const uint16_t tls = number("TLS"), youtube = number("YouTube"), dns = number("DNS");

	assert_true(has("YouTube", tls, youtube));
	assert_true(has("TLS", tls, youtube));
	assert_true(has("TLS.YouTube", tls, youtube));
	assert_false(has("DNS.YouTube", tls, youtube));
	assert_false(has("TLS.YouTube", tls, 0));
	assert_false(has("TLS.YouTube", 0, youtube));
	assert_true(has("DNS,TLS", 0, tls));
	assert_true(has("dns,tls", dns, 0));
	assert_false(has("DNS,YouTube", 0, tls));
	assert_false(has("DNS,YouTube,TLS", 0, 0)); // not known yet, or never
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_are_found_in_any_case),
	        cmocka_unit_test(lists),
	        cmocka_unit_test(flows_are_of_what_carries_them_too),
	};
	int r;

	if (!dpi_library())
		return 77; // skipped: built without nDPI
	if (dpi_new(&(struct dpi_config){.states_max = 1}, &dpi) < 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	dpi_free(dpi);
	return r;
}

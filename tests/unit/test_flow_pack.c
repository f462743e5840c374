// SPDX-License-Identifier: Apache-2.0
// Flow records between processes: what was packed comes back, and what a liar packed leads nowhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/flow_pack.h"

static struct flow_record sample(void)
{
	struct flow_record r = {.start_ns = 5,
	        .end_ns = 9,
	        .ip_version = 4,
	        .proto = 6,
	        .vlan_count = 1,
	        .vlan = {7},
	        .groups = FLOW_GROUP_APP | FLOW_GROUP_TLS,
	        .community_id = "1:abc",
	        .app = "TLS.Example",
	        .category = "Web",
	        .risks = {"Self-signed", "Weak cipher"},
	        .risk_count = 2,
	        .recording = "00ff",
	        .sensor = "s",
	        .complete = "yes"};

	r.text[FLOW_TEXT_HOST] = "www.example.org";
	return r;
}

static void test_round_trip(void **state)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	struct flow_record r = sample(), back;
	int len = flow_pack(&r, packed);

	assert_true(len > 0);
	assert_int_equal(flow_unpack(packed, (size_t)len, &back), 0);
	assert_int_equal(back.end_ns, 9);
	assert_string_equal(back.category, "Web");
	assert_null(back.confidence);
	assert_string_equal(back.risks[1], "Weak cipher");
	assert_string_equal(back.text[FLOW_TEXT_HOST], "www.example.org");
	assert_string_equal(back.complete, "yes");
}

static void test_too_long(void **state)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	static char text[FLOW_PACKED_MAX];
	struct flow_record r = sample();

	memset(text, 'x', sizeof(text) - 1);
	r.text[FLOW_TEXT_HTTP_URL] = text;
	assert_int_equal(flow_pack(&r, packed), -EMSGSIZE);
}

static bool inside(const char *text, const uint8_t *data, size_t len)
{
	return !text || (text >= (const char *)data && text + strlen(text) < (const char *)data + len);
}

// Every byte changed in several ways, every length cut: in a buffer of its exact size, for sanitizers to watch.
static void test_liars(void **state)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	struct flow_record r = sample(), back;
	int len = flow_pack(&r, packed);
	uint8_t *copy = malloc((size_t)len);

	assert_non_null(copy);
	for (int cut = 0; cut < len; cut++) {
		uint8_t *shorter = malloc(cut > 0 ? (size_t)cut : 1);

		assert_non_null(shorter);
		memcpy(shorter, packed, (size_t)cut);
		if (flow_unpack(shorter, (size_t)cut, &back) == 0)
			for (int i = 0; i < FLOW_TEXTS; i++)
				assert_true(inside(back.text[i], shorter, (size_t)cut));
		free(shorter);
	}
	for (int at = 0; at < len; at++) {
		for (int change = 1; change < 256; change = change * 2 + (change > 8)) {
			memcpy(copy, packed, (size_t)len);
			copy[at] ^= (uint8_t)change;
			if (flow_unpack(copy, (size_t)len, &back) < 0)
				continue;
			assert_true(back.risk_count <= FLOW_RISKS_MAX && back.vlan_count <= FLOW_VLANS_MAX);
			assert_true(inside(back.category, copy, (size_t)len) && inside(back.sensor, copy, (size_t)len));
			for (int i = 0; i < FLOW_TEXTS; i++)
				assert_true(inside(back.text[i], copy, (size_t)len));
			for (unsigned i = 0; i < back.risk_count; i++)
				assert_true(back.risks[i] && inside(back.risks[i], copy, (size_t)len));
		}
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_too_long), cmocka_unit_test(test_liars)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

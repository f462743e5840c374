// SPDX-License-Identifier: Apache-2.0
// Lines of JSON back as flow records: lines written by hand give the values that stand in them, every field comes back,
// and what no record can be is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/flow_format.h"
#include "analyzers/flow_parse.h"

#define COMMON                                                                                                         \
	"\"timestamp\":\"2023-11-14T22:13:21.500000001Z\",\"event_type\":\"flow\",\"src_ip\":\"10.0.0.1\","            \
	"\"dest_ip\":\"10.0.0.2\",\"ip_v\":4,"
#define FLOW                                                                                                           \
	"\"flow\":{\"pkts_toserver\":3,\"pkts_toclient\":2,\"bytes_toserver\":300,\"bytes_toclient\":"                 \
	"9007199254740993,"                                                                                            \
	"\"ip_bytes_toserver\":258,\"ip_bytes_toclient\":7,\"start\":\"2023-11-14T22:13:20.000000000Z\","              \
	"\"end\":\"2023-11-14T22:13:21.500000001Z\",\"age\":1,\"state\":\"established\",\"reason\":\"timeout\"}"
#define UDP COMMON "\"src_port\":1000,\"dest_port\":53,\"proto\":\"UDP\"," FLOW
#define TCP                                                                                                            \
	COMMON "\"src_port\":1000,\"dest_port\":443,\"proto\":\"TCP\",\"tcp\":{\"tcp_flags\":\"1b\","                  \
	       "\"tcp_flags_ts\":\"1a\",\"tcp_flags_tc\":\"13\",\"syn\":true,\"fin\":true,\"psh\":true,\"ack\":true}"  \
	       "," FLOW

#define GAPS(...)                                                                                                      \
	"{" COMMON "\"src_port\":1000,\"dest_port\":443,\"proto\":\"TCP\",\"tcp\":{\"tcp_flags\":\"00\","              \
	"\"tcp_flags_ts\":\"00\",\"tcp_flags_tc\":\"00\"," __VA_ARGS__ "}," FLOW "}"

static int parse(const char *line, struct flow_record *ret_record, json_t **ret_object)
{
	*ret_object = flow_line_load(line, strlen(line));
	return *ret_object ? flow_parse(*ret_object, ret_record) : -EBADMSG;
}

// 1,700,000,000 seconds after 1970 it was 2023-11-14T22:13:20Z.
static void a_line_gives_its_values(void **state)
{
	const uint8_t from[4] = {10, 0, 0, 1}, to[4] = {10, 0, 0, 2};
	struct flow_record r;
	json_t *o;

	assert_int_equal(parse("{" UDP ",\"newer\":{\"field\":1},\"dns\":{\"rrname\":\"a.example\"},"
	                       "\"sealtap\":{\"lane\":2,\"segments\":[{\"lane\":2,\"first\":3,\"last\":4},"
	                       "{\"lane\":0,\"first\":0,\"last\":0},{\"lane\":5,\"first\":1,\"last\":1},"
	                       "{\"more\":true}]}}",
	                         &r, &o),
	        0);
	assert_int_equal(r.start_ns, 1700000000ull * 1000000000);
	assert_int_equal(r.end_ns, 1700000001500000001ull);
	assert_int_equal(r.bytes[FLOW_TO_CLIENT], 9007199254740993ll); // 2^53 + 1: no double holds it
	assert_memory_equal(r.src, from, 4);
	assert_memory_equal(r.dest, to, 4);
	assert_int_equal(r.proto, 17);
	assert_int_equal(r.dest_port, 53);
	assert_int_equal(r.state, FLOW_ESTABLISHED);
	assert_int_equal(r.reason, FLOW_REASON_TIMEOUT);
	assert_int_equal(r.groups, FLOW_GROUP_PORTS | FLOW_GROUP_DNS);
	assert_string_equal(r.text[FLOW_TEXT_HOST], "a.example");
	assert_int_equal(r.segments_count, 3);
	assert_true(r.segments_more);
	assert_int_equal(r.segments[0].last, 4);
	json_decref(o);
	assert_int_equal(parse("{" TCP ",\"tls\":{\"ja4\":\"t13d\"}}", &r, &o), 0);
	assert_int_equal(r.tcp_flags_both, TCP_SYN | TCP_FIN | TCP_PSH | TCP_ACK);
	assert_int_equal(r.tcp_flags[FLOW_TO_CLIENT], TCP_FIN | TCP_SYN | TCP_ACK);
	assert_int_equal(r.groups, FLOW_GROUP_PORTS | FLOW_GROUP_TCP | FLOW_GROUP_TLS);
	json_decref(o);
	assert_int_equal(parse(GAPS("\"ts_gap\":true,\"acked_bytes_toserver\":9,\"missed_bytes_toserver\":5,"
	                            "\"gaps_toserver\":1,\"unseen_bytes_toclient\":7"),
	                         &r, &o),
	        0);
	assert_int_equal(r.missed_bytes[FLOW_TO_SERVER], 5);
	assert_int_equal(r.unseen_bytes[FLOW_TO_CLIENT], 7);
	assert_int_equal(r.has_gaps, 1 << FLOW_TO_SERVER);
	json_decref(o);
}

// Each of these differs in one thing from a line that is taken.
static void what_no_record_can_be_is_refused(void **state)
{
	static const char *const good[] = {"{" UDP "}", "{" TCP "}",
	        "{" UDP
	        ",\"tunnel\":{\"kind\":\"vxlan\",\"id\":7,\"src_ip\":\"::1\",\"dest_ip\":\"::2\",\"depth\":1}}"};
	static const char *const bad[] = {"", "[]", "{}", "{" UDP, "{" UDP "}x", "{" UDP ",\"ip_v\":4}",
	        "{" UDP ",\"vlan\":[]}", "{" UDP ",\"vlan\":[1,2,3]}", "{" UDP ",\"vlan\":[65536]}",
	        "{" UDP ",\"app_proto\":\"0123456789012345678901234567890123\"}",
	        "{" UDP ",\"app_proto\":\"a\\u001b[2J\"}", "{" UDP ",\"dns\":{\"rrname\":\"a\\u0000b\"}}",
	        "{" UDP ",\"dns\":{\"rrname\":\"\\u00e9\"}}", "{" UDP ",\"dns\":{\"rrname\":7}}",
	        "{" UDP ",\"tcp\":{\"syn\":true}}", GAPS("\"missed_bytes_toserver\":5,\"gaps_toserver\":1"),
	        GAPS("\"ts_gap\":true,\"missed_bytes_toserver\":5,\"gaps_toclient\":1"),
	        GAPS("\"ts_gap\":true,\"missed_bytes_toserver\":0,\"gaps_toserver\":1"), "{" UDP ",\"icmp_type\":256}",
	        "{" UDP ",\"icmp_type\":8}", "{" UDP ",\"icmp_type\":-1,\"icmp_code\":0}",
	        "{" UDP ",\"icmp_type\":1.5,\"icmp_code\":0}", "{" UDP ",\"ndpi\":{\"risks\":[]}}",
	        "{" UDP ",\"ndpi\":{\"risks\":[7]}}", "{" UDP ",\"sealtap\":{\"lane\":1}}",
	        "{" UDP ",\"sealtap\":{\"lane\":1,\"segments\":[{\"lane\":2,\"first\":3,\"last\":4}]}}",
	        "{" UDP ",\"sealtap\":{\"lane\":2,\"segments\":[{\"lane\":2,\"first\":3}]}}",
	        "{" UDP ",\"sealtap\":{\"lane\":2,\"segments\":[{\"more\":true}]}}",
	        "{" UDP ",\"sealtap\":{\"sensor\":\"a\\u007fb\"}}",
	        "{" UDP ",\"tunnel\":{\"kind\":\"vxlan\",\"id\":7,\"src_ip\":\"::1\",\"dest_ip\":\"10.0.0.1\","
	        "\"depth\":1}}",
	        "{" UDP ",\"tunnel\":{\"kind\":\"wormhole\",\"id\":7,\"src_ip\":\"::1\",\"dest_ip\":\"::2\","
	        "\"depth\":1}}"};
	// A text of the good TCP line and what takes its place.
	static const char *const changed[][2] = {{"\"event_type\":\"flow\"", "\"event_type\":\"flew\""},
	        {"10.0.0.1", "10.0.0.256"}, {"10.0.0.1", "::1"}, {"\"ip_v\":4", "\"ip_v\":5"}, {"\"ip_v\":4,", ""},
	        {"\"age\":1,", ""}, {"\"age\":1", "\"age\":\"1\""}, {"22:13:20", "22:13:60"},
	        {"2023-11-14T22:13:20", "2023-11-31T22:13:20"}, {"2023-11-14T22:13:20", "2023-11-14 22:13:20"},
	        {"20.000000000Z", "20.00000000Z"}, {"\"established\"", "\"dead\""}, {"\"timeout\"", "\"bored\""},
	        {"\"1b\"", "\"1B\""}, {"\"1b\"", "\"19\""}, {"\"1b\"", "\"1\""}, {"\"syn\":true", "\"syn\":false"},
	        {"\"syn\":true,", ""}, {"\"TCP\"", "\"TCPX\""}, {"\"src_port\":1000,", ""}, {"1000", "65536"},
	        {"9007199254740993", "-1"}, {"9007199254740993", "9223372036854775808"}};
	struct flow_record r;
	json_t *o;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(parse(good[i], &r, &o), 0);
		json_decref(o);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (parse(bad[i], &r, &o) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
		json_decref(o);
	}
	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++) {
		const char *at = strstr(good[1], changed[i][0]);
		char line[2048];

		assert_non_null(at);
		snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - good[1]), good[1], changed[i][1],
		        at + strlen(changed[i][0]));
		if (parse(line, &r, &o) != -EBADMSG)
			fail_msg("taken with %s: %s", changed[i][1], line);
		json_decref(o);
	}
}

static void a_line_beyond_the_limit_is_refused(void **state)
{
	char *line = malloc(FLOW_LINE_MAX + 2);
	json_t *o;

	assert_non_null(line);
	memset(line, ' ', FLOW_LINE_MAX + 2);
	memcpy(line, "{}", 2);
	o = flow_line_load(line, FLOW_LINE_MAX);
	assert_non_null(o);
	json_decref(o);
	assert_null(flow_line_load(line, FLOW_LINE_MAX + 1));
	free(line);
}

static struct flow_record every_field(uint8_t version, uint32_t groups)
{
	struct flow_record r = {.start_ns = 5,
	        .end_ns = 1700000001500000001ull,
	        .age_s = 1,
	        .pkts = {1, 2},
	        .bytes = {3, 4},
	        .ip_bytes = {5, INT64_MAX},
	        .src_port = 65535,
	        .dest_port = 1,
	        .vlan = {4095, 6},
	        .vlan_count = 2,
	        .ip_version = version,
	        .proto = 6,
	        .icmp_type = 8,
	        .icmp_code = 255,
	        .tcp_flags = {0xa5, 0x5a},
	        .tcp_flags_both = 0xff,
	        .state = FLOW_CLOSED,
	        .reason = FLOW_REASON_TCP_REUSE,
	        .cut = 1,
	        .groups = groups,
	        .tunnel = {.id = UINT32_MAX, .kind = FLOW_TUNNEL_GTPU, .ip_version = version == 4 ? 6 : 4, .depth = 2},
	        .community_id = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
	        .app_proto = "tls",
	        .app = "TLS.Some",
	        .app_number = "91.119",
	        .category = "Web",
	        .confidence = "DPI",
	        .risks = {"one, \"two\"", "three\\"},
	        .risk_count = 2,
	        .segments = {{3, 4, 5}, {UINT32_MAX, 0, UINT32_MAX}},
	        .segments_count = 2,
	        .segments_more = true,
	        .recording = "00ff",
	        .sensor = "Fühler 1",
	        .complete = "yes"};
	static const char *const texts[] = {"a", "b/c", "\\xff", "\"quoted\"", "~"};

	inet_pton(version == 4 ? AF_INET : AF_INET6, version == 4 ? "192.0.2.1" : "2001:db8::1", r.src);
	inet_pton(version == 4 ? AF_INET : AF_INET6, version == 4 ? "192.0.2.2" : "fe80::", r.dest);
	inet_pton(version == 4 ? AF_INET6 : AF_INET, version == 4 ? "2001:db8::9" : "192.0.2.9", r.tunnel.src);
	inet_pton(version == 4 ? AF_INET6 : AF_INET, version == 4 ? "::" : "0.0.0.0", r.tunnel.dest);
	for (unsigned i = 0; i < FLOW_TEXTS; i++)
		r.text[i] = texts[i % 5];
	return r;
}

// With all groups, and with each group alone.
static void every_field_comes_back(void **state)
{
	for (unsigned i = 0; i < 33; i++) {
		const uint32_t groups = i < 32 ? 1u << i : UINT32_MAX;
		struct flow_record r = every_field(i % 2 ? 4 : 6, groups), back;
		json_t *o = flow_json(&r), *again;
		char *line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);

		assert_non_null(line);
		assert_int_equal(parse(line, &back, &again), 0);
		for (size_t k = 0; k < flow_field_count; k++) {
			char one[FLOW_VALUE_MAX], two[FLOW_VALUE_MAX];

			assert_string_equal(
			        flow_value(&flow_fields[k], &r, one), flow_value(&flow_fields[k], &back, two));
		}
		assert_true(flow_texts_safe(&back));
		json_decref(again);
		json_decref(o);
		free(line);
	}
}

static void texts_that_speak_to_a_terminal_are_not_safe(void **state)
{
	struct flow_record r = every_field(4, UINT32_MAX);
	static char text[FLOW_VALUE_MAX + 1];

	assert_true(flow_texts_safe(&r));
	r.text[FLOW_TEXT_HASSH_SERVER] = "a\nb";
	assert_false(flow_texts_safe(&r));
	memset(text, 'x', FLOW_VALUE_MAX - 1);
	r.text[FLOW_TEXT_HASSH_SERVER] = text;
	assert_true(flow_texts_safe(&r));
	text[FLOW_VALUE_MAX - 1] = 'x';
	assert_false(flow_texts_safe(&r));
	r = every_field(4, UINT32_MAX);
	r.risks[1] = "\xe9";
	assert_false(flow_texts_safe(&r));
	r = every_field(4, UINT32_MAX);
	r.app[0] = 0x7f;
	assert_false(flow_texts_safe(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_line_gives_its_values),
	        cmocka_unit_test(what_no_record_can_be_is_refused),
	        cmocka_unit_test(a_line_beyond_the_limit_is_refused),
	        cmocka_unit_test(every_field_comes_back),
	        cmocka_unit_test(texts_that_speak_to_a_terminal_are_not_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

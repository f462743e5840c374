// SPDX-License-Identifier: Apache-2.0
// The formats that the file source reads, against inputs built here; expected values are worked out by hand from the
// pcap and pcapng drafts. One process; inputs are memfds.
// Must not take an expected value from what the source printed.
#include "tests/unit/source_file_input.h"

#include <sys/socket.h>

// --- classic pcap

static void classic_variants_and_byte_orders_are_read(void **state)
{
	static const struct {
		uint32_t magic;
		bool big_endian;
		uint64_t ts_ns;
		const char *format;
		unsigned file_extra, record_extra;
	} rows[] = {
	        {0xa1b2c3d4, false, 4000000000000123000, "pcap us le", 0, 0},
	        {0xa1b2c3d4, true, 4000000000000123000, "pcap us be", 0, 0},
	        {0xa1b23c4d, false, 4000000000000000123, "pcap ns le", 0, 0},
	        {0xa1b23c4d, true, 4000000000000000123, "pcap ns be", 0, 0},
	        {0xa1b2cd34, false, 4000000000000123000, "pcap modified us le", 0, 8},
	        {0xa1b2cd34, true, 4000000000000123000, "pcap modified us be", 0, 8},
	        {0x1c0001ac, false, 4000000000000000123, "pcap ixia ns le", 4, 0},
	        {0x1c0001ab, true, 4000000000000123000, "pcap ixia us be", 4, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		struct bytes b = {.big_endian = rows[i].big_endian};
		struct result r;

		pcap_header(&b, rows[i].magic, 4, 65535, 113);
		put(&b, "\0\0\0\0", rows[i].file_extra);
		for (int k = 0; k < 2; ++k) {
			put_fields(&b, U32(4000000000u), U32(123), U32(5), U32(60),
			        END); // after 2038: seconds are unsigned
			put(&b, "\0\0\0\0\0\0\0\0", rows[i].record_extra);
			put(&b, "hello", 5);
		}
		r = read_bytes(b.at, b.len);
		assert_int_equal(r.count, 2);
		expect_packet(&r, 1, rows[i].ts_ns, "hello", 60, 0, 0);
		assert_string_equal(r.end.format, rows[i].format);
		assert_int_equal(r.lane_count, 1);
		assert_int_equal(r.lanes[0].linktype, 113);
		assert_int_equal(r.lanes[0].snaplen, 65535);
		assert_string_equal(r.lanes[0].interface, "");
		assert_false(r.end.damaged);
		assert_int_equal(r.end.extra_lines, 0);
		assert_int_equal(r.extra_len, 0);
		result_free(&r);
		free(b.at);
	}
}

static void lengths_of_old_versions_change_places(void **state)
{
	static const struct {
		unsigned minor;
		uint32_t first, second, origlen;
	} rows[] = {{4, 5, 9, 9}, {2, 9, 5, 9}, {3, 5, 9, 9}, {3, 9, 5, 9}, {4, 5, 2, 2}, {0, 3, 5, 3}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		struct bytes b = {0};
		struct result r;

		pcap_header(&b, 0xa1b2c3d4, rows[i].minor, 0, 1);
		pcap_record(&b, 1, 0, rows[i].first, rows[i].second, "hello");
		r = read_bytes(b.at, b.len);
		assert_int_equal(r.count, 1);
		expect_packet(&r, 0, 1000000000, "hello", rows[i].origlen, 0, 0);
		assert_false(r.end.damaged);
		result_free(&r);
		free(b.at);
	}
}

static void fcs_bits_are_masked_and_named(void **state)
{
	struct bytes b = {0};
	struct result r;

	pcap_header(&b, 0xa1b2c3d4, 4, 0, 0x24000001);
	r = read_bytes(b.at, b.len);
	assert_int_equal(r.lanes[0].linktype, 1);
	assert_string_equal(r.end.format, "pcap us le linktype=0x24000001");
	assert_false(r.end.damaged);
	result_free(&r);
	b.len = 0;
	pcap_header(&b, 0xa1b2c3d4, 4, 0, 0x00010001);
	r = read_bytes(b.at, b.len);
	expect_damage(&r, 20, "reserved bits");
	assert_int_equal(r.lane_count, 0);
	result_free(&r);
	free(b.at);
}

static void a_fraction_beyond_a_second_is_added(void **state)
{
	struct bytes b = {0};
	struct result r;

	pcap_header(&b, 0xa1b2c3d4, 4, 0, 1);
	pcap_record(&b, 10, 4294967295u, 1, 1, "x");
	r = read_bytes(b.at, b.len);
	expect_packet(&r, 0, 4304967295000, "x", 1, 0, 0); // 10 s + 4294.967295 s
	result_free(&r);
	free(b.at);
}

// --- pcapng

static void sections_of_both_byte_orders_and_their_interfaces_are_read(void **state)
{
	struct bytes b = {0};
	struct result r;

	shb(&b);
	idb(&b, 1, 262144, "eth0", 9, 0);
	idb(&b, 113, 96, NULL, -1, 0);
	epb(&b, 1, 7, "one", 0, NULL);
	epb(&b, 0, 1700000000123456789, "two", 2, NULL);
	b.big_endian = true;
	shb(&b);
	idb(&b, 276, 0, "any", 3, 0);
	epb(&b, 0, 5, "three", 1, NULL);
	idb(&b, 0, 0, "late", -1, 0);
	epb(&b, 1, 1, "four", 0, NULL);
	r = read_bytes(b.at, b.len);
	assert_false(r.end.damaged);
	assert_string_equal(r.end.format, "pcapng");
	assert_int_equal(r.count, 4);
	expect_packet(&r, 0, 7000, "one", 103, 0, 1);
	expect_packet(&r, 1, 1700000000123456789, "two", 103, 2, 0);
	expect_packet(&r, 2, 5000000, "three", 105, 1, 2);
	expect_packet(&r, 3, 1000, "four", 104, 0, 3);
	assert_int_equal(r.lane_count, 4);
	assert_string_equal(r.lanes[0].interface, "eth0");
	assert_int_equal(r.lanes[1].linktype, 113);
	assert_int_equal(r.lanes[1].snaplen, 96);
	assert_int_equal(r.lanes[2].linktype, 276);
	assert_string_equal(r.lanes[2].interface, "any");
	assert_string_equal(r.lanes[3].interface, "late");
	result_free(&r);
	free(b.at);
}

static void interfaces_do_not_outlive_their_section(void **state)
{
	struct bytes b = {0};
	struct result r;

	shb(&b);
	idb(&b, 1, 0, NULL, -1, 0);
	epb(&b, 0, 1, "x", 0, NULL);
	shb(&b);
	epb(&b, 0, 1, "y", 0, NULL);
	r = read_bytes(b.at, b.len);
	assert_int_equal(r.count, 1);
	expect_damage(&r, 28 + 20 + 36 + 28, "interface 0 is not described");
	result_free(&r);
	free(b.at);
}

static void times_become_nanoseconds(void **state)
{
	static const struct {
		int tsresol;
		int64_t tsoffset;
		uint64_t ts, ts_ns;
		bool truncated, damage, out_of_range;
	} rows[] = {
	        {-1, 0, 1000001, 1000001000, false, false},
	        {6, 0, 18446744073709551, 18446744073709551000u, false, false},
	        {6, 0, 18446744073709552, UINT64_MAX, false, false, true},
	        {9, 0, UINT64_MAX, UINT64_MAX, false, false},
	        {0, 0, 2, 2000000000, false, false},
	        {3, 0, 1500, 1500000000, false, false},
	        {12, 0, 1234567890123, 1234567890, true, false},
	        {12, 0, 1234567890000, 1234567890, false, false},
	        {19, 0, 15000000000000000000u, 1500000000, false, false},
	        {20, 0, 0, 0, false, true},
	        {0x80 | 0, 0, 3, 3000000000, false, false},
	        {0x80 | 10, 0, 1536, 1500000000, false, false},
	        {0x80 | 20, 0, 1, 953, true, false}, // 10^9 / 2^20 = 953.67
	        {0x80 | 32, 0, 0x180000000, 1500000000, false, false},
	        {0x80 | 63, 0, 0xc000000000000000, 1500000000, false, false},
	        {0x80 | 64, 0, 0, 0, false, true},
	        {6, 1700000000, 5, 1700000000000005000, false, false},
	        {6, -1, 1000005, 5000, false, false},
	        {6, -2, 1000005, 0, false, false, true},
	        {6, INT64_MAX, 0, UINT64_MAX, false, false, true},
	        {6, INT64_MIN, UINT64_MAX, 0, false, false, true},
	        {12, -2, 1234567890123, 0, false, false, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		struct bytes b = {.big_endian = i & 1};
		struct result r;

		shb(&b);
		idb(&b, 1, 0, NULL, rows[i].tsresol, rows[i].tsoffset);
		epb(&b, 0, rows[i].ts, "x", 0, NULL);
		r = read_bytes(b.at, b.len);
		assert_int_equal(r.end.damaged, rows[i].damage);
		assert_int_equal(r.count, !rows[i].damage);
		if (r.count)
			expect_packet(&r, 0, rows[i].ts_ns, "x", 101, 0, 0);
		assert_int_equal(r.end.ts_truncated, rows[i].truncated);
		assert_int_equal(r.end.ts_out_of_range, rows[i].out_of_range);
		result_free(&r);
		free(b.at);
	}
}

static void simple_and_obsolete_packet_blocks_are_read(void **state)
{
	for (int big_endian = 0; big_endian < 2; ++big_endian) {
		struct bytes b = {.big_endian = big_endian}, body;
		struct result r;

		shb(&b);
		idb(&b, 1, 6, NULL, 9, 0);
		body = body_of(&b);
		put32(&body, 10); // original length; snaplen 6: six bytes stand here
		put(&body, "abcdef", 6);
		block(&b, 3, &body);
		body = body_of(&b);
		put32(&body, 3);
		put(&body, "abc", 3);
		block(&b, 3, &body);
		body = body_of(&b);
		put_fields(&body, U16(0), U16(0xffff), U32(1), U32(2), U32(4), U32(8), END);
		put(&body, "four", 4);
		block(&b, 2, &body);
		r = read_bytes(b.at, b.len);
		assert_false(r.end.damaged);
		assert_int_equal(r.count, 3);
		expect_packet(&r, 0, 0, "abcdef", 10, 0, 0);
		expect_packet(&r, 1, 0, "abc", 3, 0, 0);
		expect_packet(&r, 2, 4294967298, "four", 8, 0, 0);
		result_free(&r);
		free(b.at);
	}
}

static void what_is_no_packet_goes_to_the_extra_file(void **state)
{
	static const char want[] = "{\"offset\":\"0\",\"block\":168627466,"
	                           "\"data\":\"0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000\"}\n"
	                           "{\"offset\":\"28\",\"block\":1,\"data\":\"01000000140000000100000000000000"
	                           "14000000\"}\n"
	                           "{\"offset\":\"48\",\"block\":2989,\"data\":\"ad0b000010000000"
	                           "68690000"
	                           "10000000\"}\n"
	                           "{\"offset\":\"64\",\"block\":6,\"packet\":\"0\",\"data\":\"01000200"
	                           "6f6b0000"
	                           "02000400"
	                           "02000000"
	                           "00000000\"}\n";
	struct bytes b = {0}, body = {0};
	struct result r;

	shb(&b);
	idb(&b, 1, 0, NULL, -1, 0);
	put(&body, "hi", 2);
	block(&b, 2989, &body);
	epb(&b, 0, 1, "commented", 2, "ok");
	epb(&b, 0, 1, "only flags", 1, NULL);
	r = read_bytes(b.at, b.len);
	assert_false(r.end.damaged);
	assert_int_equal(r.count, 2);
	assert_int_equal(r.packets[0].flags, 2);
	assert_string_equal(r.extra, want);
	assert_int_equal(r.end.extra_lines, 4);
	result_free(&r);
	free(b.at);
}

// tests/vectors/ingest was made by a script that shares no code with us: times out of range, drops, comments.
static void the_extra_file_is_that_of_the_vector(void **state)
{
	const char *slash = strrchr(__FILE__, '/');
	struct result r, want = {0};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%.*s/../vectors/ingest/inputs/a.pcapng", (int)(slash - __FILE__), __FILE__);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	r = read_fd(fd, MAX_PACKETS);
	snprintf(path, sizeof(path), "%.*s/../vectors/ingest/recording/sources/0.extra.jsonl.zst",
	        (int)(slash - __FILE__), __FILE__);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	unpack_extra(&want, fd);
	close(fd);
	assert_true(want.extra_len > 1000);
	assert_string_equal(r.extra, want.extra);
	assert_int_equal(r.end.ts_out_of_range, 2);
	assert_int_equal(r.end.ts_truncated, 1);
	result_free(&r);
	result_free(&want);
}

// A socket that is reset in the middle: what was read is handed out, and no size and hash are claimed.
static void an_input_that_breaks_has_no_end(void **state)
{
	struct source_file_config config = {.name = "input", .extra_fd = -1};
	struct bytes b = {0};
	struct packet batch[4];
	struct source *s;
	struct error e;
	int pair[2];

	pcap_header(&b, 0xa1b2c3d4, 4, 0, 1);
	pcap_record(&b, 1, 2, 5, 5, "hello");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(write(pair[0], "unread", 6), 6);
	assert_int_equal(write(pair[1], b.at, b.len), b.len);
	config.fd = pair[0];
	assert_int_equal(source_file_open(&config, &s, &e), 0);
	assert_int_equal(s->ops->recv(s, batch, 4, 1000), 1);
	s->ops->release(s);
	close(pair[1]);
	assert_int_equal(s->ops->recv(s, batch, 4, 1000), -ECONNRESET);
	assert_false(s->end.ended);
	s->ops->close(s);
	free(b.at);
}

static void a_block_of_more_than_a_mebibyte_takes_several_lines(void **state)
{
	static const struct {
		size_t body;
		unsigned lines; // with those of the section
	} rows[] = {{(1 << 20) - 12, 2}, {(1 << 20) - 8, 3}, {(2 << 20) + 4, 4}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		struct bytes b = {0}, body = {.at = calloc(1, rows[i].body), .len = rows[i].body};
		size_t digits = 0;
		struct result r;

		shb(&b);
		block(&b, 0x0bad, &body);
		r = read_bytes(b.at, b.len);
		assert_false(r.end.damaged);
		assert_int_equal(r.end.extra_lines, rows[i].lines);
		for (char *line = strstr(r.extra, "\"offset\":\"28\""); line;
		        line = strstr(line + 1, "\"offset\":\"28\"")) {
			size_t len = strcspn(strstr(line, "data\":\"") + 7, "\"");
			assert_true(len <= 2u << 20);
			digits += len;
		}
		assert_int_equal(digits, 2 * (rows[i].body + 12));
		result_free(&r);
		free(b.at);
	}
}

static void names_are_utf8_and_short(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	        {"eth0", "eth0"},
	        {"w\xc3\xa9", "w\xc3\xa9"},
	        {"a\xff"
	         "b",
	                "a\xef\xbf\xbd"
	                "b"},
	        {"\x7f", "\xef\xbf\xbd"},
	        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // a surrogate
	        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 // an overlong slash
	        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                 // cut short
	        {"\xf0\x9f\x90\x9f", "\xf0\x9f\x90\x9f"},
	        {"", ""},
	};
	uint8_t many[400];
	char out[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		source_file_name((const uint8_t *)rows[i].in, strlen(rows[i].in), out);
		assert_string_equal(out, rows[i].out);
	}
	for (size_t i = 0; i < sizeof(many); ++i)
		many[i] = i % 2 ? 0xa9 : 0xc3;
	source_file_name(many, sizeof(many), out);
	assert_int_equal(strlen(out), 254); // not half a character
	source_file_name((const uint8_t *)"a\0b", 3, out);
	assert_string_equal(out, "a");
}

static void the_lane_after_the_last_is_damage(void **state)
{
	struct bytes b = {0};
	struct result r;

	shb(&b);
	for (unsigned i = 0; i <= LANES_MAX; ++i)
		idb(&b, 1, 0, NULL, -1, 0);
	r = read_bytes(b.at, b.len);
	expect_damage(&r, 28 + 20 * LANES_MAX, "more than 4096 interfaces");
	assert_int_equal(r.lane_count, LANES_MAX);
	result_free(&r);
	free(b.at);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(classic_variants_and_byte_orders_are_read),
	        cmocka_unit_test(lengths_of_old_versions_change_places),
	        cmocka_unit_test(fcs_bits_are_masked_and_named),
	        cmocka_unit_test(a_fraction_beyond_a_second_is_added),
	        cmocka_unit_test(sections_of_both_byte_orders_and_their_interfaces_are_read),
	        cmocka_unit_test(interfaces_do_not_outlive_their_section),
	        cmocka_unit_test(times_become_nanoseconds),
	        cmocka_unit_test(simple_and_obsolete_packet_blocks_are_read),
	        cmocka_unit_test(what_is_no_packet_goes_to_the_extra_file),
	        cmocka_unit_test(the_extra_file_is_that_of_the_vector),
	        cmocka_unit_test(an_input_that_breaks_has_no_end),
	        cmocka_unit_test(a_block_of_more_than_a_mebibyte_takes_several_lines),
	        cmocka_unit_test(names_are_utf8_and_short),
	        cmocka_unit_test(the_lane_after_the_last_is_damage),
	};

	assert_int_equal(digest_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

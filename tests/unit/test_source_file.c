// SPDX-License-Identifier: Apache-2.0
// The file source against inputs that are built here field by field; expected values are worked out by hand from the
// pcap and pcapng drafts. One process; inputs are memfds and pipes.
// Must not take an expected value from what the source printed.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "sealtap/source.h"
#include "sensor/evidence/digest.h"
#include "sensor/recorder/source_file.h"

#define MAX_PACKETS 64

// --- building inputs

struct bytes {
	uint8_t *at;
	size_t len, room;
	bool big_endian;
};

static void put(struct bytes *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = 2 * (b->len + len);
		b->at = realloc(b->at, b->room);
		assert_non_null(b->at);
	}
	if (len)
		memcpy(b->at + b->len, data, len);
	b->len += len;
}

static void put_number(struct bytes *b, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; ++i) {
		uint8_t byte = (uint8_t)(v >> 8 * (b->big_endian ? width - 1 - i : i));
		put(b, &byte, 1);
	}
}

static void put32(struct bytes *b, uint32_t v)
{
	put_number(b, v, 4);
}

// width and value pairs, ended by 0
static void put_fields(struct bytes *b, ...)
{
	va_list args;
	unsigned width;

	va_start(args, b);
	while ((width = va_arg(args, unsigned)))
		put_number(b, va_arg(args, uint64_t), width);
	va_end(args);
}

#define U16(v) 2u, (uint64_t)(v)
#define U32(v) 4u, (uint64_t)(v)
#define U64(v) 8u, (uint64_t)(v)
#define END 0u

static void pcap_header(struct bytes *b, uint32_t magic, unsigned minor, uint32_t snaplen, uint32_t linktype)
{
	put_fields(b, U32(magic), U16(2), U16(minor), U32(0), U32(0), U32(snaplen), U32(linktype), END);
}

static void pcap_record(struct bytes *b, uint32_t sec, uint32_t frac, uint32_t first, uint32_t second, const char *data)
{
	put_fields(b, U32(sec), U32(frac), U32(first), U32(second), END);
	put(b, data, strlen(data));
}

static void block(struct bytes *b, uint32_t type, const struct bytes *body)
{
	uint32_t total = (uint32_t)((body->len + 3) & ~(size_t)3) + 12;

	put_fields(b, U32(type), U32(total), END);
	put(b, body->at, body->len);
	put(b, "\0\0\0", -body->len & 3);
	put32(b, total);
	free(body->at);
}

static void option(struct bytes *b, unsigned code, const void *value, size_t len)
{
	put_fields(b, U16(code), U16(len), END);
	put(b, value, len);
	put(b, "\0\0\0", -len & 3);
}

static struct bytes body_of(const struct bytes *b)
{
	return (struct bytes){.big_endian = b->big_endian};
}

static void shb(struct bytes *b)
{
	struct bytes body = body_of(b);
	put_fields(&body, U32(0x1a2b3c4d), U16(1), U16(0), U64(UINT64_MAX), END);
	block(b, 0x0a0d0d0a, &body);
}

static void idb(struct bytes *b, unsigned linktype, uint32_t snaplen, const char *name, int tsresol, int64_t tsoffset)
{
	struct bytes body = body_of(b), offset = body_of(b);
	uint8_t resolution = (uint8_t)tsresol;

	put_fields(&body, U16(linktype), U16(0), U32(snaplen), END);
	if (name)
		option(&body, 2, name, strlen(name));
	if (tsresol >= 0)
		option(&body, 9, &resolution, 1);
	if (tsoffset) {
		put_number(&offset, (uint64_t)tsoffset, 8);
		option(&body, 14, offset.at, 8);
		free(offset.at);
	}
	if (name || tsresol >= 0 || tsoffset)
		option(&body, 0, NULL, 0);
	block(b, 1, &body);
}

static void epb(struct bytes *b, uint32_t interface, uint64_t ts, const char *data, uint32_t flags, const char *comment)
{
	struct bytes body = body_of(b), word = body_of(b);
	uint32_t len = (uint32_t)strlen(data);

	put_fields(&body, U32(interface), U32(ts >> 32), U32(ts), U32(len), U32(len + 100), END);
	put(&body, data, len);
	put(&body, "\0\0\0", -len & 3);
	put32(&word, flags);
	if (comment)
		option(&body, 1, comment, strlen(comment));
	if (flags)
		option(&body, 2, word.at, 4);
	if (flags || comment)
		option(&body, 0, NULL, 0);
	free(word.at);
	block(b, 6, &body);
}

static struct bytes gzipped(const void *data, size_t len)
{
	struct bytes b = {.room = compressBound(len) + 64};
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};

	b.at = malloc(b.room);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = b.at;
	z.avail_out = (uInt)b.room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b.len = z.total_out;
	deflateEnd(&z);
	return b;
}

static struct bytes zstd_packed(const void *data, size_t len)
{
	struct bytes b = {.room = ZSTD_compressBound(len)};
	ZSTD_CCtx *c = ZSTD_createCCtx();

	b.at = malloc(b.room);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	b.len = ZSTD_compress2(c, b.at, b.room, data, len);
	assert_false(ZSTD_isError(b.len));
	ZSTD_freeCCtx(c);
	return b;
}

// --- reading them

struct result {
	int open, last;
	unsigned count, lane_count;
	struct packet packets[MAX_PACKETS]; // data: copies
	struct source_lane lanes[8];
	struct source_end end;
	char *extra;
	size_t extra_len;
	struct error error;
};

static int memfd_of(const void *data, size_t len)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_true(fd >= 0);
	while (len) {
		ssize_t n = write(fd, data, len);
		assert_true(n > 0);
		data = (const uint8_t *)data + n;
		len -= (size_t)n;
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void unpack_extra(struct result *r, int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	void *packed = malloc((size_t)len + 1);
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_outBuffer out = {malloc(8 << 20), (8 << 20) - 1, 0};
	ZSTD_inBuffer in = {packed, (size_t)len, 0};

	assert_int_equal(pread(fd, packed, (size_t)len, 0), len);
	if (len) {
		assert_int_equal(ZSTD_decompressStream(d, &out, &in), 0); // one whole frame, with nothing behind it
		assert_int_equal(in.pos, in.size);
	}
	((char *)out.dst)[out.pos] = 0;
	r->extra = out.dst;
	r->extra_len = out.pos;
	ZSTD_freeDCtx(d);
	free(packed);
}

static struct result read_fd(int fd, unsigned batch_max)
{
	struct result r = {0};
	struct packet batch[MAX_PACKETS];
	int extra = memfd_create("extra", MFD_CLOEXEC);
	struct source_file_config config = {.fd = fd, .name = "input", .extra_fd = extra};
	struct source *s;

	r.open = source_file_open(&config, &s, &r.error);
	if (r.open < 0) {
		assert_int_equal(close(fd), 0); // still ours
		close(extra);
		return r;
	}
	while ((r.last = s->ops->recv(s, batch, batch_max, 1000)) >= 0) {
		for (int i = 0; i < r.last && r.count < MAX_PACKETS; ++i, ++r.count) {
			uint8_t *copy = malloc(batch[i].caplen + 1);
			memcpy(copy, batch[i].data, batch[i].caplen);
			r.packets[r.count] = batch[i];
			r.packets[r.count].data = copy;
		}
		s->ops->release(s);
	}
	assert_int_equal(s->ops->recv(s, batch, 1, 0), r.last); // an end stays an end
	r.end = s->end;
	r.lane_count = s->lane_count;
	memcpy(r.lanes, s->lanes, sizeof(r.lanes));
	s->ops->close(s);
	unpack_extra(&r, extra);
	close(extra);
	return r;
}

static struct result read_bytes(const void *data, size_t len)
{
	struct result r = read_fd(memfd_of(data, len), MAX_PACKETS);
	uint8_t want[DIGEST_LEN];

	if (r.open == 0) { // whatever is in it, all of it is hashed
		digest_once(data, len, want);
		assert_int_equal(r.last, -ENODATA);
		assert_int_equal(r.end.bytes, len);
		assert_memory_equal(r.end.sha256, want, DIGEST_LEN);
		assert_int_equal(r.end.packets, r.count);
	}
	return r;
}

static void result_free(struct result *r)
{
	for (unsigned i = 0; i < r->count; ++i)
		free((void *)r->packets[i].data);
	free(r->extra);
}

static void expect_packet(const struct result *r, unsigned i, uint64_t ts_ns, const char *data, uint32_t origlen,
        uint32_t flags, uint32_t lane)
{
	const struct packet *p = &r->packets[i];

	assert_true(i < r->count);
	assert_int_equal(p->ts_ns, ts_ns);
	assert_int_equal(p->caplen, strlen(data));
	assert_memory_equal(p->data, data, p->caplen);
	assert_int_equal(p->origlen, origlen);
	assert_int_equal(p->flags, flags);
	assert_int_equal(p->lane, lane);
	assert_int_equal(p->vlan_tpid, 0);
}

static void expect_damage(const struct result *r, uint64_t offset, const char *reason)
{
	assert_true(r->end.damaged);
	assert_int_equal(r->end.damage_offset, offset);
	if (!strstr(r->end.damage_reason, reason))
		fail_msg("damage \"%s\", expected \"%s\"", r->end.damage_reason, reason);
}

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
	epb(&b, 0, 0, "", 0, NULL); // no interface in this section yet: see below
	b.len -= 32;
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

static void times_become_nanoseconds(void **state)
{
	static const struct {
		int tsresol;
		int64_t tsoffset;
		uint64_t ts, ts_ns;
		bool truncated, damage;
	} rows[] = {
	        {-1, 0, 1000001, 1000001000, false, false},
	        {6, 0, 18446744073709551, 18446744073709551000u, false, false},
	        {6, 0, 18446744073709552, 0, false, true},
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
	        {6, -2, 1000005, 0, false, true},
	        {6, INT64_MAX, 0, 0, false, true},
	        {6, INT64_MIN, UINT64_MAX, 0, false, true},
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

// --- damage

// A small file of each format and the offsets at which it may end.
struct sample {
	struct bytes bytes;
	size_t ends[8];
	unsigned packets[8]; // read when it ends there
	unsigned count;
};

static void mark(struct sample *s, unsigned packets)
{
	s->ends[s->count] = s->bytes.len;
	s->packets[s->count++] = packets;
}

static struct sample pcap_sample(void)
{
	struct sample s = {0};

	pcap_header(&s.bytes, 0xa1b2c3d4, 4, 0, 1);
	mark(&s, 0);
	pcap_record(&s.bytes, 1, 2, 5, 5, "hello");
	mark(&s, 1);
	pcap_record(&s.bytes, 1, 2, 0, 5, "");
	mark(&s, 2);
	pcap_record(&s.bytes, 1, 2, 3, 5, "end");
	mark(&s, 3);
	return s;
}

static struct sample pcapng_sample(void)
{
	struct sample s = {0};

	shb(&s.bytes);
	mark(&s, 0);
	idb(&s.bytes, 1, 0, "eth0", 9, 0);
	mark(&s, 0);
	epb(&s.bytes, 0, 1, "hello", 1, "note");
	mark(&s, 1);
	epb(&s.bytes, 0, 2, "", 0, NULL);
	mark(&s, 2);
	return s;
}

static void every_truncation_is_a_damage_or_a_clean_end(void **state)
{
	for (int format = 0; format < 2; ++format) {
		struct sample s = format ? pcapng_sample() : pcap_sample();

		for (size_t len = 0; len <= s.bytes.len; ++len) {
			struct result r = read_bytes(s.bytes.at, len);
			unsigned packets = 0;
			bool clean = false;
			size_t last = 0;

			for (unsigned i = 0; i < s.count && s.ends[i] <= len; ++i) {
				packets = s.packets[i];
				clean = s.ends[i] == len;
				last = s.ends[i];
			}
			if (len < 4) {
				assert_int_equal(r.open, len ? -EPROTONOSUPPORT : -ENODATA);
				continue;
			}
			assert_int_equal(r.open, 0);
			assert_int_equal(r.count, packets);
			assert_int_equal(r.end.damaged, !clean);
			if (!clean && !(format == 1 && len > 12 && len < 28))
				assert_int_equal(r.end.damage_offset, last);
			result_free(&r);
		}
		free(s.bytes.at);
	}
}

static void every_truncation_of_a_compressed_input_is_a_damage(void **state)
{
	for (int kind = 0; kind < 4; ++kind) {
		struct sample s = kind & 1 ? pcapng_sample() : pcap_sample();
		struct bytes packed =
		        kind & 2 ? zstd_packed(s.bytes.at, s.bytes.len) : gzipped(s.bytes.at, s.bytes.len);

		for (size_t len = 4; len <= packed.len; ++len) {
			struct result r = read_bytes(packed.at, len);

			assert_int_equal(r.open, 0);
			assert_int_equal(r.end.damaged, len < packed.len);
			if (len < packed.len)
				assert_non_null(
				        strstr(r.end.damage_reason, kind & 2 ? "zstd: cut short" : "gzip: cut short"));
			else
				assert_int_equal(r.count, s.packets[s.count - 1]);
			result_free(&r);
		}
		free(packed.at);
		free(s.bytes.at);
	}
}

static void every_bit_may_be_wrong(void **state)
{
	for (int format = 0; format < 2; ++format) {
		struct sample s = format ? pcapng_sample() : pcap_sample();

		for (size_t bit = 0; bit < 8 * s.bytes.len; ++bit) {
			struct result r;

			s.bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
			r = read_bytes(s.bytes.at, s.bytes.len); // asserts that it ends, and that all is hashed
			s.bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (r.open == 0)
				result_free(&r);
		}
		free(s.bytes.at);
	}
}

static void lying_lengths_are_damage(void **state)
{
	// pcapng sample: SHB at 0, IDB at 28 (40 bytes), EPB at 68 (60 bytes), EPB at 128 (32 bytes)
	static const struct {
		int format;
		size_t at; // of a 32-bit number
		uint32_t value;
		unsigned packets;
		uint64_t offset;
		const char *reason;
	} rows[] = {
	        {0, 24 + 8, 262145, 0, 24, "packet 1 says 262145 captured bytes, more than 262144"},
	        {0, 24 + 8, 0xffffffff, 0, 24, "more than 262144"},
	        {0, 24 + 8, 262144, 0, 24, "cut short in the middle of a packet"},
	        {0, 45 + 16 + 8, 100, 2, 61, "cut short"}, {0, 4, 0x00040001, 0, 4, "version 1.4 is not supported"},
	        {1, 4, 0, 0, 0, "says it is 0 bytes"}, {1, 4, 24, 0, 0, "says it is 24 bytes"},
	        {1, 8, 0x1a2b3c4e, 0, 0, "byte-order magic"}, {1, 12, 2, 0, 0, "version 2.0"},
	        {1, 24, 32, 0, 0, "the two lengths of a block differ"}, {1, 28 + 4, 16, 0, 28, "says it is 16 bytes"},
	        {1, 28 + 4, 0xfffffffc, 0, 28, "says it is 4294967292 bytes"},
	        {1, 28 + 4, 3u << 20, 0, 28, "more than"}, {1, 28 + 16, 0xffff0002, 0, 28, "option of an interface"},
	        {1, 68 + 4, 8, 0, 68, "says it is 8 bytes"}, {1, 68 + 4, 12, 0, 68, "the two lengths"},
	        {1, 68 + 8, 1, 0, 68, "interface 1 is not described"},
	        {1, 68 + 20, 0x7fffffff, 0, 68, "more than 262144"},
	        {1, 68 + 20, 0xfffffffd, 0, 68, "more than 262144"},
	        {1, 68 + 20, 33, 0, 68, "33 captured bytes in a packet block of 60"},
	        {1, 68 + 36, 0x00ff0001, 0, 68, "option of a packet"},
	        {1, 68 + 44, 0x00030002, 0, 68, "epb_flags of 3 bytes"},
	        {1, 128 + 4, 36, 1, 128, "cut short in the middle of a packet"},
	        {1, 128 + 28, 28, 1, 128, "the two lengths"}, {1, 128 + 0, 3, 2, 0, NULL}, // an SPB of 0 bytes
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		struct sample s = rows[i].format ? pcapng_sample() : pcap_sample();
		struct bytes patch = {0};
		struct result r;

		put32(&patch, rows[i].value);
		memcpy(s.bytes.at + rows[i].at, patch.at, 4);
		r = read_bytes(s.bytes.at, s.bytes.len);
		if (r.count != rows[i].packets)
			fail_msg("row %zu: %u packets: %s", i, r.count, r.end.damage_reason);
		if (rows[i].reason)
			expect_damage(&r, rows[i].offset, rows[i].reason);
		else
			assert_false(r.end.damaged);
		result_free(&r);
		free(patch.at);
		free(s.bytes.at);
	}
}

// --- coding

static void several_members_and_frames_are_one_stream(void **state)
{
	struct sample s = pcap_sample();
	size_t half = s.ends[1] + 3; // in the middle of a record
	uint8_t skippable[12] = {0x5e, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'a', 'b', 'c', 'd'};

	for (int zstd = 0; zstd < 2; ++zstd) {
		struct bytes (*pack)(const void *, size_t) = zstd ? zstd_packed : gzipped;
		struct bytes a = pack(s.bytes.at, half), c = pack(s.bytes.at + half, s.bytes.len - half), all = {0};
		struct result r;

		if (zstd)
			put(&all, skippable, sizeof(skippable));
		put(&all, a.at, a.len);
		put(&all, c.at, c.len);
		r = read_bytes(all.at, all.len);
		assert_int_equal(r.count, 3);
		assert_false(r.end.damaged);
		assert_string_equal(r.end.format, zstd ? "zstd pcap us le" : "gzip pcap us le");
		result_free(&r);

		put(&all, "\0\0\0\0\0\0\0\0", 8); // gzip(1) takes padding, zstd(1) does not
		r = read_bytes(all.at, all.len);
		assert_int_equal(r.count, 3);
		assert_int_equal(r.end.damaged, zstd);
		result_free(&r);

		put(&all, "garbage", 7);
		r = read_bytes(all.at, all.len);
		assert_int_equal(r.count, 3);
		expect_damage(&r, s.bytes.len, zstd ? "zstd: " : "gzip: bytes after the last member");
		result_free(&r);

		all.len -= 15;
		all.at[all.len - (zstd ? 1 : 5)] ^= 1; // in the checksum: all was handed out before it is known
		r = read_bytes(all.at, all.len);
		expect_damage(&r, zstd ? half : s.bytes.len, zstd ? "zstd: " : "gzip: incorrect data check");
		result_free(&r);
		free(a.at);
		free(c.at);
		free(all.at);
	}
	free(s.bytes.at);
}

static void a_compressed_stranger_is_damage_at_its_start(void **state)
{
	struct bytes packed = gzipped("MZ\x90\0 not a capture", 17);
	struct result r = read_bytes(packed.at, packed.len);

	assert_int_equal(r.open, 0);
	expect_damage(&r, 0, "the first bytes 4d5a9000");
	result_free(&r);
	free(packed.at);
	packed = zstd_packed("", 0);
	r = read_bytes(packed.at, packed.len);
	expect_damage(&r, 0, "cut short in the middle of the file header");
	result_free(&r);
	free(packed.at);
}

static void strangers_are_refused(void **state)
{
	struct result r = read_bytes("\0G/\0rest", 8);

	assert_int_equal(r.open, -EPROTONOSUPPORT);
	assert_non_null(strstr(r.error.text, "input: offset 0: the first bytes 00472f00"));
	assert_non_null(strstr(r.error.text, "pcapng"));
	r = read_bytes("", 0);
	assert_int_equal(r.open, -ENODATA);
	assert_non_null(strstr(r.error.text, "empty"));
}

// --- windows, pipes, interruption

static void long_inputs_pass_through_the_window(void **state)
{
	struct bytes b = {0};
	char *data = malloc(CAPLEN_MAX + 1);

	pcap_header(&b, 0xa1b23c4d, 4, 0, 1);
	for (unsigned i = 0; i < 40; ++i) {
		uint32_t len = i % 3 ? CAPLEN_MAX - 7 * i : i;
		memset(data, 'a' + (int)(i % 26), len);
		data[len] = 0;
		pcap_record(&b, i, i, len, len, data);
	}
	for (int zstd = 0; zstd < 2; ++zstd) {
		struct bytes packed = zstd_packed(b.at, b.len);
		struct result r = read_fd(memfd_of(zstd ? packed.at : b.at, zstd ? packed.len : b.len), 1 + 62 * !zstd);

		assert_int_equal(r.count, 40);
		assert_false(r.end.damaged);
		for (unsigned i = 0; i < 40; ++i) {
			uint32_t len = i % 3 ? CAPLEN_MAX - 7 * i : i;
			memset(data, 'a' + (int)(i % 26), len);
			data[len] = 0;
			expect_packet(&r, i, i * 1000000001ull, data, len, 0, 0);
		}
		result_free(&r);
		free(packed.at);
	}
	free(data);
	free(b.at);
}

static struct source *open_pipe(int *ret_writer, const struct bytes *first)
{
	struct source_file_config config = {.name = "-", .extra_fd = -1};
	struct source *s;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], first->at, first->len), first->len);
	config.fd = fds[0];
	assert_int_equal(source_file_open(&config, &s, NULL), 0);
	*ret_writer = fds[1];
	return s;
}

static void a_pipe_hands_out_what_came_and_times_out(void **state)
{
	struct sample s = pcap_sample();
	struct bytes first = {.at = s.bytes.at, .len = s.ends[1] + 7};
	struct packet batch[8];
	int writer;
	struct source *source = open_pipe(&writer, &first);

	assert_int_equal(source->ops->recv(source, batch, 8, 100), 1);
	source->ops->release(source);
	assert_int_equal(source->ops->recv(source, batch, 8, 1), 0); // half a header
	source->ops->release(source);
	assert_int_equal(
	        write(writer, s.bytes.at + first.len, s.bytes.len - first.len), (ssize_t)(s.bytes.len - first.len));
	assert_int_equal(source->ops->recv(source, batch, 8, 100), 2);
	source->ops->release(source);
	assert_int_equal(source->ops->recv(source, batch, 8, 1), 0);
	close(writer);
	assert_int_equal(source->ops->recv(source, batch, 8, 100), -ENODATA);
	assert_false(source->end.damaged);
	assert_int_equal(source->end.bytes, s.bytes.len);
	assert_int_equal(source->ops->stats(source, 0, &(struct source_stats){0}), -ENOTSUP);
	assert_string_equal(source->ops->kind, "file");
	source->ops->close(source);
	free(s.bytes.at);
}

static void an_interrupt_ends_a_wait_and_the_end_says_so(void **state)
{
	struct sample s = pcap_sample();
	struct packet batch[8];
	uint8_t want[DIGEST_LEN];
	int writer;
	struct source *source = open_pipe(&writer, &s.bytes);

	assert_int_equal(source->ops->recv(source, batch, 1, 100), 1);
	source->ops->release(source);
	source->ops->interrupt(source);
	assert_int_equal(source->ops->recv(source, batch, 8, -1), 2); // had arrived
	source->ops->release(source);
	assert_int_equal(source->ops->recv(source, batch, 8, -1), -ENODATA);
	assert_true(source->end.damaged);
	assert_non_null(strstr(source->end.damage_reason, "interrupted"));
	digest_once(s.bytes.at, s.bytes.len, want);
	assert_memory_equal(source->end.sha256, want, DIGEST_LEN);
	source->ops->close(source);
	close(writer);
	free(s.bytes.at);
}

static void a_full_extra_file_breaks_the_source(void **state)
{
	struct sample s = pcapng_sample();
	struct source_file_config config = {.fd = memfd_of(s.bytes.at, s.bytes.len),
	        .name = "x",
	        .extra_fd = open("/dev/full", O_WRONLY | O_CLOEXEC)};
	struct packet batch[8];
	struct source *source;
	int n;

	assert_int_equal(source_file_open(&config, &source, NULL), 0);
	while ((n = source->ops->recv(source, batch, 8, 100)) >= 0)
		source->ops->release(source);
	assert_int_equal(n, -ENOSPC);
	source->ops->close(source);
	close(config.extra_fd);
	free(s.bytes.at);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(classic_variants_and_byte_orders_are_read),
	        cmocka_unit_test(lengths_of_old_versions_change_places),
	        cmocka_unit_test(fcs_bits_are_masked_and_named),
	        cmocka_unit_test(a_fraction_beyond_a_second_is_added),
	        cmocka_unit_test(sections_of_both_byte_orders_and_their_interfaces_are_read),
	        cmocka_unit_test(times_become_nanoseconds),
	        cmocka_unit_test(simple_and_obsolete_packet_blocks_are_read),
	        cmocka_unit_test(what_is_no_packet_goes_to_the_extra_file),
	        cmocka_unit_test(a_block_of_more_than_a_mebibyte_takes_several_lines),
	        cmocka_unit_test(names_are_utf8_and_short),
	        cmocka_unit_test(the_lane_after_the_last_is_damage),
	        cmocka_unit_test(every_truncation_is_a_damage_or_a_clean_end),
	        cmocka_unit_test(every_truncation_of_a_compressed_input_is_a_damage),
	        cmocka_unit_test(every_bit_may_be_wrong),
	        cmocka_unit_test(lying_lengths_are_damage),
	        cmocka_unit_test(several_members_and_frames_are_one_stream),
	        cmocka_unit_test(a_compressed_stranger_is_damage_at_its_start),
	        cmocka_unit_test(strangers_are_refused),
	        cmocka_unit_test(long_inputs_pass_through_the_window),
	        cmocka_unit_test(a_pipe_hands_out_what_came_and_times_out),
	        cmocka_unit_test(an_interrupt_ends_a_wait_and_the_end_says_so),
	        cmocka_unit_test(a_full_extra_file_breaks_the_source),
	};

	assert_int_equal(digest_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

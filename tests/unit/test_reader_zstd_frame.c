// SPDX-License-Identifier: Apache-2.0
// Frames built by hand after RFC 8878 section 3.1.1, and what section 3 of the format page makes of them.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/zstd_frame.h"

struct row {
	const char *what;
	int expected;
	size_t len;
	uint8_t bytes[40];
};

// 28 B5 2F FD, descriptor, [window], content size, blocks (3 bytes little-endian: last, type, size), checksum.
#define MAGIC 0x28, 0xB5, 0x2F, 0xFD
#define RAW_LAST(n) ((n) << 3 | 1), 0, 0
#define SUM 1, 2, 3, 4

static void frames_are_accepted_or_refused_by_their_headers(void **state)
{
	static const struct row rows[] = {
	        {"one raw block of two bytes, single segment", 0, 15, {MAGIC, 0x24, 2, RAW_LAST(2), 'a', 'b', SUM}},
	        {"RLE block, no last block", -ENODATA, 14, {MAGIC, 0x24, 200, 200 << 3 & 0xff, 200 >> 5, 0, 'a', SUM}},
	        {"RLE block, last", 0, 14, {MAGIC, 0x24, 9, 9 << 3 | 3, 0, 0, 'a', SUM}},
	        {"window of 8 MiB, content size of 4 bytes", 0, 19,
	                {MAGIC, 0x84, 13 << 3, 2, 0, 0, 0, RAW_LAST(2), 'a', 'b', SUM}},
	        {"window larger than 8 MiB", -EBADMSG, 19,
	                {MAGIC, 0x84, 13 << 3 | 1, 2, 0, 0, 0, RAW_LAST(2), 'a', 'b', SUM}},
	        {"content size of 8 bytes beyond 1 MiB", -EBADMSG, 23,
	                {MAGIC, 0xe4, 1, 0, 16, 0, 0, 0, 0, 0, RAW_LAST(2), 'a', 'b', SUM}},
	        {"content size 0", -EBADMSG, 13, {MAGIC, 0x24, 0, RAW_LAST(0), SUM}},
	        {"no content size", -EBADMSG, 15, {MAGIC, 0x04, 0x58, RAW_LAST(2), 'a', 'b', SUM}},
	        {"no checksum", -EBADMSG, 11, {MAGIC, 0x20, 2, RAW_LAST(2), 'a', 'b'}},
	        {"dictionary", -EBADMSG, 16, {MAGIC, 0x25, 7, 2, RAW_LAST(2), 'a', 'b', SUM}},
	        {"reserved bit", -EBADMSG, 15, {MAGIC, 0x2c, 2, RAW_LAST(2), 'a', 'b', SUM}},
	        {"reserved block type", -EBADMSG, 15, {MAGIC, 0x24, 2, 2 << 3 | 7, 0, 0, 'a', 'b', SUM}},
	        {"more than the content size", -EBADMSG, 16, {MAGIC, 0x24, 2, RAW_LAST(3), 'a', 'b', 'c', SUM}},
	        {"skippable frame", -EBADMSG, 8, {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0}},
	        {"gzip", -EBADMSG, 10, {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}},
	        {"legacy zstd", -EBADMSG, 8, {0x27, 0xB5, 0x2F, 0xFD, 0, 0, 0, 0}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zstd_frame frame = {0};
		struct zstd_need need = {0};
		int r = zstd_frame_parse(rows[i].bytes, rows[i].len, &frame, &need);

		if (r != rows[i].expected)
			fail_msg("%s: %d", rows[i].what, r);
		if (r == 0)
			assert_int_equal(frame.stored, rows[i].len);
		if (r == -EBADMSG)
			assert_non_null(need.reason);
	}
}

static uint8_t *compress(const void *data, size_t len, size_t *ret_len)
{
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	size_t cap = ZSTD_compressBound(len);
	uint8_t *out = malloc(cap);

	assert_non_null(cctx);
	assert_non_null(out);
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
	*ret_len = ZSTD_compress2(cctx, out, cap, data, len);
	assert_false(ZSTD_isError(*ret_len));
	ZSTD_freeCCtx(cctx);
	return out;
}

static void every_shorter_part_of_a_frame_asks_for_more(void **state)
{
	static uint8_t content[300000];
	struct zstd_frame frame;
	struct zstd_need need;
	size_t len;
	uint8_t *data;

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * i >> 7);
	data = compress(content, sizeof(content), &len);
	for (size_t cut = 0; cut < len; cut += cut < 64 ? 1 : 997) {
		// A copy of exactly this size, so that sanitizers see any read beyond it.
		uint8_t *part = malloc(cut + 1);

		memcpy(part + 1, data, cut);
		need.bytes = 0;
		assert_int_equal(zstd_frame_parse(part + 1, cut, &frame, &need), -ENODATA);
		assert_true(need.bytes > cut && need.bytes <= len);
		free(part);
	}
	assert_int_equal(zstd_frame_parse(data, len, &frame, &need), 0);
	assert_int_equal(frame.stored, len);
	assert_int_equal(frame.content, sizeof(content));
	free(data);
}

static void a_wrong_checksum_is_refused(void **state)
{
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	struct zstd_frame frame;
	struct zstd_need need;
	const char *reason = NULL;
	uint8_t out[16];
	size_t len;
	uint8_t *data = compress("0123456789abcdef", 16, &len);

	assert_int_equal(zstd_frame_parse(data, len, &frame, &need), 0);
	assert_int_equal(zstd_frame_decompress(dctx, data, &frame, out, &reason), 0);
	assert_memory_equal(out, "0123456789abcdef", 16);
	data[len - 1] ^= 1;
	assert_int_equal(zstd_frame_parse(data, len, &frame, &need), 0);
	assert_int_equal(zstd_frame_decompress(dctx, data, &frame, out, &reason), -EBADMSG);
	assert_non_null(reason);
	free(data);
	ZSTD_freeDCtx(dctx);
}

// Three bytes say "an empty block": a frame of them has no end that a content size would set.
static void a_frame_of_endless_empty_blocks_is_refused(void **state)
{
	static const uint8_t head[] = {MAGIC, 0x24, 2};
	size_t len = FRAME_STORED_MAX + 4096;
	uint8_t *data = calloc(1, len);
	struct zstd_frame frame;
	struct zstd_need need;

	memcpy(data, head, sizeof(head));
	assert_int_equal(zstd_frame_parse(data, len, &frame, &need), -EBADMSG);
	free(data);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_are_accepted_or_refused_by_their_headers),
	        cmocka_unit_test(every_shorter_part_of_a_frame_asks_for_more),
	        cmocka_unit_test(a_wrong_checksum_is_refused),
	        cmocka_unit_test(a_frame_of_endless_empty_blocks_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

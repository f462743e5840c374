// SPDX-License-Identifier: Apache-2.0
// The index of a segment, and what expressions may ask it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/segment_index.h"
#include "sensor/cli/index_terms.h"

#define FRAMES 40u
#define PER_FRAME 100u
#define UDP_BYTES 42u

static const uint8_t segment_hash[INDEX_HASH_LEN] = {1, 2, 3};
static const uint8_t root[INDEX_HASH_LEN] = {9};

// UDP from 10.F.0.P:1000+P to 10.F.1.P:53, F the frame, P the packet.
static void make_packet(uint8_t out[UDP_BYTES], unsigned frame, unsigned packet)
{
	const uint8_t head[UDP_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17,
	        0, 0, 10, (uint8_t)frame, 0, (uint8_t)packet, 10, (uint8_t)frame, 1, (uint8_t)packet,
	        (uint8_t)((1000 + packet) >> 8), (uint8_t)(1000 + packet), 0, 53, 0, 8, 0, 0};

	memcpy(out, head, UDP_BYTES);
}

static uint64_t host_key(unsigned frame, unsigned side, unsigned packet)
{
	const uint8_t addr[FLOW_ADDR_LEN] = {10, (uint8_t)frame, (uint8_t)side, (uint8_t)packet};

	return key_of_host(4, addr);
}

static struct index_builder *build(uint64_t stored)
{
	struct index_builder *b = index_builder_new();
	uint8_t packet[UDP_BYTES];

	assert_non_null(b);
	index_builder_start(b);
	for (unsigned f = 0; f < FRAMES; f++) {
		for (unsigned p = 0; p < PER_FRAME; p++) {
			make_packet(packet, f, p);
			index_builder_packet(b, 1, packet, UDP_BYTES, UDP_BYTES);
		}
		assert_int_equal(index_builder_frame(b,
		                         &(struct indexed_frame){.offset = f * stored,
		                                 .first = f * PER_FRAME,
		                                 .ts_min = f,
		                                 .ts_max = f + 1,
		                                 .packets = PER_FRAME,
		                                 .root = root},
		                         stored),
		        0);
	}
	return b;
}

static void test_finds(void **state)
{
	struct index_builder *b = build(400000);
	struct segment_index index;
	struct indexed_frame f;
	unsigned frame = 0, wrong = 0;
	size_t len;
	const uint8_t *file = index_builder_finish(b, segment_hash, 12345, &len);

	assert_int_equal(segment_index_open(&index, file, len, segment_hash, 12345), 0);
	for (; segment_index_next(&index, &f) > 0; frame++) {
		assert_int_equal(f.offset, frame * 400000);
		assert_int_equal(f.first, frame * PER_FRAME);
		assert_memory_equal(f.root, root, INDEX_HASH_LEN);
		assert_true(f.filter_bytes > 0 && f.filter_bytes <= 4000 * (frame + 1));
		for (unsigned p = 0; p < PER_FRAME; p++) {
			uint8_t a[FLOW_ADDR_LEN] = {10, (uint8_t)frame, 0, (uint8_t)p},
			        z[FLOW_ADDR_LEN] = {10, (uint8_t)frame, 1, (uint8_t)p};

			assert_true(indexed_frame_may_have(&f, host_key(frame, 0, p)));
			assert_true(indexed_frame_may_have(&f, host_key(frame, 1, p)));
			assert_true(indexed_frame_may_have(&f, key_of_port((uint16_t)(1000 + p))));
			assert_true(indexed_frame_may_have(&f, key_of_conversation(4, z, a, 53, (uint16_t)(1000 + p))));
			wrong += indexed_frame_may_have(&f, host_key(200, 0, p));
		}
		assert_false(indexed_frame_may_have(&f, KEY_OF_ANYTHING));
	}
	assert_int_equal(frame, FRAMES);
	assert_true(wrong < FRAMES * PER_FRAME / 100);
	index_builder_free(b);
}

// Less room than the keys need: a frame without a filter can hold anything.
static void test_over_budget(void **state)
{
	struct index_builder *b = build(1000);
	struct segment_index index;
	struct indexed_frame f;
	size_t len;
	const uint8_t *file = index_builder_finish(b, segment_hash, 1, &len);

	assert_int_equal(segment_index_open(&index, file, len, segment_hash, 1), 0);
	while (segment_index_next(&index, &f) > 0) {
		assert_int_equal(f.filter_bytes, 0);
		assert_true(indexed_frame_may_have(&f, host_key(200, 0, 0)));
	}
	index_builder_free(b);
}

static void test_refuses(void **state)
{
	struct index_builder *b = build(400000);
	struct segment_index index;
	size_t len;
	const uint8_t *file = index_builder_finish(b, segment_hash, 12345, &len);
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	assert_int_equal(segment_index_open(&index, file, len, segment_hash, 12346), -ESTALE);
	assert_int_equal(segment_index_open(&index, file, len, root, 12345), -ESTALE);
	for (size_t cut = 0; cut < len; cut += cut < 400 ? 1 : 97)
		assert_int_equal(segment_index_open(&index, file, cut, segment_hash, 12345), -EBADMSG);
	for (size_t bit = 56 * 8; bit < 8 * len; bit += bit < 8000 ? 1 : 1009) {
		memcpy(copy, file, len);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(segment_index_open(&index, copy, len, segment_hash, 12345), -EBADMSG);
	}
	free(copy);
	index_builder_free(b);
}

static void test_terms(void **state)
{
	static const struct {
		const char *expression;
		unsigned count;
	} cases[] = {
	        {"", 0},
	        {"tcp", 0},
	        {"host 10.0.0.1", 1},
	        {"src host 10.0.0.1 and tcp dst port 80", 2},
	        {"tcp and host 10.0.0.1 and host 10.0.0.2 and port 80 && port 1024", 5},
	        {"host 10.0.0.1 and host 10.0.0.1 and port 80 and port 81", 4},
	        {"ip6 host fe80::1", 1},
	        {"host 10.0.0.1 or port 80", 0},
	        {"host 10.0.0.1 and port 80 or port 81", 0},
	        {"not host 10.0.0.1", 0},
	        {"host 10.0.0.1 and not port 80", 0},
	        {"(host 10.0.0.1)", 0},
	        {"host 10.0.0.1 and 10.0.0.2", 0},
	        {"host www.example.org", 0},
	        {"port http", 0},
	        {"port 80-90", 0},
	        {"vlan and host 10.0.0.1", 0},
	        {"net 10.0.0.0/8", 0},
	        {"src 10.0.0.1", 0},
	        {"host", 0},
	        {"host 10.0.0.1 and", 0},
	        {"ether host 00:01:02:03:04:05", 0},
	};
	struct index_terms terms;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		index_terms_of_expression(cases[i].expression, &terms);
		if (terms.count != cases[i].count)
			fail_msg("%s: %u keys, not %u", cases[i].expression, terms.count, cases[i].count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_finds), cmocka_unit_test(test_over_budget),
	        cmocka_unit_test(test_refuses), cmocka_unit_test(test_terms)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// `cat` against the segment files themselves, decompressed by zstd's stream decoder: every packet, once, in its lane's
// order.
#include "tests/unit/reader_fixture.h"

#include <sys/mman.h>
#include <zstd.h>

#include "sensor/evidence/reader/packet_merge.h"

struct bytes {
	uint8_t *at;
	size_t len;
};

static struct bytes read_fd(int fd)
{
	struct stat st;
	struct bytes b;

	assert_int_equal(fstat(fd, &st), 0);
	b.len = (size_t)st.st_size;
	b.at = malloc(b.len + 1);
	assert_non_null(b.at);
	assert_int_equal(pread(fd, b.at, b.len, 0), b.len);
	return b;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// Appends the packet blocks of a decompressed section that belong to this interface, as interface 0.
static void append_packets(struct bytes *to, struct bytes from, uint32_t interface)
{
	for (size_t at = 0; at < from.len; at += get32(from.at + at + 4)) {
		uint32_t total = get32(from.at + at + 4);

		if (get32(from.at + at) != 6 || get32(from.at + at + 8) != interface)
			continue;
		to->at = realloc(to->at, to->len + total);
		assert_non_null(to->at);
		memcpy(to->at + to->len, from.at + at, total);
		memset(to->at + to->len + 8, 0, 4);
		to->len += total;
	}
}

static struct bytes decompress_file(const char *path)
{
	struct bytes out = {malloc(1 << 22), 0}, in;
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	ZSTD_inBuffer from;
	ZSTD_outBuffer to = {out.at, 1 << 22, 0};
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	in = read_fd(fd);
	close(fd);
	from = (ZSTD_inBuffer){in.at, in.len, 0};
	while (from.pos < from.size)
		assert_false(ZSTD_isError(ZSTD_decompressStream(dctx, &to, &from)));
	out.len = to.pos;
	free(in.at);
	ZSTD_freeDCtx(dctx);
	return out;
}

static struct bytes merged(const struct fixture *f, struct merge_result *result)
{
	char path[PATH_ROOM];
	int fd = memfd_create("out", 0), dirfd;
	struct bytes b;

	snprintf(path, sizeof(path), "%s/recording", f->dir);
	dirfd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0 && dirfd >= 0);
	assert_int_equal(packet_merge(&(struct recording_dir){.fd = dirfd}, fd, NULL, result), 0);
	b = read_fd(fd);
	close(fd);
	close(dirfd);
	return b;
}

static void every_packet_comes_once_in_its_lane_s_order(void **state)
{
	static const struct {
		const char *vector;
		unsigned segments[2]; // of lanes 0 and 1
	} rows[] = {{"frames", {2, 1}}, {"busy", {3, 2}}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct merge_result result;
		struct fixture f;
		struct bytes out;

		fixture_make(&f, rows[i].vector);
		out = merged(&f, &result);
		assert_int_equal(result.report->by_verdict[VERDICT_INVALID], 0);
		assert_false(result.beyond_signed);
		for (uint32_t lane = 0; lane < 2; lane++) {
			struct bytes want = {0}, got = {0};

			for (unsigned number = 0; number < rows[i].segments[lane]; number++) {
				char path[PATH_ROOM];
				struct bytes section;

				snprintf(path, sizeof(path), "%s/recording/segments/%u/%08u.pcapng.zst", f.dir, lane,
				        number);
				section = decompress_file(path);
				append_packets(&want, section, 0);
				free(section.at);
			}
			append_packets(&got, out, lane);
			assert_int_equal(got.len, want.len);
			if (got.len > 0)
				assert_memory_equal(got.at, want.at, got.len);
			free(got.at);
			free(want.at);
		}
		verify_report_free(result.report);
		free(out.at);
		fixture_remove(&f);
	}
}

static void packets_behind_the_signed_part_are_given_and_told(void **state)
{
	struct merge_result result;
	struct fixture f;
	struct bytes out;

	fixture_make(&f, "crash");
	out = merged(&f, &result);
	assert_true(result.beyond_signed);
	assert_int_equal(result.report->by_verdict[VERDICT_INVALID], 0);
	assert_true(result.packets > result.report->packets);
	verify_report_free(result.report);
	free(out.at);
	fixture_remove(&f);
}

static void a_changed_segment_is_named(void **state)
{
	struct merge_result result;
	struct fixture f;
	struct bytes out;

	fixture_make(&f, "busy");
	shell("truncate -s -1 %s/recording/segments/1/00000001.pcapng.zst", f.dir);
	out = merged(&f, &result);
	assert_true(result.report->by_verdict[VERDICT_INVALID] > 0);
	assert_non_null(strstr(result.report->findings[0].where, "segments/1/00000001.pcapng.zst"));
	verify_report_free(result.report);
	free(out.at);
	fixture_remove(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_packet_comes_once_in_its_lane_s_order),
	        cmocka_unit_test(packets_behind_the_signed_part_are_given_and_told),
	        cmocka_unit_test(a_changed_segment_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

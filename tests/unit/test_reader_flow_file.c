// SPDX-License-Identifier: Apache-2.0
// Flow files as they grow: whole frames come out and no others, a reader goes on where it stood, and what is no frame
// of whole lines is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants these first
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "sensor/evidence/reader/flow_file.h"

struct stage {
	char path[64];
	int fd;
	struct flow_file *file;
};

static int begin(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	strcpy(s->path, "/tmp/sealtap-flow-file-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->fd >= 0);
	assert_int_equal(flow_file_new(s->fd, true, &s->file), 0);
	*state = s;
	return 0;
}

static int end(void **state)
{
	struct stage *s = *state;
	char name[FLOW_FILE_NAME_MAX];
	uint32_t number = 0;

	flow_file_free(s->file);
	while (flow_file_first(s->fd, number, &number) == 1) {
		flow_file_name(number, name);
		unlinkat(s->fd, name, 0);
	}
	close(s->fd);
	rmdir(s->path);
	free(s);
	return 0;
}

static size_t frame_of(const char *text, size_t len, uint8_t *out, size_t room)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n;

	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(c, out, room, text, len);
	assert_false(ZSTD_isError(n));
	ZSTD_freeCCtx(c);
	return n;
}

static void append(struct stage *s, const char *name, const void *data, size_t len)
{
	int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void append_frame(struct stage *s, const char *name, const char *text)
{
	uint8_t frame[4096];

	append(s, name, frame, frame_of(text, strlen(text), frame, sizeof(frame)));
}

static void expect(struct stage *s, const char *wanted)
{
	const char *line;
	size_t len;

	assert_int_equal(flow_file_next(s->file, &line, &len), 1);
	assert_int_equal(len, strlen(wanted));
	assert_memory_equal(line, wanted, len);
}

static int next(struct stage *s)
{
	const char *line;
	size_t len;

	return flow_file_next(s->file, &line, &len);
}

static void lines_come_when_their_frame_is_whole(void **state)
{
	struct stage *s = *state;
	uint8_t frame[4096];
	size_t len = frame_of("three\nfour\n", 11, frame, sizeof(frame));

	assert_int_equal(next(s), 0); // there is no file
	append_frame(s, "00000000.jsonl.zst", "one\n\ntwo\n");
	expect(s, "one");
	expect(s, "");
	expect(s, "two");
	assert_int_equal(next(s), 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(next(s), 0);
		assert_int_equal(flow_file_torn(s->file), i);
		append(s, "00000000.jsonl.zst", frame + i, 1);
	}
	expect(s, "three");
	expect(s, "four");
	assert_int_equal(next(s), 0);
}

static void the_next_file_comes_after_all_of_this_one(void **state)
{
	struct stage *s = *state;

	append_frame(s, "00000002.jsonl.zst", "a\n"); // 0 and 1 are gone
	expect(s, "a");
	assert_int_equal(flow_file_missing_files(s->file), 2);
	assert_int_equal(next(s), 0);
	append_frame(s, "00000002.jsonl.zst", "b\n");
	append(s, "00000002.jsonl.zst", "(((((", 5);
	append_frame(s, "00000003.jsonl.zst", "c\n");
	append_frame(s, "00000010.jsonl.zst", "d\n");
	append_frame(s, "0000011.jsonl.zst", "not a flow file's name\n");
	expect(s, "b");
	assert_int_equal(next(s), -EBADMSG); // "(((((" begins no frame
	flow_file_skip(s->file);
	expect(s, "c");
	expect(s, "d");
	assert_int_equal(flow_file_missing_files(s->file), 2 + 6);
	assert_int_equal(next(s), 0);
	unlinkat(s->fd, "0000011.jsonl.zst", 0);
}

static void a_file_cut_off_is_left_when_there_is_a_next_one(void **state)
{
	struct stage *s = *state;
	uint8_t frame[4096];
	size_t len = frame_of("lost\n", 5, frame, sizeof(frame));

	append_frame(s, "00000000.jsonl.zst", "a\n");
	append(s, "00000000.jsonl.zst", frame, len - 1);
	expect(s, "a");
	assert_int_equal(next(s), 0);
	assert_int_equal(flow_file_torn_files(s->file), 0);
	append_frame(s, "00000001.jsonl.zst", "b\n");
	expect(s, "b");
	assert_int_equal(flow_file_torn_files(s->file), 1);
}

static void a_reader_goes_on_where_it_stood(void **state)
{
	struct stage *s = *state;
	struct flow_position at[6];
	static const char *const lines[] = {"a", "b", "c", "d", "e"};

	append_frame(s, "00000000.jsonl.zst", "a\nb\n");
	append_frame(s, "00000000.jsonl.zst", "c\n");
	append_frame(s, "00000001.jsonl.zst", "d\ne\n");
	for (unsigned i = 0; i < 5; i++) {
		flow_file_position(s->file, &at[i]);
		expect(s, lines[i]);
	}
	flow_file_position(s->file, &at[5]);
	for (unsigned i = 0; i < 5; i++) {
		flow_file_seek(s->file, &at[i]);
		expect(s, lines[i]);
	}
	flow_file_seek(s->file, &at[5]);
	assert_int_equal(next(s), 0);
	flow_file_seek(s->file, &(struct flow_position){.number = 1, .line = 3});
	assert_int_equal(next(s), -EBADMSG);
	assert_int_equal(next(s), -EBADMSG);
	flow_file_seek(s->file, &(struct flow_position){.number = 1, .offset = 1000});
	assert_int_equal(next(s), -EBADMSG);
}

static void what_is_no_frame_of_lines_is_refused(void **state)
{
	struct stage *s = *state;
	static char big[1 << 20];
	uint8_t *frame = malloc(2 << 20);
	size_t len;

	assert_non_null(frame);
	append_frame(s, "00000000.jsonl.zst", "no end of a line");
	assert_int_equal(next(s), -EBADMSG);
	flow_file_seek(s->file, &(struct flow_position){.number = 1});
	len = frame_of("changed\n", 8, frame, 2 << 20);
	frame[len - 6] ^= 1; // in the content; the checksum is behind it
	append(s, "00000001.jsonl.zst", frame, len);
	assert_int_equal(next(s), -EBADMSG);
	flow_file_seek(s->file, &(struct flow_position){.number = 2});
	memset(big, '\n', sizeof(big));
	append(s, "00000002.jsonl.zst", frame, frame_of(big, sizeof(big), frame, 2 << 20));
	for (size_t i = 0; i < sizeof(big); i++)
		expect(s, "");
	assert_int_equal(next(s), 0);
	assert_int_equal(symlinkat("00000002.jsonl.zst", s->fd, "00000003.jsonl.zst"), 0);
	assert_int_equal(next(s), -ELOOP);
	free(frame);
}

static void only_numbers_of_eight_digits_are_names(void **state)
{
	uint32_t n;

	assert_true(flow_file_number("00000000.jsonl.zst", &n) && n == 0);
	assert_true(flow_file_number("4294967295.jsonl.zst", &n) && n == UINT32_MAX);
	assert_false(flow_file_number("4294967296.jsonl.zst", &n));
	assert_false(flow_file_number("000000000.jsonl.zst", &n));
	assert_false(flow_file_number("0000000a.jsonl.zst", &n));
	assert_false(flow_file_number("00000000.jsonl.zst~", &n));
	assert_false(flow_file_number("", &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(lines_come_when_their_frame_is_whole, begin, end),
	        cmocka_unit_test_setup_teardown(the_next_file_comes_after_all_of_this_one, begin, end),
	        cmocka_unit_test_setup_teardown(a_file_cut_off_is_left_when_there_is_a_next_one, begin, end),
	        cmocka_unit_test_setup_teardown(a_reader_goes_on_where_it_stood, begin, end),
	        cmocka_unit_test_setup_teardown(what_is_no_frame_of_lines_is_refused, begin, end),
	        cmocka_unit_test(only_numbers_of_eight_digits_are_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

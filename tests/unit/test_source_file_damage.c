// SPDX-License-Identifier: Apache-2.0
// Damaged, compressed, refused, long and slow inputs of the file source, built here; expected values are by hand.
// One process; inputs are memfds and pipes.
// Must not take an expected value from what the source printed.
#include <pthread.h>

#include "tests/unit/source_file_input.h"

// --- truncation and lies

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

static void what_follows_a_damage_is_hashed(void **state)
{
	struct sample s = pcap_sample();
	struct bytes b = {0}, packed;
	struct result r;

	put(&b, s.bytes.at, s.ends[1]);
	pcap_record(&b, 1, 2, UINT32_MAX, 5, "lie");
	for (unsigned i = 0; i < 1000000; ++i) // more than a window, and it does not compress well
		put32(&b, i * 2654435761u);
	r = read_bytes(b.at, b.len); // compares size and hash
	assert_int_equal(r.count, 1);
	expect_damage(&r, s.ends[1], "more than 262144");
	result_free(&r);
	packed = gzipped(b.at, b.len);
	r = read_bytes(packed.at, packed.len);
	expect_damage(&r, s.ends[1], "more than 262144");
	result_free(&r);
	free(packed.at);
	free(b.at);
	free(s.bytes.at);
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

// The decoder may hold bytes back for want of room when its input is used up: they are packets all the same.
static void what_a_decoder_holds_back_is_read(void **state)
{
	char *data = malloc(200001);

	memset(data, 'a', 200000);
	data[200000] = 0;
	for (unsigned more = 1; more < 600; more += 7) { // around the end of the first chunk of output
		struct bytes b = {0}, packed;
		struct result r;

		pcap_header(&b, 0xa1b2c3d4, 4, 0, 1);
		pcap_record(&b, 1, 0, 200000, 200000, data);
		pcap_record(&b, 1, 0, 62088 + more, 1, data + 200000 - 62088 - more);
		packed = gzipped(b.at, b.len);
		r = read_bytes(packed.at, packed.len - 8);
		assert_int_equal(r.count, 2);
		expect_damage(&r, b.len, "gzip: cut short");
		result_free(&r);
		free(packed.at);
		free(b.at);
	}
	free(data);
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

struct waiter {
	struct source *source;
	pid_t tid;
};

// Interrupts when the thread tid sleeps.
static void *interrupt_sleeper(void *arg)
{
	struct waiter *w = arg;
	char path[64], stat[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)w->tid);
	for (bool asleep = false; !asleep;) {
		FILE *f = fopen(path, "r");
		asleep = f && fgets(stat, sizeof(stat), f) && strstr(stat, ") S ");
		if (f)
			fclose(f);
	}
	w->source->ops->interrupt(w->source);
	return NULL;
}

static void an_interrupt_wakes_a_wait_without_end(void **state)
{
	struct sample s = pcap_sample();
	struct bytes first = {.at = s.bytes.at, .len = s.ends[0]};
	struct packet batch[8];
	pthread_t thread;
	int writer;
	struct waiter w = {.source = open_pipe(&writer, &first), .tid = gettid()};

	alarm(20); // a wait that nothing ends fails the test
	assert_int_equal(pthread_create(&thread, NULL, interrupt_sleeper, &w), 0);
	assert_int_equal(w.source->ops->recv(w.source, batch, 8, -1), -ENODATA);
	assert_int_equal(pthread_join(thread, NULL), 0);
	alarm(0);
	assert_true(w.source->end.damaged);
	w.source->ops->close(w.source);
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
	        cmocka_unit_test(every_truncation_is_a_damage_or_a_clean_end),
	        cmocka_unit_test(every_truncation_of_a_compressed_input_is_a_damage),
	        cmocka_unit_test(every_bit_may_be_wrong),
	        cmocka_unit_test(lying_lengths_are_damage),
	        cmocka_unit_test(what_follows_a_damage_is_hashed),
	        cmocka_unit_test(several_members_and_frames_are_one_stream),
	        cmocka_unit_test(what_a_decoder_holds_back_is_read),
	        cmocka_unit_test(a_compressed_stranger_is_damage_at_its_start),
	        cmocka_unit_test(strangers_are_refused),
	        cmocka_unit_test(long_inputs_pass_through_the_window),
	        cmocka_unit_test(a_pipe_hands_out_what_came_and_times_out),
	        cmocka_unit_test(an_interrupt_ends_a_wait_and_the_end_says_so),
	        cmocka_unit_test(an_interrupt_wakes_a_wait_without_end),
	        cmocka_unit_test(a_full_extra_file_breaks_the_source),
	};

	assert_int_equal(digest_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

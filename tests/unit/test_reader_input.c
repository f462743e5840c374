// SPDX-License-Identifier: Apache-2.0
// `verify --input` against the vector `ingest` and its files: the files as they are, and changed in every field that a
// packet has. What a change must lead to follows from the layout of pcapng.
#include "tests/unit/reader_fixture.h"

#include <sys/mman.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/input_compare.h"
#include "sensor/evidence/reader/report.h"

struct opened {
	struct fixture f;
	struct recording_dir dir;
	struct verify_report *report;
};

static void open_vector(struct opened *o)
{
	struct verify_options options = {.origin = o->f.origin, .threads = 1};
	char path[PATH_ROOM];

	fixture_make(&o->f, "ingest");
	snprintf(path, sizeof(path), "%s/recording", o->f.dir);
	assert_int_equal(recording_open(path, NULL, 0, &o->dir), 0);
	assert_int_equal(verify_recording(&o->dir, &options, &o->report), 0);
	assert_int_equal(verify_report_verdict(o->report), VERDICT_VALID);
}

static void close_vector(struct opened *o)
{
	recording_close(&o->dir);
	verify_report_free(o->report);
	fixture_remove(&o->f);
}

static void verify_input_at(struct verify_report *r, const struct recording_dir *dir, const char *path)
{
	int fd = open(path, O_RDONLY);

	verify_input(r, dir, path, fd < 0 ? -errno : fd);
	if (fd >= 0)
		close(fd);
}

struct bytes {
	uint8_t at[8192];
	size_t len;
};

static struct bytes input(const char *name)
{
	char path[PATH_ROOM], full[PATH_ROOM + 32];
	struct bytes b;
	int fd;

	snprintf(full, sizeof(full), "%s/inputs/%s", vector_path("ingest", path), name);
	fd = open(full, O_RDONLY);
	assert_true(fd >= 0);
	b.len = (size_t)read(fd, b.at, sizeof(b.at));
	assert_in_range(b.len, 64, sizeof(b.at) - 1);
	close(fd);
	return b;
}

// Offset of block n of the big-endian file.
static size_t block_at(const struct bytes *b, unsigned n)
{
	size_t at = 0;

	while (n--)
		at += (size_t)b->at[at + 6] << 8 | b->at[at + 7];
	assert_true(at < b->len);
	return at;
}

static const char *write_file(const struct fixture *f, const struct bytes *b, char path[PATH_ROOM])
{
	int fd;

	snprintf(path, PATH_ROOM, "%s/input", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, b->at, b->len), b->len);
	close(fd);
	return path;
}

// As if the ledger named the changed file: the digest alone would pass it.
static void pretend(struct report_source *s, const struct bytes *b)
{
	s->bytes = b->len;
	digest_once(b->at, b->len, s->sha256);
}

static void the_files_that_were_ingested_hold(void **state)
{
	static const struct {
		const char *name;
		uint64_t packets;
	} rows[] = {{"a.pcapng", 10}, {"b.pcap", 1}};
	struct opened o;

	open_vector(&o);
	for (size_t i = 0; i < 2; i++) {
		struct bytes b = input(rows[i].name);
		char path[PATH_ROOM];

		verify_input_at(o.report, &o.dir, write_file(&o.f, &b, path));
		assert_int_equal(o.report->finding_total, 0);
		assert_int_equal(o.report->input_count, i + 1);
		assert_int_equal(o.report->inputs[i].source, i);
		assert_true(o.report->inputs[i].compared);
		assert_int_equal(o.report->inputs[i].packets, rows[i].packets);
	}
	close_vector(&o);
}

// Blocks of a.pcapng: 0 section, 1 and 2 interfaces, 3 packet 0 of lane 0, 4 packet 0 of lane 1, 5 names,
// 6 packet 1 of lane 0, with a comment of 8 + 4 bytes and flags.
static void every_difference_is_found(void **state)
{
	static const struct {
		unsigned block, offset;
		uint8_t flip;
		const char *where; // in the finding; NULL: none, the byte is no part of a packet
	} rows[] = {
	        {3, 15, 0x01, "packet 0, lane 0 packet 0"}, // time, upper half
	        {3, 19, 0x80, "packet 0, lane 0 packet 0"}, // time, lower half
	        {3, 27, 0x01, "packet 0, lane 0 packet 0"}, // original length
	        {3, 28, 0x01, "packet 0, lane 0 packet 0"}, // first byte
	        {3, 45, 0x80, "packet 0, lane 0 packet 0"}, // last byte
	        {3, 46, 0xff, NULL},                        // padding
	        {4, 28, 0x01, "packet 1, lane 1 packet 0"}, //
	        {4, 11, 0x01, "packet 1, lane 0 packet 1"}, // interface
	        {6, 67, 0x02, "packet 2, lane 0 packet 1"}, // flags
	        {6, 52, 0x01, NULL},                        // comment
	        {5, 8, 0x01, NULL},                         // names
	        {1, 9, 0x02, "interface 0, lane 0"},        // link type
	        {2, 15, 0x01, "interface 1, lane 1"},       // snaplen
	        {1, 20, 0x01, "interface 0, lane 0"},       // name
	};
	struct opened o;

	open_vector(&o);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verify_report *r = report_new();
		struct bytes b = input("a.pcapng");
		struct report_source before = o.report->sources[0];
		struct report_source *sources = o.report->sources;
		char path[PATH_ROOM];

		b.at[block_at(&b, rows[i].block) + rows[i].offset] ^= rows[i].flip;
		// Not what the ledger names: that is all there is to say.
		r->sources = sources;
		r->source_count = o.report->source_count;
		memcpy(r->recording_id, o.report->recording_id, DIGEST_LEN);
		verify_input_at(r, &o.dir, write_file(&o.f, &b, path));
		assert_int_equal(r->finding_total, 1);
		assert_true(has_finding(r, "input-mismatch"));
		assert_int_equal(r->input_count, 0);
		r->sources = NULL;
		r->source_count = 0;
		verify_report_free(r);

		r = report_new();
		pretend(&sources[0], &b);
		r->sources = sources;
		r->source_count = o.report->source_count;
		memcpy(r->recording_id, o.report->recording_id, DIGEST_LEN);
		verify_input_at(r, &o.dir, path);
		if (rows[i].where && (!has_finding(r, "input-packets") || !strstr(r->findings[0].where, rows[i].where)))
			fail_msg("row %zu: %s", i, r->finding_count ? r->findings[0].where : "no finding");
		if (!rows[i].where && r->finding_total)
			fail_msg("row %zu: %s: %s", i, r->findings[0].where, r->findings[0].actual);
		if (rows[i].where)
			assert_int_equal(verify_report_verdict(r), VERDICT_INVALID);
		r->sources = NULL;
		r->source_count = 0;
		verify_report_free(r);
		sources[0] = before;
	}
	close_vector(&o);
}

// The files as they are do hold; changed, and named by the ledger all the same, they must give this finding.
static void expect(size_t source, const struct bytes *b, const char *where, const char *actual)
{
	struct opened o;
	char path[PATH_ROOM];
	bool seen = false;

	open_vector(&o);
	pretend(&o.report->sources[source], b);
	verify_input_at(o.report, &o.dir, write_file(&o.f, b, path));
	for (size_t i = 0; i < o.report->finding_count; i++) {
		const struct finding *f = &o.report->findings[i];

		assert_string_equal(f->code, "input-packets");
		seen = seen || (strstr(f->where, where) && strstr(f->actual, actual));
	}
	if (!seen)
		fail_msg("no finding \"%s\" at \"%s\"; the first: %s", actual, where,
		        o.report->finding_count > 0 ? o.report->findings[0].actual : "none");
	close_vector(&o);
}

static void numbers_ends_and_damage_are_compared(void **state)
{
	struct bytes a = input("a.pcapng"), b = input("b.pcap"), changed;
	size_t last = block_at(&a, 13), second = block_at(&a, 2), third = block_at(&a, 3);

	changed = a;
	changed.len = last; // without the last packet, of lane 1
	expect(0, &changed, "the end of lane 1", "more");
	expect(0, &changed, "input", "10 in the lanes");
	expect(0, &changed, "its `source` line", "10 packets");
	changed = a;
	memcpy(changed.at + a.len, a.at + last, a.len - last); // twice
	changed.len += a.len - last;
	expect(0, &changed, "packet 10, lane 1 packet 7", "the lane ends before it");
	changed = a;
	memcpy(changed.at + a.len, a.at + second, third - second); // one interface more
	changed.len += third - second;
	expect(0, &changed, "input", "2 lanes");
	changed = b;
	changed.len = b.len - 19; // without what is damaged
	expect(1, &changed, "its `source` line", "damage at offset 58");
	memcpy(changed.at + 24, b.at + b.len - 19, 19); // damage before the packet
	changed.len = 24 + 19;
	expect(1, &changed, "its `source` line", "damage at offset 58");
	changed.len = 100; // no capture at all
	memset(changed.at, 'x', 100);
	expect(1, &changed, "input", "no known capture format");
}

static void a_filtered_recording_gives_a_note(void **state)
{
	struct bytes a = input("a.pcapng");
	struct opened o;
	char path[PATH_ROOM];

	open_vector(&o);
	free(o.report->filter);
	o.report->filter = strdup("udp");
	verify_input_at(o.report, &o.dir, write_file(&o.f, &a, path));
	assert_int_equal(o.report->finding_total, 0);
	assert_int_equal(o.report->input_count, 1);
	assert_false(o.report->inputs[0].compared);
	assert_non_null(strstr(o.report->inputs[0].note, "filter"));
	a.at[a.len - 20] ^= 1;
	verify_input_at(o.report, &o.dir, write_file(&o.f, &a, path));
	assert_true(has_finding(o.report, "input-mismatch"));
	close_vector(&o);
}

static void a_recording_that_lies_is_found_out(void **state)
{
	struct bytes a = input("a.pcapng");
	struct opened o;
	char path[PATH_ROOM];

	open_vector(&o);
	// The commitments are checked on the way: another byte in a segment is no match although the ledger was
	// believed.
	shell("printf X | dd of=%s/recording/segments/0/00000000.pcapng.zst bs=1 seek=150 conv=notrunc status=none",
	        o.f.dir);
	verify_input_at(o.report, &o.dir, write_file(&o.f, &a, path));
	assert_int_equal(verify_report_verdict(o.report), VERDICT_INVALID);
	close_vector(&o);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_files_that_were_ingested_hold),
	        cmocka_unit_test(every_difference_is_found),
	        cmocka_unit_test(numbers_ends_and_damage_are_compared),
	        cmocka_unit_test(a_filtered_recording_gives_a_note),
	        cmocka_unit_test(a_recording_that_lies_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

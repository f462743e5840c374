// SPDX-License-Identifier: Apache-2.0
// The verifier against the vectors, whole and damaged. Expected verdicts are those of tests/vectors/MANIFEST and
// section 7.
#include "tests/unit/reader_fixture.h"

#include <ftw.h>

#include "sensor/evidence/reader/report.h"

static void vectors_have_the_verdicts_of_the_manifest(void **state)
{
	static const struct {
		const char *name;
		enum verdict verdict;
		enum complete complete;
	} rows[] = {
	        {"minimal", VERDICT_VALID, COMPLETE_YES},
	        {"frames", VERDICT_VALID, COMPLETE_YES},
	        {"busy", VERDICT_VALID, COMPLETE_NO},
	        {"crash", VERDICT_INCOMPLETE, COMPLETE_UNKNOWN},
	        {"recovered", VERDICT_INCOMPLETE, COMPLETE_UNKNOWN},
	        {"recovered-signed", VERDICT_INCOMPLETE, COMPLETE_UNKNOWN},
	        {"ingest", VERDICT_VALID, COMPLETE_NO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verify_report *r;
		struct fixture f;

		fixture_make(&f, rows[i].name);
		r = fixture_verify(&f, true);
		if (verify_report_verdict(r) != rows[i].verdict || r->complete != rows[i].complete)
			fail_msg("%s: %s, complete %s", rows[i].name, verdict_word(verify_report_verdict(r)),
			        complete_word(r->complete));
		assert_int_equal(r->authenticated, AUTHENTICATED_YES);
		assert_true(r->signatures_hold);
		verify_report_free(r);
		fixture_remove(&f);
	}
}

static void without_a_key_it_is_consistent_and_no_more(void **state)
{
	struct verify_report *r;
	struct fixture f;

	fixture_make(&f, "minimal");
	r = fixture_verify(&f, false);
	assert_int_equal(verify_report_verdict(r), VERDICT_INCOMPLETE);
	assert_int_equal(r->authenticated, AUTHENTICATED_NO);
	assert_true(has_finding(r, "not-authenticated"));
	verify_report_free(r);
	f.origin[0] ^= 1;
	r = fixture_verify(&f, true);
	assert_int_equal(verify_report_verdict(r), VERDICT_INCOMPLETE);
	assert_int_equal(r->authenticated, AUTHENTICATED_NO);
	verify_report_free(r);
	fixture_remove(&f);
}

// --- every byte of every file

static const struct fixture *flipping;
static unsigned flipped;

static void expect_invalid(const char *what, const char *path, long at)
{
	struct verify_report *r = fixture_verify(flipping, true);

	if (verify_report_verdict(r) != VERDICT_INVALID)
		fail_msg("%s of %s at %ld: %s", what, path, at, verdict_word(verify_report_verdict(r)));
	verify_report_free(r);
}

static int flip_bytes(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	int fd;

	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (off_t at = 0; at < st->st_size; at++) {
		uint8_t byte, changed;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		changed = byte ^ (uint8_t)(1u << (at % 8));
		assert_int_equal(pwrite(fd, &changed, 1, at), 1);
		expect_invalid("a changed byte", path, at);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		flipped++;
	}
	close(fd);
	return 0;
}

static void every_changed_byte_is_found(void **state)
{
	struct verify_report *r;
	struct fixture f;

	fixture_make(&f, "minimal");
	flipping = &f;
	assert_int_equal(nftw(f.dir, flip_bytes, 8, FTW_PHYS), 0);
	assert_true(flipped > 4000);
	r = fixture_verify(&f, true);
	assert_int_equal(verify_report_verdict(r), VERDICT_VALID);
	verify_report_free(r);
	fixture_remove(&f);
}

static int cut_and_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char aside[PATH_ROOM];
	int fd;

	if (type != FTW_F)
		return 0;
	snprintf(aside, sizeof(aside), "%s/aside", flipping->dir);
	assert_int_equal(rename(path, aside), 0);
	expect_invalid("removal", path, 0);
	shell("cp %s %s", aside, path);
	assert_int_equal(truncate(path, st->st_size - 1), 0);
	expect_invalid("truncation", path, st->st_size - 1);
	assert_int_equal(truncate(path, 0), 0);
	expect_invalid("truncation", path, 0);
	shell("cp %s %s", aside, path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	expect_invalid("an added byte", path, st->st_size);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(aside, path), 0);
	expect_invalid("a link in place", path, 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(aside, path), 0);
	return 0;
}

static void files_that_are_cut_longer_gone_or_links_are_found(void **state)
{
	struct fixture f;

	fixture_make(&f, "busy");
	flipping = &f;
	assert_int_equal(nftw(f.dir, cut_and_remove, 8, FTW_PHYS), 0);
	fixture_remove(&f);
}

static void what_cannot_be_read_is_not_verified(void **state)
{
	struct verify_report *r;
	struct fixture f;

	if (geteuid() == 0)
		skip(); // root reads everything
	fixture_make(&f, "minimal");
	shell("chmod 0 %s/recording/salts.key", f.dir);
	r = fixture_verify(&f, true);
	assert_int_equal(verify_report_verdict(r), VERDICT_UNREADABLE);
	verify_report_free(r);
	fixture_remove(&f);
}

static void a_path_without_a_directory_is_not_verified(void **state)
{
	struct verify_report *r;

	assert_int_equal(verify_unopened("/no/such/recording", -ENOENT, &r), 0);
	assert_true(has_finding(r, "unreadable"));
	assert_int_equal(verify_report_verdict(r), VERDICT_UNREADABLE);
	verify_report_free(r);
}

static void an_input_must_be_what_was_read(void **state)
{
	struct verify_report *r;
	struct fixture f;
	int fd;

	fixture_make(&f, "ingest");
	r = fixture_verify(&f, true);
	fd = open("/dev/null", O_RDONLY);
	verify_input(r, &(struct recording_dir){.fd = -1}, "/dev/null", fd);
	close(fd);
	assert_int_equal(verify_report_verdict(r), VERDICT_INVALID);
	assert_true(has_finding(r, "input-mismatch"));
	verify_report_free(r);
	fixture_remove(&f);
}

static void recordings_of_one_origin_must_follow_each_other(void **state)
{
	static const struct {
		uint64_t first, second;
		uint8_t second_id;
		const char *code;
	} rows[] = {
	        {1, 3, 2, "recording-missing"}, {1, 1, 2, "recording-forked"}, {1, 2, 2, "previous-checkpoint-unknown"},
	        {1, 1, 1, NULL}, // the same recording twice
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verify_report a = {.has_open = true, .origin_seq = rows[i].first, .recording_id = {1}};
		struct verify_report *b = report_new();
		struct series_member members[] = {{"second", {.fd = -1}, b}, {"first", {.fd = -1}, &a}};

		b->has_open = true;
		b->origin_seq = rows[i].second;
		b->recording_id[0] = rows[i].second_id;
		verify_series(members, 2);
		assert_int_equal(members[0].report->origin_seq, rows[i].first);
		if (rows[i].code)
			assert_true(has_finding(members[1].report, rows[i].code) ||
			            has_finding(members[0].report, rows[i].code));
		else
			assert_int_equal(b->finding_total + a.finding_total, 0);
		verify_report_free(b);
	}
}

static void findings_are_kept_up_to_a_limit_and_all_counted(void **state)
{
	struct verify_report *r = report_new();

	for (int i = 0; i < 5000; i++)
		report_add(r, VERDICT_INCOMPLETE, "unsigned-lines", "a\x1b[31m\xe2\x80\xae", "b", "c");
	report_add(r, VERDICT_INVALID, "line-seq", "d", "e", "f");
	assert_int_equal(r->finding_count, FINDINGS_KEPT_MAX);
	assert_int_equal(r->finding_total, 5001);
	assert_string_equal(r->findings[0].where, "a\\x1b[31m\\xe2\\x80\\xae");
	assert_int_equal(verify_report_verdict(r), VERDICT_INVALID); // though it was not kept
	verify_report_free(r);
}

static void an_empty_report_is_not_success(void **state)
{
	struct verify_report r = {0};

	assert_int_equal(verify_report_verdict(&r), VERDICT_INCOMPLETE);
	r.by_verdict[VERDICT_INCOMPLETE] = 1;
	r.by_verdict[VERDICT_UNREADABLE] = 1;
	assert_int_equal(verify_report_verdict(&r), VERDICT_UNREADABLE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(vectors_have_the_verdicts_of_the_manifest),
	        cmocka_unit_test(without_a_key_it_is_consistent_and_no_more),
	        cmocka_unit_test(every_changed_byte_is_found),
	        cmocka_unit_test(files_that_are_cut_longer_gone_or_links_are_found),
	        cmocka_unit_test(what_cannot_be_read_is_not_verified),
	        cmocka_unit_test(a_path_without_a_directory_is_not_verified),
	        cmocka_unit_test(an_input_must_be_what_was_read),
	        cmocka_unit_test(recordings_of_one_origin_must_follow_each_other),
	        cmocka_unit_test(findings_are_kept_up_to_a_limit_and_all_counted),
	        cmocka_unit_test(an_empty_report_is_not_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

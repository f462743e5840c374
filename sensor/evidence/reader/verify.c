// SPDX-License-Identifier: Apache-2.0
// The order of section 7. Checks live in the files named in verify_state.h.
#include "sensor/evidence/reader/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/reader/ledger_file.h"
#include "sensor/evidence/reader/ledger_pass.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/evidence/reader/trust_store.h"
#include "sensor/evidence/reader/verify_state.h"

// What follows the last whole line counts for the file's hash too.
static void ledger_rest(struct verify *v, struct ledger_file *file, struct digest *all)
{
	long n = 0;

	do {
		digest_update(all, file->buffer + file->from, file->until - file->from);
		n = read_full(file->fd, file->buffer, LEDGER_LINE_MAX);
		file->from = 0;
		file->until = n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (n < 0)
		report_errno(v->report, "ledger.jsonl", (int)n);
}

// All lines that the checkpoint covers, then the others; the hash of the whole file for recovery.json.
static void ledger_pass(struct verify *v)
{
	struct digest *all = v->walk->recovery || v->unsealed ? digest_new() : NULL;
	struct ledger_file file;
	const char *line;
	size_t len;
	int r = ledger_file_open(v->dirfd, &file);

	if (r < 0) {
		report_errno(v->report, "ledger.jsonl", r);
		v->signed_unknown = errno_verdict(r) == VERDICT_UNREADABLE;
		digest_free(all);
		return;
	}
	for (;;) {
		// Under a retention policy a segment may go while the ledger passes: then a newer line says so.
		if (v->lines == v->size && v->kept.absent + (v->has_retention ? v->flows.absent : 0) > 0 &&
		        !v->report->closed && checkpoint_renew(v))
			ledger_file_grow(&file);
		r = ledger_file_next(&file, &line, &len);
		if (r <= 0)
			break;
		if (all)
			digest_update(all, line, len);
		if (v->lines < v->size) {
			line_check(v, line, len);
			held_line(v);
		} else {
			line_check_unsigned(v, line, len);
		}
	}
	if (r == -ENODATA || r == -EBADMSG) {
		v->unsigned_lines = true;
		if (v->lines < v->size)
			report_add(v->report, VERDICT_INVALID, "line-form", LINE_WHERE(v),
			        "a line of at most 65535 bytes and LF",
			        r == -ENODATA ? "the file ends inside it" : "a longer one");
	} else if (r < 0) {
		report_errno(v->report, "ledger.jsonl", r);
		v->signed_unknown = true;
	}
	if (v->has_checkpoint && v->lines < v->size && r >= 0)
		report_add(v->report, VERDICT_INVALID, "ledger-short", "ledger.jsonl",
		        NOTE("%" PRIu64 " lines, as the checkpoint says", v->size),
		        NOTE("%" PRIu64 " lines", v->lines));
	if (all) {
		ledger_rest(v, &file, all);
		digest_peek(all, v->ledger_sha256);
		digest_free(all);
	}
	v->ledger_bytes = file.limit;
	ledger_file_close(&file);
}

static void authenticate(struct verify *v)
{
	const struct verify_options *o = v->options;
	struct verify_report *r = v->report;
	uint8_t own[ED25519_KEY_LEN];
	int known = -ENOENT;

	if (!r->has_open || !r->signatures_hold)
		return; // named already
	if (o->origin)
		known = memcmp(o->origin, r->origin_key, ED25519_KEY_LEN) == 0 ? 0 : -ENOENT;
	else if (o->data_dir)
		known = trust_store_has(o->data_dir, r->origin_key);
	if (known == 0) {
		r->authenticated = AUTHENTICATED_YES;
		return;
	}
	if (known != -ENOENT && known != -ENOTDIR)
		report_add(r, VERDICT_UNREADABLE, "trust-store-unreadable", "the trust store", "a readable public key",
		        strerror(-known));
	if (!o->origin && o->data_dir && trust_store_own(o->data_dir, own) == 0 &&
	        memcmp(own, r->origin_key, ED25519_KEY_LEN) == 0) {
		r->authenticated = AUTHENTICATED_SELF;
		report_add(r, VERDICT_INCOMPLETE, "self-signed-here", "ledger.jsonl line 0",
		        "an origin key that you gave or trust", "this machine's own origin key");
		return;
	}
	report_add(r, VERDICT_INCOMPLETE, "not-authenticated", "ledger.jsonl line 0",
	        o->origin ? "the origin key that you gave" : "an origin key that you gave or trust",
	        NOTE_HEX(r->origin_key));
}

static void finish(struct verify *v)
{
	struct stat st;

	if (v->unsigned_lines && v->has_checkpoint && v->lines == v->size)
		report_add(v->report, v->report->closed ? VERDICT_INVALID : VERDICT_INCOMPLETE, "unsigned-lines",
		        NOTE("ledger.jsonl from line %" PRIu64, v->lines), "nothing beyond the newest checkpoint",
		        "bytes that nobody signed");
	if (!v->report->closed)
		report_add(v->report, VERDICT_INCOMPLETE, "not-closed", "ledger.jsonl",
		        "a `close` as the last signed line", NOTE("%" PRIu64 " signed lines without it", v->lines));
	// Seen before the checkpoint was read; a recording that closed meanwhile has renamed it.
	else if (v->walk->checkpoint_tmp && fstatat(v->dirfd, "checkpoint.tmp", &st, AT_SYMLINK_NOFOLLOW) == 0)
		report_add(v->report, VERDICT_INVALID, "unexpected-file", "checkpoint.tmp",
		        "none in a closed recording", "one");
}

// Some other directory: that two files are missing says it all, its own files are no findings.
static bool something_here(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, "ledger.jsonl", &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT ||
	       fstatat(dirfd, "checkpoint", &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int ledger_pass_run(struct verify *v)
{
	merkle_init(&v->tree);
	if (something_here(v->dirfd))
		recording_walk(v->dir, v->walk, v->report);
	checkpoint_read(v);
	ledger_pass(v);
	v->report->lines = v->lines;
	key_finish(v);
	if (!v->report->signatures_hold)
		v->report->covered_until_ns = 0;
	lanes_finish(v);
	retire_finish(v);
	if (!v->signed_unknown) {
		source_finish(v);
		flows_finish(v);
		held_finish(v);
	}
	finish(v);
	return 0;
}

static void verify_free(struct verify *v)
{
	lanes_free(v);
	free(v->boot_id);
	free(v->source_has_extra);
	retire_free(v);
	flows_free(v);
	if (v->walk)
		free(v->walk->flows.list);
	free(v->walk);
	free(v);
}

int verify_new(const struct recording_dir *dir, const struct verify_options *options, struct verify **ret_verify)
{
	struct verify *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->dir = dir;
	v->dirfd = dir->fd;
	v->options = options;
	v->walk = calloc(1, sizeof(*v->walk));
	v->report = report_new();
	if (!v->walk || !v->report || digest_init() < 0) {
		verify_report_free(v->report);
		verify_free(v);
		return -ENOMEM;
	}
	*ret_verify = v;
	return 0;
}

struct verify_report *verify_end(struct verify *v)
{
	struct verify_report *report = v->report;

	verify_free(v);
	return report;
}

int verify_recording(
        const struct recording_dir *dir, const struct verify_options *options, struct verify_report **ret_report)
{
	struct verify *v;
	int r = verify_new(dir, options, &v);

	if (r < 0)
		return r;
	r = segment_checker_init(&v->checker, dir, options->threads, v->report);
	v->checker.progress = options->progress;
	v->checker.user = options->user;
	if (r == 0) {
		ledger_pass_run(v);
		authenticate(v);
	}
	segment_checker_release(&v->checker);
	if (r < 0)
		verify_report_free(verify_end(v));
	else
		*ret_report = verify_end(v);
	return r;
}

int verify_unopened(const char *path, int error, struct verify_report **ret_report)
{
	struct verify_report *report = report_new();

	if (!report)
		return -ENOMEM;
	report_add(report, VERDICT_UNREADABLE, "unreadable", path, "a recording: a directory with a ledger.jsonl",
	        strerror(-error));
	*ret_report = report;
	return 0;
}

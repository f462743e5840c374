// SPDX-License-Identifier: Apache-2.0
// Several recordings of one origin key: is one missing, was one made twice, do they follow each other?
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"

static int by_key_and_number(const void *left, const void *right)
{
	const struct series_member *a = left, *b = right;
	int r = memcmp(a->report->origin_key, b->report->origin_key, ED25519_KEY_LEN);

	if (r != 0)
		return r;
	if (a->report->origin_seq != b->report->origin_seq)
		return a->report->origin_seq < b->report->origin_seq ? -1 : 1;
	return memcmp(a->report->recording_id, b->report->recording_id, DIGEST_LEN);
}

static bool checkpoint_file_is(int dirfd, const char *path, const uint8_t hash[DIGEST_LEN])
{
	char text[CHECKPOINT_TEXT_MAX];
	uint8_t found[DIGEST_LEN];
	long n = recording_read_small(dirfd, path, text, sizeof(text));

	if (n < 0)
		return false;
	digest_once(text, (size_t)n, found);
	return memcmp(found, hash, DIGEST_LEN) == 0;
}

// Is hash that of `checkpoint` or of one of checkpoints/1 ... of this recording? All of these were verified.
static bool checkpoint_known(const struct series_member *m, const uint8_t hash[DIGEST_LEN])
{
	if (checkpoint_file_is(m->dir.fd, "checkpoint", hash))
		return true;
	for (uint64_t epoch = 1; epoch <= m->report->epochs; epoch++)
		if (checkpoint_file_is(m->dir.fd, NOTE("checkpoints/%" PRIu64, epoch), hash))
			return true;
	return false;
}

// Two copies of one recording: a closed history is the longest, and of one length there is one history.
static bool forked(const struct verify_report *a, const struct verify_report *b)
{
	if (memcmp(a->checkpoint_sha256, b->checkpoint_sha256, DIGEST_LEN) == 0)
		return false;
	return a->lines == b->lines || (a->closed && b->lines > a->lines) || (b->closed && a->lines > b->lines);
}

static void follow(const struct series_member *before, struct series_member *m)
{
	const struct verify_report *a = before->report;
	struct verify_report *b = m->report;

	if (memcmp(a->origin_key, b->origin_key, ED25519_KEY_LEN) != 0)
		return;
	if (a->origin_seq == b->origin_seq) {
		if (memcmp(a->recording_id, b->recording_id, DIGEST_LEN) != 0)
			report_add(b, VERDICT_INVALID, "recording-forked", m->path,
			        NOTE("one recording with origin_seq %" PRIu64, b->origin_seq),
			        NOTE("%s has it too", before->path));
		else if (forked(a, b))
			report_add(b, VERDICT_INVALID, "recording-forked", m->path,
			        NOTE("the history of %s", before->path), "another history of the same recording");
		return;
	}
	if (a->origin_seq + 1 != b->origin_seq) {
		report_add(b, VERDICT_INCOMPLETE, "recording-missing", m->path,
		        NOTE("the recordings with origin_seq %" PRIu64 " to %" PRIu64, a->origin_seq + 1,
		                b->origin_seq - 1),
		        "not among those given");
		return;
	}
	if (!checkpoint_known(before, b->origin_prev))
		report_add(b, VERDICT_INCOMPLETE, "previous-checkpoint-unknown", m->path,
		        NOTE("a checkpoint file of %s with the hash in origin_prev", before->path),
		        NOTE_HEX(b->origin_prev));
}

void verify_series(struct series_member *members, size_t count)
{
	qsort(members, count, sizeof(*members), by_key_and_number);
	for (size_t i = 1; i < count; i++)
		if (members[i - 1].report->has_open && members[i].report->has_open)
			follow(&members[i - 1], &members[i]);
}

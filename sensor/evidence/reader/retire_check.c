// SPDX-License-Identifier: Apache-2.0
// Check 10 of section 7: which complete segments were given up, whether the policy of `open` permitted it, and so
// whether a file may be missing.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/verify_state.h"

// A complete segment that has not been given up.
struct kept_segment {
	uint32_t lane, number;
	uint64_t bytes, packets, t_boot;
	uint64_t order; // of its `segment` line among all
	uint8_t sha256[DIGEST_LEN];
	bool absent;
};

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

void retire_open(struct verify *v, const struct ledger_open *open)
{
	if (!open->has_retention)
		return;
	v->retention = open->retention;
	v->has_retention = true;
	if (open->retention.has != RETENTION_BYTES && open->retention.has != RETENTION_TIME)
		add(v, "retention", "either keep_bytes or keep_time",
		        open->retention.has ? "both of them" : "none of them");
}

static struct kept_queue *queue_of(struct verify *v, uint64_t lane)
{
	return &v->kept.place[lane % (v->report->places ? v->report->places : 1)];
}

uint64_t retire_oldest(const struct verify *v, unsigned place)
{
	const struct kept_queue *k = &v->kept.place[place];

	return k->first < k->count ? k->list[k->first].order : UINT64_MAX;
}

// The one that is to go: for want of room on one disk the oldest of those on it, else the oldest of all.
static struct kept_queue *queue_next(struct verify *v, const struct ledger_retire *line)
{
	struct kept_queue *oldest = NULL;

	if (line->reason == RETIRE_MIN_FREE)
		return queue_of(v, line->lane);
	for (unsigned i = 0; i < PLACES_MAX; i++) {
		struct kept_queue *k = &v->kept.place[i];

		if (k->first < k->count && (!oldest || k->list[k->first].order < oldest->list[oldest->first].order))
			oldest = k;
	}
	return oldest ? oldest : &v->kept.place[0];
}

void retire_sealed(struct verify *v, const struct ledger_segment *line, bool absent)
{
	struct kept_queue *k = queue_of(v, line->lane);
	struct kept_segment *s;

	if (v->kept.listed == SEGMENTS_LISTED_MAX) {
		add(v, "limit-exceeded",
		        NOTE("at most %u complete segments under a retention policy", SEGMENTS_LISTED_MAX), "one more");
		return;
	}
	if (k->count == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 64;
		struct kept_segment *more = realloc(k->list, cap * sizeof(*more));

		if (!more) {
			report_errno(v->report, line->path, -ENOMEM);
			return;
		}
		k->list = more;
		k->cap = cap;
	}
	s = &k->list[k->count++];
	*s = (struct kept_segment){(uint32_t)line->lane, (uint32_t)line->number, line->bytes, line->packets,
	        v->last_boot, .order = v->kept.listed++, .absent = absent};
	memcpy(s->sha256, line->sha256, DIGEST_LEN);
	v->kept.absent += absent;
	v->kept.bytes += line->bytes;
}

// Whether the policy permitted it at this moment.
static void reason_check(struct verify *v, const struct ledger_retire *line, const struct kept_segment *s)
{
	unsigned __int128 stored = v->kept.bytes + v->unsealed_bytes;

	switch (line->reason) {
	case RETIRE_KEEP_SIZE:
		if (!(v->retention.has & RETENTION_BYTES) || stored <= v->retention.keep_bytes)
			add(v, "retire-reason",
			        v->retention.has & RETENTION_BYTES
			                ? NOTE("more than %" PRIu64 " stored bytes", v->retention.keep_bytes)
			                : "a policy with keep_bytes",
			        NOTE("%" PRIu64 " stored bytes", (uint64_t)stored));
		break;
	case RETIRE_KEEP_TIME:
		if (!(v->retention.has & RETENTION_TIME) || v->last_boot < s->t_boot ||
		        v->last_boot - s->t_boot < v->retention.keep_time)
			add(v, "retire-reason",
			        v->retention.has & RETENTION_TIME
			                ? NOTE("an age of at least %s", NOTE_TIME(v->retention.keep_time))
			                : "a policy with keep_time",
			        NOTE("complete since %s of boot time, now %s", NOTE_TIME(s->t_boot),
			                NOTE_TIME(v->last_boot)));
		break;
	default:
		if (line->free >= v->retention.min_free)
			add(v, "retire-reason", NOTE("less than %" PRIu64 " bytes free", v->retention.min_free),
			        NOTE("%" PRIu64 " bytes free", line->free));
	}
}

static void give_up(struct verify *v, struct kept_segment *s)
{
	struct lane *lane = v->lanes[s->lane];
	struct retired_segments *sum = s->absent ? &lane->retired : &lane->retired_present;

	if (sum->count == 0)
		sum->first = s->number;
	sum->last = s->number;
	sum->count++;
	sum->packets += s->packets;
	sum->bytes += s->bytes;
	v->report->segments_retired++;
	v->report->packets_retired += s->packets;
	v->kept.bytes -= s->bytes;
	v->kept.absent -= s->absent;
	s->absent = false;
}

void retire_line(struct verify *v, const struct ledger_retire *line)
{
	struct kept_queue *k = queue_next(v, line);
	struct kept_segment *s = k->first < k->count ? &k->list[k->first] : NULL;

	v->incomplete = true;
	if ((line->reason == RETIRE_MIN_FREE) != (line->has_free != 0))
		add(v, "retire-form", "`free` when the reason is min-free, and only then",
		        line->has_free ? "one" : "none");
	if (!v->has_retention) {
		add(v, "retire-without-policy", "a `retention` in `open`", "none");
		return;
	}
	if (!s || line->lane != s->lane || line->number != s->number) {
		add(v, "retire-order",
		        s ? NOTE("lane %u number %u, complete for longest", s->lane, s->number)
		          : "a complete segment that was not given up yet",
		        NOTE("lane %" PRIu64 " number %" PRIu64, line->lane, line->number));
		return;
	}
	if (line->bytes != s->bytes || line->packets != s->packets || memcmp(line->sha256, s->sha256, DIGEST_LEN) != 0)
		add(v, "retire-value",
		        NOTE("%" PRIu64 " bytes, %" PRIu64 " packets, %s", s->bytes, s->packets, NOTE_HEX(s->sha256)),
		        NOTE("%" PRIu64 " bytes, %" PRIu64 " packets, %s", line->bytes, line->packets,
		                NOTE_HEX(line->sha256)));
	reason_check(v, line, s);
	if (v->listener)
		v->listener->retired(v->listener->user, line);
	give_up(v, s);
	k->first++;
}

static void summary_report(struct verify *v, uint64_t lane, const struct retired_segments *sum, bool present)
{
	char first[SEGMENT_PATH_MAX], last[SEGMENT_PATH_MAX];

	if (sum->count == 0)
		return;
	segment_path((uint32_t)lane, sum->first, first);
	segment_path((uint32_t)lane, sum->last, last);
	report_add(v->report, VERDICT_INCOMPLETE, present ? "retired-present" : "segment-retired",
	        sum->count == 1 ? first : NOTE("%s to %s", first, strrchr(last, '/') + 1),
	        present ? "no file, for `retire` lines gave it up" : "a file",
	        NOTE("lane %" PRIu64 ", number %" PRIu64 "%s: %" PRIu64 " packets in %" PRIu64 " segment%s of %" PRIu64
	             " bytes, %s",
	                lane, sum->first, sum->count == 1 ? "" : NOTE(" to %" PRIu64, sum->last), sum->packets,
	                sum->count, sum->count == 1 ? "" : "s", sum->bytes,
	                present ? "there, and checked like any other" : "given up by `retire` lines"));
}

static void absent_report(struct verify *v, const struct kept_queue *k)
{
	for (size_t i = k->first; i < k->count && v->kept.absent > 0; i++) {
		char path[SEGMENT_PATH_MAX];

		if (!k->list[i].absent)
			continue;
		v->kept.absent--;
		segment_path(k->list[i].lane, k->list[i].number, path);
		if (!v->listener) // who reads the packets says so himself
			report_errno(v->report, path, -ENOENT);
	}
}

void retire_free(struct verify *v)
{
	for (unsigned i = 0; i < PLACES_MAX; i++)
		free(v->kept.place[i].list);
}

void retire_finish(struct verify *v)
{
	for (unsigned i = 0; i < PLACES_MAX; i++)
		absent_report(v, &v->kept.place[i]);
	for (uint64_t i = 0; i < v->lane_count; i++) {
		summary_report(v, i, &v->lanes[i]->retired, false);
		summary_report(v, i, &v->lanes[i]->retired_present, true);
	}
}

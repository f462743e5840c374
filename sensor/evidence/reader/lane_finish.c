// SPDX-License-Identifier: Apache-2.0
// Checks 9 and 10 after the ledger has passed: segments that nobody completed, files that nobody began, sums of losses.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/verify_state.h"

// What comes behind an incomplete segment must not have fewer counts than its last progress.
static void unsealed_counters(
        struct verify *v, const char *path, const struct waiting_segment *s, const struct lane *lane)
{
	if (!s->has_counters)
		return;
	if (s->next && s->next->sealed && counters_decrease(&s->newest, &s->next->begin))
		report_add(v->report, VERDICT_INVALID, "counters-decrease", path, "counters that never decrease",
		        "the next segment begins with less");
	if (s == lane->head && lane->chained && counters_decrease(&lane->chain, &s->first))
		report_add(v->report, VERDICT_INVALID, "counters-decrease", path, "counters that never decrease",
		        "less than at the end of the segment before");
}

// Nothing written and nothing there agree only where the lane's files would be.
static void elsewhere_check(struct verify *v, uint64_t number)
{
	unsigned there = 1;

	for (unsigned i = 0; i < v->dir->place_count; i++)
		there += v->dir->place[i].fd >= 0;
	if (there < v->report->places && !v->walk->lane_dir[number])
		report_add(v->report, VERDICT_UNREADABLE, "lane-elsewhere", NOTE("segments/%" PRIu64, number),
		        NOTE("the lane's directory, or all %" PRIu64 " that its recording was made onto",
		                v->report->places),
		        NOTE("none, and %u of them", there));
}

static void unsealed_segment(
        struct verify *v, uint64_t number, struct waiting_segment *s, struct recovery_check *recovery)
{
	const struct segment_point *newest = s->point_count > 0 ? &s->points[s->point_count - 1] : NULL;
	struct segment_found found = {0};
	struct segment_task task;
	char path[SEGMENT_PATH_MAX];
	int r;

	segment_path((uint32_t)number, s->number, path);
	elsewhere_check(v, number);
	unsealed_counters(v, path, s, v->lanes[number]);
	if (!v->listener) {
		lane_task(v, number, s, &task);
		task.whole = recovery != NULL || v->unsealed != NULL;
		task.may_be_absent = v->has_retention;
		r = segment_check(&v->checker, &task, &found);
		// In a recording that goes on it may have been completed and given up since.
		if (r == -ENOENT) {
			if (!checkpoint_renewed(v))
				report_errno(v->report, path, r);
			r = 0;
		}
		if (recovery)
			recovery_segment_check(v, recovery, number, s->number, newest, r < 0 ? NULL : &found);
		if (v->unsealed && v->unsealed->unsealed(v->unsealed->user, number, s->number, newest, &found) < 0)
			report_errno(v->report, path, -ENOMEM);
	}
	v->report->packets += newest ? newest->packets : 0;
	v->report->stored_bytes += newest ? newest->bytes : 0;
	report_add(v->report, VERDICT_INCOMPLETE, "segment-not-sealed", path, "a `segment` line",
	        NOTE("none; signed are %" PRIu64 " packets in %" PRIu64 " of %" PRIu64 " bytes",
	                newest ? newest->packets : 0, newest ? newest->bytes : 0, found.file_bytes));
}

// Files seen by the walk that no signed `begin` stands for.
static void files_check(struct verify *v, uint64_t number, uint64_t begun)
{
	const struct recording_walk *walk = v->walk;
	char path[SEGMENT_PATH_MAX];

	if (walk->lane_last[number] > begun) {
		segment_path((uint32_t)number, walk->lane_last[number] - 1, path);
		report_add(v->report, VERDICT_INVALID, "unexpected-file", path,
		        NOTE("%" PRIu64 " segments in this lane, as their `begin` lines say", begun),
		        "a file beyond them");
	}
	if (walk->lane_last_empty[number] > begun) {
		// Made, and nothing written: its `begin` may be on the way.
		segment_path((uint32_t)number, walk->lane_last_empty[number] - 1, path);
		report_add(v->report,
		        v->report->closed || walk->lane_last_empty[number] > begun + 1 ? VERDICT_INVALID
		                                                                       : VERDICT_INCOMPLETE,
		        "segment-without-begin", path, "a signed `begin`", "an empty file");
	}
	if (v->report->closed && walk->lane_dir[number] && begun == 0)
		report_add(v->report, VERDICT_INVALID, "unexpected-file", NOTE("segments/%" PRIu64, number),
		        NOTE("%" PRIu64 " lanes", v->lane_count), "the directory of another lane");
}

static void loss_check(struct verify *v, uint64_t number)
{
	static const struct counters none;
	const struct lane *lane = number < v->lane_count ? v->lanes[number] : NULL;
	const struct counters *end = lane ? &lane->last_end : &none;

	// A segment that nobody sealed has no counters that its losses could be held against.
	if (lane && lane->sealed < lane->begun)
		return;
	for (int i = 0; i < DROP_CAUSES; i++)
		if (v->loss[number][i] != end->dropped[i])
			report_add(v->report, VERDICT_INVALID, "loss-sum",
			        NOTE("ledger.jsonl lane %" PRIu64 " %s", number, drop_cause_names[i]),
			        NOTE("`loss` lines for %" PRIu64 " frames, as the last counters say", end->dropped[i]),
			        NOTE("for %" PRIu64 " frames", v->loss[number][i]));
}

static bool lane_live(const struct verify *v, const struct lane *lane)
{
	const struct verify_report *r = v->report;

	return lane->source >= r->source_count || !r->sources[lane->source].kind ||
	       strcmp(r->sources[lane->source].kind, "file") != 0;
}

static void complete_check(struct verify *v)
{
	struct verify_report *r = v->report;
	bool known = r->closed && !v->doubtful;

	for (uint64_t i = 0; i < v->lane_count; i++) {
		const struct counters *c = &v->lanes[i]->newest;

		for (int cause = 0; cause < DROP_CAUSES; cause++)
			v->incomplete = v->incomplete || c->dropped[cause] > 0;
		v->incomplete = v->incomplete || c->driver_dropped > 0;
		for (int k = NIC_MISSED; k <= NIC_ERRORS; k++)
			v->incomplete = v->incomplete || c->nic[k] > 0;
		if (c->nic[NIC_DROPPED] > 0)
			known = false;
		if (lane_live(v, v->lanes[i]) && !(c->driver_mask & COUNTERS_DRIVER_DROPPED))
			known = false;
		counters_add(&r->totals, c);
	}
	if (v->lane_count == 0 && !v->ingest_only)
		known = false;
	r->complete = v->incomplete ? COMPLETE_NO : known ? COMPLETE_YES : COMPLETE_UNKNOWN;
}

void lanes_finish(struct verify *v)
{
	struct recovery_check *recovery = NULL;

	if (v->walk->recovery && !v->listener && !v->signed_unknown && recovery_begin(v, &recovery) < 0)
		recovery = NULL;
	for (uint64_t i = 0; i < v->lane_count; i++)
		for (struct waiting_segment *s = v->lanes[i]->head; s; s = s->next)
			if (!s->sealed)
				unsealed_segment(v, i, s, recovery);
	if (recovery)
		recovery_finish(v, recovery);
	for (uint64_t i = 0; i < LANES_MAX; i++) {
		if (!v->signed_unknown)
			files_check(v, i, i < v->lane_count ? v->lanes[i]->begun : 0);
		if (v->report->closed)
			loss_check(v, i);
		if (v->report->closed)
			shunt_check(v, i);
	}
	complete_check(v);
}

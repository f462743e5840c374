// SPDX-License-Identifier: Apache-2.0
// Checks 8 and 10 while the ledger passes: which segments begin, how far they are, what their counters say.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/verify_state.h"

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

static struct lane *lane_find(struct verify *v, uint64_t lane)
{
	return lane < v->lane_count ? v->lanes[lane] : NULL;
}

static struct waiting_segment *segment_find(struct lane *lane, uint64_t number)
{
	for (struct waiting_segment *s = lane ? lane->head : NULL; s; s = s->next)
		if (s->number == number && !s->sealed)
			return s;
	return NULL;
}

static struct lane *lane_add(struct verify *v, const struct ledger_begin *begin)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	char *name = strdup(begin->interface);

	if (!lane || !name) {
		free(lane);
		free(name);
		report_errno(v->report, "ledger.jsonl", -ENOMEM);
		return NULL;
	}
	lane->source = begin->source;
	lane->interface = name;
	lane->linktype = (uint32_t)begin->linktype;
	lane->snaplen = (uint32_t)begin->snaplen;
	lane->tail = &lane->head;
	v->lanes[v->lane_count++] = lane;
	v->report->lanes = v->lane_count;
	return lane;
}

void lane_begin(struct verify *v, const struct ledger_begin *begin)
{
	struct waiting_segment *s;
	struct lane *lane;

	v->report->segments++;
	if (begin->lane > v->lane_count) {
		add(v, "lane-number", NOTE("at most %" PRIu64 ", the count of lanes before it", v->lane_count),
		        NOTE_U64(begin->lane));
		return;
	}
	if (begin->source >= v->report->source_count)
		add(v, "lane-source", NOTE("an index into %zu sources", v->report->source_count),
		        NOTE_U64(begin->source));
	lane = begin->lane == v->lane_count ? lane_add(v, begin) : v->lanes[begin->lane];
	if (!lane)
		return;
	if (begin->number != lane->begun) {
		add(v, "segment-number", NOTE_U64(lane->begun), NOTE_U64(begin->number));
		return;
	}
	if (lane->source != begin->source || lane->linktype != begin->linktype || lane->snaplen != begin->snaplen ||
	        strcmp(lane->interface, begin->interface) != 0)
		add(v, "lane-changed", "source, interface, linktype and snaplen of the lane's first segment", "others");
	if (v->segments_waiting >= SEGMENTS_WAITING_MAX || lane->waiting >= LANE_WAITING_MAX) {
		add(v, "limit-exceeded",
		        NOTE("at most %u segments under way, %u of one lane", SEGMENTS_WAITING_MAX, LANE_WAITING_MAX),
		        "one more");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		report_errno(v->report, "ledger.jsonl", -ENOMEM);
		return;
	}
	s->number = (uint32_t)begin->number;
	*lane->tail = s;
	lane->tail = &s->next;
	lane->begun++;
	lane->waiting++;
	v->segments_waiting++;
	if (v->listener && v->listener->begun(v->listener->user, begin) < 0)
		report_errno(v->report, "ledger.jsonl", -ENOMEM);
}

static void check_law(struct verify *v, const char *what, const struct counters *c)
{
	if (!counters_lawful(c, v->shunts))
		add(v, "counters-law",
		        NOTE("received = recorded + filtered + %sall dropped; out_of_scope%s 0; with xdp, "
		             "driver.dropped = no_socket + dropped + ring_full",
		                v->shunts ? "shunted + " : "", v->shunts ? "" : " and shunted"),
		        NOTE("%s: received %" PRIu64 ", recorded %" PRIu64 ", filtered %" PRIu64 ", shunted %" PRIu64,
		                what, c->received, c->recorded, c->filtered, c->shunted));
}

static void check_growth(struct verify *v, const char *what, const struct counters *from, const struct counters *to)
{
	const char *name = counters_decrease(from, to);

	if (name)
		add(v, "counters-decrease", "counters that never decrease",
		        NOTE("%s: %s is less than before", what, name));
}

static bool point_keep(struct verify *v, struct waiting_segment *s, const struct segment_point *point)
{
	if (v->points_waiting >= POINTS_WAITING_MAX) {
		add(v, "limit-exceeded",
		        NOTE("at most %u progress points that wait for their segment", POINTS_WAITING_MAX), "one more");
		return false;
	}
	if (s->point_count == s->point_cap) {
		size_t cap = s->point_cap == 0 ? 8 : 2 * s->point_cap;
		struct segment_point *more = realloc(s->points, cap * sizeof(*more));

		if (!more) {
			report_errno(v->report, "ledger.jsonl", -ENOMEM);
			return false;
		}
		s->points = more;
		s->point_cap = cap;
	}
	s->points[s->point_count++] = *point;
	v->points_waiting++;
	return true;
}

// An idle segment is repeated by every progress: equal points are kept once.
static void point_add(struct verify *v, struct waiting_segment *s, const struct ledger_progress_entry *entry)
{
	struct segment_point point = {.frames = entry->frames, .bytes = entry->bytes, .packets = entry->packets};
	const struct segment_point *last = s->point_count > 0 ? &s->points[s->point_count - 1] : NULL;

	memcpy(point.root, entry->root, DIGEST_LEN);
	if (last && memcmp(last, &point, sizeof(point)) == 0)
		return;
	if (last && (point.frames <= last->frames || point.bytes <= last->bytes || point.packets < last->packets)) {
		add(v, "progress-decreases",
		        NOTE("more than %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " packets, or all the same",
		                last->frames, last->bytes, last->packets),
		        NOTE("%" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " packets", point.frames, point.bytes,
		                point.packets));
		return;
	}
	point_keep(v, s, &point);
}

static void progress_entry(struct verify *v, const struct ledger_progress_entry *entry)
{
	struct lane *lane = lane_find(v, entry->lane);
	struct waiting_segment *s = segment_find(lane, entry->number);

	check_law(v, "counters", &entry->counters);
	if (!s) {
		add(v, "progress-segment", "a segment that began and is not complete",
		        NOTE("lane %" PRIu64 " number %" PRIu64, entry->lane, entry->number));
		return;
	}
	if (s->has_counters)
		check_growth(v, "counters", &s->newest, &entry->counters);
	else
		s->first = entry->counters;
	s->newest = entry->counters;
	s->has_counters = true;
	v->unsealed_bytes += entry->bytes;
	v->unsealed_bytes -= s->signed_bytes;
	s->signed_bytes = entry->bytes;
	if (!counters_decrease(&lane->newest, &entry->counters))
		lane->newest = entry->counters;
	point_add(v, s, entry);
	if (v->listener)
		v->listener->progressed(v->listener->user, entry);
}

void lane_progress(struct verify *v, const struct ledger_progress *progress)
{
	struct field_fault fault;

	for (size_t i = 0; i < json_array_size(progress->segments); i++) {
		struct ledger_progress_entry entry = {0};

		if (fields_parse(json_array_get(progress->segments, i), progress_entry_fields, &entry, &fault) == 0)
			progress_entry(v, &entry);
	}
}

static void meet(struct verify *v, const char *where, const struct counters *end, const struct waiting_segment *next)
{
	if (end ? !counters_equal(end, &next->begin) : !counters_zero(&next->begin))
		report_add(v->report, VERDICT_INVALID, "counters-chain", where,
		        end ? "counters_begin equal to counters_end of the segment before"
		            : "counters_begin all zero in segment 0",
		        NOTE("segment %u: received %" PRIu64 " after %" PRIu64, next->number, next->begin.received,
		                end ? end->received : 0));
}

static struct waiting_segment *waiting_drop(struct verify *v, struct lane *lane, struct waiting_segment **at)
{
	struct waiting_segment *s = *at;

	*at = s->next;
	if (!*at)
		lane->tail = at;
	free(s->points);
	free(s);
	lane->waiting--;
	v->segments_waiting--;
	return *at;
}

void lane_chain(struct verify *v, struct lane *lane, const char *where)
{
	while (lane->head && lane->head->sealed) {
		meet(v, where, lane->chained ? &lane->chain : NULL, lane->head);
		lane->chain = lane->head->end;
		lane->chained = true;
		waiting_drop(v, lane, &lane->head);
	}
	for (struct waiting_segment *s = lane->head; s; s = s->next) {
		while (s->sealed && s->next && s->next->sealed) {
			meet(v, where, &s->end, s->next);
			s->end = s->next->end;
			waiting_drop(v, lane, &s->next);
		}
	}
}

void lane_task(struct verify *v, uint64_t lane_number, const struct waiting_segment *s, struct segment_task *ret_task)
{
	const struct lane *lane = v->lanes[lane_number];
	struct segment_task task = {
	        .lane = (uint32_t)lane_number,
	        .number = s->number,
	        .points = s->points,
	        .point_count = s->point_count,
	        .salts_known = v->salts_known,
	        .segment = {.interface = {lane->interface, lane->linktype, lane->snaplen}},
	};

	task.segment.commit.lane = task.lane;
	task.segment.commit.linktype = lane->linktype;
	segment_id(v->report->recording_id, task.lane, task.number, task.segment.commit.id);
	if (segment_salt_key(v->salts, task.segment.commit.id, task.segment.commit.salt_key) < 0) {
		report_errno(v->report, "salts.key", -ENOTSUP);
		task.salts_known = false;
	}
	*ret_task = task;
}

static void segment_counters(struct verify *v, struct waiting_segment *s, const struct ledger_segment *line)
{
	check_law(v, "counters_begin", &line->counters_begin);
	check_law(v, "counters_end", &line->counters_end);
	check_growth(v, "counters_end after counters_begin", &line->counters_begin, &line->counters_end);
	if (s->has_counters) {
		check_growth(v, "first progress after counters_begin", &line->counters_begin, &s->first);
		check_growth(v, "counters_end after the last progress", &s->newest, &line->counters_end);
	}
	if (line->counters_end.recorded - line->counters_begin.recorded != line->packets)
		add(v, "counters-recorded", NOTE("recorded grows by %" PRIu64 " packets", line->packets),
		        NOTE("from %" PRIu64 " to %" PRIu64, line->counters_begin.recorded,
		                line->counters_end.recorded));
}

void lane_segment(struct verify *v, const struct ledger_segment *line)
{
	struct lane *lane = lane_find(v, line->lane);
	struct waiting_segment *s = segment_find(lane, line->number);
	struct segment_found found;
	struct segment_task task;
	char path[SEGMENT_PATH_MAX];
	bool absent = false;

	if (__builtin_add_overflow(v->sealed_packets, line->packets, &v->sealed_packets))
		add(v, "limit-exceeded", "fewer than 2^64 packets", "more");
	if (!s) {
		add(v, "segment-not-begun", "a segment that began and is not complete",
		        NOTE("lane %" PRIu64 " number %" PRIu64, line->lane, line->number));
		return;
	}
	segment_path((uint32_t)line->lane, line->number, path);
	if (strcmp(path, line->path) != 0)
		add(v, "segment-path", path, line->path);
	segment_counters(v, s, line);
	if (v->listener) {
		if (v->listener->sealed(v->listener->user, line) < 0)
			report_errno(v->report, path, -ENOMEM);
		absent = v->has_retention && recording_lacks_segment(v->dir, (uint32_t)line->lane, line->number);
	} else {
		lane_task(v, line->lane, s, &task);
		task.sealed = line;
		task.may_be_absent = v->has_retention;
		absent = segment_check(&v->checker, &task, &found) == -ENOENT;
	}
	v->unsealed_bytes -= s->signed_bytes;
	if (v->has_retention)
		retire_sealed(v, line, absent);
	s->sealed = true;
	s->begin = line->counters_begin;
	s->end = line->counters_end;
	if (!counters_decrease(&lane->newest, &line->counters_end))
		lane->newest = line->counters_end;
	if (lane->sealed == 0 || s->number > lane->last_number) {
		lane->last_number = s->number;
		lane->last_end = line->counters_end;
	}
	lane->sealed++;
	v->report->segments_sealed++;
	v->report->packets += line->packets;
	v->report->stored_bytes += line->bytes;
	v->points_waiting -= s->point_count;
	free(s->points);
	s->points = NULL;
	s->point_count = s->point_cap = 0;
	lane_chain(v, lane, LINE_WHERE(v));
}

void lane_loss(struct verify *v, const struct ledger_loss *loss)
{
	uint64_t *sum = &v->loss[loss->lane][loss->cause];

	if (loss->frames > 0)
		v->incomplete = true;
	if (__builtin_add_overflow(*sum, loss->frames, sum)) {
		add(v, "loss-sum", "a sum below 2^64", "more");
		*sum = UINT64_MAX;
	}
}

void lanes_free(struct verify *v)
{
	for (uint64_t i = 0; i < v->lane_count; i++) {
		struct lane *lane = v->lanes[i];

		for (struct waiting_segment *s = lane->head, *next; s; s = next) {
			next = s->next;
			free(s->points);
			free(s);
		}
		free(lane->interface);
		free(lane);
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/segment_check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/merkle.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"

// One check under way.
struct run {
	struct segment_checker *s;
	const struct segment_task *task;
	struct segment_found *found;
	char path[SEGMENT_PATH_MAX];
	struct merkle frames;
	size_t next_point;
	bool broken; // no frame counts any more
	bool tail_seen;
	struct segment_statistics statistics;
};

static void add(struct run *run, const char *code, const char *expected, const char *actual)
{
	report_add(run->s->report, VERDICT_INVALID, code, run->path, expected, actual);
}

int segment_checker_init(
        struct segment_checker *s, const struct recording_dir *dir, unsigned threads, struct verify_report *report)
{
	int r;

	*s = (struct segment_checker){.dir = dir, .report = report};
	r = stored_reader_init(&s->reader);
	if (r < 0)
		return r;
	return frame_pool_new(threads, &s->pool);
}

void segment_checker_release(struct segment_checker *s)
{
	frame_pool_free(s->pool);
	stored_reader_release(&s->reader);
}

static uint64_t signed_frames(const struct segment_task *task)
{
	return task->point_count == 0 ? 0 : task->points[task->point_count - 1].frames;
}

// A frame that is not as section 3 says. In an unsealed segment the signed part decides whether that matters.
static void break_at(struct run *run, const char *code, const char *reason)
{
	uint64_t frame = run->found->frames;
	struct note where;

	run->broken = true;
	if (!run->task->sealed && frame >= signed_frames(run->task))
		return;
	report_add(run->s->report, VERDICT_INVALID, code, note(&where, "%s frame %" PRIu64, run->path, frame),
	        "a frame as section 3 prescribes", reason);
}

// Compares all points about the frames so far.
static void points_pass(struct run *run)
{
	const struct segment_found *f = run->found;
	struct note where;

	while (run->next_point < run->task->point_count && run->task->points[run->next_point].frames == f->frames) {
		const struct segment_point *p = &run->task->points[run->next_point++];
		uint8_t root[DIGEST_LEN];

		merkle_root(&run->frames, root);
		note(&where, "%s frame %" PRIu64, run->path, f->frames);
		if (p->bytes != f->bytes || p->packets != f->packets)
			report_add(run->s->report, VERDICT_INVALID, "progress-mismatch", where.text,
			        NOTE("%" PRIu64 " bytes, %" PRIu64 " packets as signed by a progress", p->bytes,
			                p->packets),
			        NOTE("%" PRIu64 " bytes, %" PRIu64 " packets", f->bytes, f->packets));
		else if (run->task->salts_known && memcmp(p->root, root, DIGEST_LEN) != 0)
			report_add(run->s->report, VERDICT_INVALID, "progress-root", where.text, NOTE_HEX(p->root),
			        NOTE_HEX(root));
	}
}

static void frame_pass(struct run *run, const struct frame_result *result)
{
	struct segment_found *f = run->found;

	if (run->broken)
		return;
	if (result->status == -EBADMSG) {
		break_at(run, "frame-malformed", result->reason);
		return;
	}
	if (result->status < 0) {
		run->broken = true;
		report_add(run->s->report, VERDICT_UNREADABLE, "unreadable", run->path, "a frame that can be checked",
		        strerror(-result->status));
		return;
	}
	if (run->tail_seen) {
		break_at(run, "frame-order", "a frame after the one with the Interface Statistics Block");
		return;
	}
	if (result->kind == FRAME_TAIL) {
		run->tail_seen = true;
		run->statistics = result->statistics;
	}
	if (result->packets > 0) {
		f->ts_min = f->packets == 0 || result->ts_min < f->ts_min ? result->ts_min : f->ts_min;
		f->ts_max = f->packets == 0 || result->ts_max > f->ts_max ? result->ts_max : f->ts_max;
	}
	merkle_append(&run->frames, result->root, DIGEST_LEN);
	f->frames++;
	f->packets += result->packets;
	f->bytes += result->stored;
	points_pass(run);
}

static void collect(struct run *run)
{
	struct frame_result result;

	if (frame_pool_collect(run->s->pool, &result) == 0)
		frame_pass(run, &result);
}

// How many frames are worth reading. One more than a `segment` line counts shows that there are too many: a small file
// can hold frames of 1 MiB without end.
static uint64_t frames_wanted(const struct segment_task *task)
{
	if (task->sealed)
		return task->sealed->frames < UINT64_MAX ? task->sealed->frames + 1 : UINT64_MAX;
	return task->whole ? UINT64_MAX : signed_frames(task);
}

// Reads frames until the end, the end of what is signed, or the first frame that is not whole.
static int read_frames(struct run *run)
{
	struct segment_checker *s = run->s;
	uint64_t wanted = frames_wanted(run->task), submitted = 0, progress_at = 0;
	int r = 0;

	while (!run->broken && submitted < wanted) {
		const uint8_t *data;
		struct zstd_frame frame;

		r = stored_reader_next(&s->reader, &data, &frame);
		if (r <= 0)
			break;
		while ((r = frame_pool_submit(s->pool, data, &frame)) == -EAGAIN)
			collect(run);
		if (r < 0)
			break;
		submitted++;
		if (s->progress && s->reader.bytes - progress_at >= (8u << 20)) {
			progress_at = s->reader.bytes;
			s->progress(s->user, s->bytes_total + progress_at);
		}
	}
	for (struct frame_result result; frame_pool_collect(s->pool, &result) == 0;)
		frame_pass(run, &result);
	if (run->broken && (r == -EBADMSG || r == -ENODATA))
		return 0;
	if (r == -EBADMSG)
		break_at(run, "frame-malformed", s->reader.reason);
	else if (r == -ENODATA)
		break_at(run, "frame-cut", "the file ends inside this frame");
	return r == -EBADMSG || r == -ENODATA ? 0 : r;
}

static void compare_sealed(struct run *run)
{
	const struct ledger_segment *want = run->task->sealed;
	const struct segment_found *f = run->found;
	uint64_t dropped = 0;

	if (f->file_bytes != want->bytes)
		add(run, "segment-size", NOTE("%" PRIu64 " bytes", want->bytes),
		        NOTE("%" PRIu64 " bytes", f->file_bytes));
	if (run->s->reader.eof && memcmp(f->file_sha256, want->sha256, DIGEST_LEN) != 0)
		add(run, "segment-sha256", NOTE_HEX(want->sha256), NOTE_HEX(f->file_sha256));
	if (run->broken)
		return; // named already; counts over the rest would only repeat it
	if (!run->tail_seen)
		add(run, "segment-tail", "a last frame with an Interface Statistics Block", "none");
	if (f->frames != want->frames)
		add(run, "segment-frames", NOTE("%" PRIu64 " frames", want->frames),
		        NOTE("%" PRIu64 " frames", f->frames));
	if (f->packets != want->packets)
		add(run, "segment-packets", NOTE("%" PRIu64 " packets", want->packets),
		        NOTE("%" PRIu64 " packets", f->packets));
	if (run->task->salts_known && memcmp(f->root, want->root, DIGEST_LEN) != 0)
		add(run, "segment-root", NOTE_HEX(want->root), NOTE_HEX(f->root));
	if (f->ts_min != want->ts_min || f->ts_max != want->ts_max)
		add(run, "segment-times", NOTE("%" PRIu64 " to %" PRIu64 " ns", want->ts_min, want->ts_max),
		        NOTE("%" PRIu64 " to %" PRIu64 " ns", f->ts_min, f->ts_max));
	for (int i = 0; i < DROP_CAUSES; i++)
		dropped += want->counters_end.dropped[i];
	if (run->tail_seen &&
	        (run->statistics.received != want->counters_end.received || run->statistics.dropped != dropped ||
	                run->statistics.recorded != want->counters_end.recorded))
		add(run, "segment-statistics",
		        NOTE("received %" PRIu64 ", dropped %" PRIu64 ", recorded %" PRIu64,
		                want->counters_end.received, dropped, want->counters_end.recorded),
		        NOTE("received %" PRIu64 ", dropped %" PRIu64 ", recorded %" PRIu64, run->statistics.received,
		                run->statistics.dropped, run->statistics.recorded));
}

static int check_open_file(struct run *run, int fd)
{
	struct segment_checker *s = run->s;
	int r;

	frame_pool_start(s->pool, &run->task->segment);
	stored_reader_start(&s->reader, fd);
	points_pass(run);
	r = read_frames(run);
	merkle_root(&run->frames, run->found->root);
	if (r >= 0 && (run->task->sealed || run->task->whole)) {
		// A file longer than its line says is found by its size; a sparse one could keep a reader busy for
		// days.
		r = stored_reader_finish(
		        &s->reader, run->task->sealed ? run->task->sealed->bytes : UINT64_MAX, run->found->file_sha256);
		if (s->reader.bytes > run->found->file_bytes || s->reader.eof)
			run->found->file_bytes = s->reader.bytes;
	}
	s->bytes_total += s->reader.bytes;
	if (r < 0) {
		report_errno(s->report, run->path, r);
		return r;
	}
	if (run->task->sealed)
		compare_sealed(run);
	if (run->next_point < run->task->point_count && (!run->broken || !run->task->sealed))
		add(run, "progress-not-reached",
		        NOTE("%" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " packets as signed by a progress",
		                run->task->points[run->next_point].frames, run->task->points[run->next_point].bytes,
		                run->task->points[run->next_point].packets),
		        NOTE("%" PRIu64 " whole frames, %" PRIu64 " bytes, %" PRIu64 " packets", run->found->frames,
		                run->found->bytes, run->found->packets));
	return 0;
}

int segment_check(struct segment_checker *s, const struct segment_task *task, struct segment_found *ret_found)
{
	struct segment_found found = {0};
	struct run run = {.s = s, .task = task, .found = &found};
	int fd, r;

	segment_path(task->lane, task->number, run.path);
	merkle_init(&run.frames);
	merkle_root(&run.frames, found.root);
	digest_once("", 0, found.file_sha256);
	r = recording_open_segment(s->dir, task->lane, task->number, &fd, &found.file_bytes);
	if (r == -ENOENT && !task->sealed && signed_frames(task) == 0) {
		*ret_found = found;
		return 0;
	}
	if (r == -ENOENT && task->may_be_absent) {
		*ret_found = found;
		return r;
	}
	if (r < 0) {
		report_errno(s->report, run.path, r);
		*ret_found = found;
		return errno_verdict(r) == VERDICT_INVALID ? 0 : r;
	}
	found.present = true;
	r = check_open_file(&run, fd);
	close(fd);
	*ret_found = found;
	return r;
}

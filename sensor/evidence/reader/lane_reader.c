// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/lane_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"

#define FETCH_BYTES (64u << 10)
#define SPARE_DESCRIPTORS 64u

// One descriptor per lane when the system allows it.
static bool descriptors_suffice(size_t lanes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return false;
	if (limit.rlim_cur < lanes + SPARE_DESCRIPTORS) {
		limit.rlim_cur =
		        limit.rlim_max < lanes + SPARE_DESCRIPTORS ? limit.rlim_max : lanes + SPARE_DESCRIPTORS;
		setrlimit(RLIMIT_NOFILE, &limit);
		if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
			return false;
	}
	return limit.rlim_cur >= lanes + SPARE_DESCRIPTORS;
}

int lane_tools_init(struct lane_tools *t, const struct recording_dir *dir, const struct segment_list *list,
        size_t lanes, struct verify_report *report)
{
	int r;

	*t = (struct lane_tools){.dir = dir, .list = list, .report = report, .may_be_newer = !list->closed};
	r = commit_new(&t->commit);
	if (r < 0)
		return r;
	t->stored = malloc(FRAME_STORED_MAX);
	t->dctx = ZSTD_createDCtx();
	t->keep_open = descriptors_suffice(lanes);
	return t->stored && t->dctx ? 0 : -ENOMEM;
}

void lane_tools_release(struct lane_tools *t)
{
	commit_free(t->commit);
	ZSTD_freeDCtx(t->dctx);
	free(t->stored);
	segment_list_free(t->newer);
	*t = (struct lane_tools){0};
}

int lane_reader_init(struct lane_reader *r, struct lane_tools *tools, const struct listed_lane *lane)
{
	*r = (struct lane_reader){.tools = tools, .lane = lane, .fd = -1};
	r->digest = digest_new();
	return r->digest ? 0 : -ENOMEM;
}

void lane_reader_release(struct lane_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	digest_free(r->digest);
	free(r->content);
	r->fd = -1;
	r->digest = NULL;
	r->content = NULL;
}

static const char *where(const struct lane_reader *r, struct note *n)
{
	char path[SEGMENT_PATH_MAX];

	segment_path(r->frame_segment.commit.lane, r->next_segment - 1, path);
	return note(n, "%s", path);
}
#define WHERE(r) where(r, &(struct note){{0}})

static void fail(struct lane_reader *r, const char *code, const char *expected, const char *actual)
{
	r->failed = true;
	report_add(r->tools->report, VERDICT_INVALID, code, WHERE(r), expected, actual);
}

static void segment_leave(struct lane_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->segment = NULL;
	r->plan = NULL;
}

// What the ledger says about a complete segment, or about the signed part of another.
static void root_check(struct lane_reader *r)
{
	uint8_t root[DIGEST_LEN];

	merkle_root(&r->roots, root);
	if (r->packets != r->segment->packets)
		fail(r, "segment-packets", NOTE("%" PRIu64 " packets", r->segment->packets),
		        NOTE("%" PRIu64, r->packets));
	else if (r->tools->list->salts_known && memcmp(root, r->segment->root, DIGEST_LEN) != 0)
		fail(r, "segment-root", NOTE_HEX(r->segment->root), NOTE_HEX(root));
	r->signed_part_held = true;
}

static void segment_end(struct lane_reader *r)
{
	const struct listed_segment *s = r->segment;
	uint8_t hash[DIGEST_LEN];

	if (s->sealed) {
		digest_peek(r->digest, hash);
		if (r->offset != s->bytes || memcmp(hash, s->sha256, DIGEST_LEN) != 0)
			fail(r, "segment-sha256", NOTE("%" PRIu64 " bytes, %s", s->bytes, NOTE_HEX(s->sha256)),
			        NOTE("%" PRIu64 " bytes, %s", r->offset, NOTE_HEX(hash)));
		if (!r->tail_seen)
			fail(r, "segment-tail", "a last frame with an Interface Statistics Block", "none");
		if (r->frames != s->frames)
			fail(r, "segment-frames", NOTE("%" PRIu64 " frames", s->frames), NOTE("%" PRIu64, r->frames));
		if (!r->failed && r->tools->choice && r->tools->choice->segment)
			r->tools->choice->segment(r->tools->choice->user, r->lane, (uint32_t)r->next_segment - 1);
	} else if (!r->signed_part_held) {
		fail(r, "progress-not-reached", NOTE("%" PRIu64 " signed frames", s->frames),
		        NOTE("%" PRIu64 " whole frames", r->frames));
	}
	segment_leave(r);
}

// A frame is not as it should be: the signed part must hold, what lies behind it simply ends here.
static void frame_bad(struct lane_reader *r, const char *reason)
{
	if (r->segment->sealed || r->frames < r->segment->frames)
		report_add(r->tools->report, VERDICT_INVALID, "frame-malformed",
		        NOTE("%s frame %" PRIu64, WHERE(r), r->frames), "a frame as section 3 prescribes", reason);
	segment_leave(r);
}

static int file_open(struct lane_reader *r)
{
	uint64_t size;

	return recording_open_segment(r->tools->dir, r->frame_segment.commit.lane, r->next_segment - 1, &r->fd, &size);
}

static bool listed_retired(const struct segment_list *list, size_t lane, size_t number)
{
	return list && lane < list->lane_count && number < list->lanes[lane]->count &&
	       list->lanes[lane]->segments[number].retired;
}

// Whether the segment under way was given up: before the recording was listed, or since. The ledger is read again as
// long as that tells something.
static bool retired(struct lane_reader *r)
{
	size_t lane = r->lane->number, number = r->next_segment - 1;
	struct lane_tools *t = r->tools;
	struct verify_report *report;

	if (r->segment->retired)
		return true; // a finding says so already
	if (!listed_retired(t->newer, lane, number) && t->may_be_newer) {
		segment_list_free(t->newer);
		t->newer = NULL;
		if (segment_list_read(t->dir, &t->newer, &report) == 0)
			verify_report_free(report);
		t->may_be_newer = listed_retired(t->newer, lane, number);
	}
	if (!listed_retired(t->newer, lane, number))
		return false;
	report_add(t->report, VERDICT_INCOMPLETE, "segment-retired", WHERE(r), "its file",
	        "given up by a `retire` line while the recording was read");
	return true;
}

static int segment_enter(struct lane_reader *r)
{
	struct commit_segment *commit = &r->frame_segment.commit;
	const struct packet_choice *choice = r->tools->choice;
	const struct segment_list *list = r->tools->list;
	int error;

	r->segment = &r->lane->segments[r->next_segment++];
	r->frame_segment.interface =
	        (struct segment_interface){r->lane->interface, r->lane->linktype, r->lane->snaplen};
	commit->lane = r->lane->number;
	commit->linktype = r->lane->linktype;
	segment_id(list->recording_id, commit->lane, (uint32_t)(r->next_segment - 1), commit->id);
	if (segment_salt_key(list->salts, commit->id, commit->salt_key) < 0)
		return -ENOTSUP;
	r->offset = r->frames = r->packets = 0;
	r->tail_seen = false;
	r->failed = false;
	merkle_init(&r->roots);
	digest_reset(r->digest);
	r->signed_part_held = r->segment->frames == 0 && !r->segment->sealed;
	r->planned = 0;
	if (choice && choice->plan)
		r->plan = choice->plan(choice->user, r->lane, (uint32_t)(r->next_segment - 1));
	if (r->plan && r->plan->count == 0) {
		r->segment = NULL;
		r->plan = NULL;
		return 0;
	}
	error = file_open(r);
	if (error < 0) {
		// Begun and nothing written yet is no fault.
		if (error != -ENOENT || ((r->segment->sealed || r->segment->frames > 0) && !retired(r)))
			report_errno(r->tools->report, WHERE(r), error);
		segment_leave(r);
	}
	return 0;
}

// Reads the next frame's bytes into tools->stored. 1, 0 at a clean end, -EBADMSG with reason, or an errno of pread.
static int frame_fetch(struct lane_reader *r, struct zstd_frame *ret_frame, const char **ret_reason)
{
	struct zstd_need need = {0};
	size_t have = 0, want = FETCH_BYTES;
	bool eof = false;
	int state;

	if (r->fd < 0) {
		state = file_open(r);
		if (state < 0)
			return state;
	}
	while ((state = zstd_frame_parse(r->tools->stored, have, ret_frame, &need)) == -ENODATA && !eof) {
		if (need.bytes > want)
			want = need.bytes;
		while (have < want && !eof) {
			ssize_t n = pread(r->fd, r->tools->stored + have, want - have, (off_t)(r->offset + have));

			if (n < 0 && errno != EINTR)
				return -errno;
			eof = n == 0;
			have += n > 0 ? (size_t)n : 0;
		}
		want = 2 * want < FRAME_STORED_MAX ? 2 * want : FRAME_STORED_MAX;
	}
	if (!r->tools->keep_open) {
		close(r->fd);
		r->fd = -1;
	}
	if (state == -ENODATA) {
		*ret_reason = "the file ends inside this frame";
		return have == 0 ? 0 : -EBADMSG;
	}
	*ret_reason = need.reason;
	return state < 0 ? state : 1;
}

// The frame counts as one of a segment that is read whole.
static void frame_count(struct lane_reader *r, const struct zstd_frame *frame, const struct frame_result *result)
{
	const struct packet_choice *choice = r->tools->choice;

	if (choice && choice->frame)
		choice->frame(choice->user, &(struct frame_seen){.lane = r->lane,
		                                    .segment = (uint32_t)r->next_segment - 1,
		                                    .number = r->frames,
		                                    .offset = r->offset,
		                                    .stored = frame->stored,
		                                    .first = r->packets,
		                                    .packets = result->packets,
		                                    .ts_min = result->ts_min,
		                                    .ts_max = result->ts_max,
		                                    .root = result->root,
		                                    .content = r->content,
		                                    .content_len = result->kind == FRAME_PACKETS ? frame->content : 0});
	digest_update(r->digest, r->tools->stored, frame->stored);
	merkle_append(&r->roots, result->root, DIGEST_LEN);
	r->tail_seen = result->kind == FRAME_TAIL;
	r->beyond_signed = r->beyond_signed || (r->frames >= r->segment->frames && result->packets > 0);
	r->offset += frame->stored;
	r->frames++;
	r->packets += result->packets;
	if (r->frames == r->segment->frames)
		root_check(r);
}

// A frame that is read alone has its own root, which belongs to the segment's.
static void planned_check(struct lane_reader *r, const struct frame_result *result)
{
	const struct planned_frame *planned = &r->plan->frames[r->planned - 1];

	if (r->tools->list->salts_known && memcmp(result->root, planned->root, DIGEST_LEN) != 0)
		report_add(r->tools->report, VERDICT_INVALID, "frame-root",
		        NOTE("%s frame %" PRIu64, WHERE(r), r->frames), NOTE_HEX(planned->root),
		        NOTE_HEX(result->root));
}

// Fetches, checks and opens the next frame of the segment under way, or leaves the segment.
static int frame_next(struct lane_reader *r)
{
	struct lane_tools *t = r->tools;
	struct frame_result result;
	struct zstd_frame frame;
	const char *reason = NULL;
	int state;

	if (r->plan && r->planned == r->plan->count) {
		segment_leave(r);
		return 0;
	}
	if (r->plan) {
		r->offset = r->plan->frames[r->planned].offset;
		r->frames = r->plan->frames[r->planned].number;
		r->packets = r->plan->frames[r->planned].first;
		r->planned++;
	}
	state = frame_fetch(r, &frame, &reason);
	if (state == 0 && r->plan) {
		frame_bad(r, reason);
		return 0;
	}
	if (state == -EBADMSG) {
		frame_bad(r, reason);
		return 0;
	}
	if (state <= 0) {
		if (state < 0 && (state != -ENOENT || !retired(r)))
			report_errno(t->report, WHERE(r), state);
		if (state < 0)
			segment_leave(r);
		else
			segment_end(r);
		return 0;
	}
	t->frames++;
	if (!r->content) {
		r->content = malloc(FRAME_RAW_MAX);
		if (!r->content)
			return -ENOMEM;
	}
	if (frame_open(t->dctx, &r->frame_segment, r->frames, t->stored, &frame, r->content, &result) < 0 ||
	        r->tail_seen) {
		frame_bad(
		        r, r->tail_seen ? "a frame after the one with the Interface Statistics Block" : result.reason);
		return 0;
	}
	if (frame_commit(t->commit, &r->frame_segment, r->packets, r->content, frame.content, &result) < 0) {
		report_errno(t->report, WHERE(r), result.status);
		segment_leave(r);
		return 0;
	}
	if (r->plan)
		planned_check(r, &result);
	else
		frame_count(r, &frame, &result);
	r->at = cursor_make(r->content, result.kind == FRAME_PACKETS ? frame.content : 0);
	return 0;
}

int lane_reader_next(struct lane_reader *r)
{
	const char *reason;
	int error = 0;

	r->has_head = false;
	for (;;) {
		// frame_open has walked all blocks of this frame already.
		if (r->content && segment_packet_next(&r->at, &r->head, &reason) > 0) {
			r->has_head = true;
			return 0;
		}
		if (r->segment)
			error = frame_next(r);
		else if (r->next_segment < r->lane->count)
			error = segment_enter(r);
		else
			break;
		if (error < 0)
			return error;
	}
	free(r->content);
	r->content = NULL;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The work on one frame, without threads.
#include <errno.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/frame_pool.h"

static int count_packets(const uint8_t *content, uint32_t len, struct frame_result *result)
{
	struct cursor c = cursor_make(content, len);
	struct segment_packet p;
	int r;

	while ((r = segment_packet_next(&c, &p, &result->reason)) > 0) {
		if (result->packets == 0 || p.packet.ts_ns < result->ts_min)
			result->ts_min = p.packet.ts_ns;
		if (result->packets == 0 || p.packet.ts_ns > result->ts_max)
			result->ts_max = p.packet.ts_ns;
		result->packets++;
	}
	return r;
}

int frame_open(struct ZSTD_DCtx_s *dctx, const struct frame_segment *segment, uint64_t index, const uint8_t *data,
        const struct zstd_frame *frame, uint8_t *content, struct frame_result *ret_result)
{
	struct frame_result result = {.stored = frame->stored};
	int r = zstd_frame_decompress(dctx, data, frame, content, &result.reason);

	if (r == 0 && index == 0) {
		result.kind = FRAME_HEAD;
		r = segment_head_check(content, frame->content, &segment->interface, &result.reason);
	} else if (r == 0) {
		result.kind = segment_frame_kind(content, frame->content);
		r = result.kind == FRAME_TAIL
		            ? segment_tail_parse(content, frame->content, &result.statistics, &result.reason)
		            : count_packets(content, frame->content, &result);
	}
	if (r < 0)
		result.packets = 0;
	result.status = r;
	*ret_result = result;
	return r;
}

int frame_commit(struct commit *commit, const struct frame_segment *segment, uint64_t first, const uint8_t *content,
        uint32_t content_len, struct frame_result *result)
{
	struct cursor c = cursor_make(content, content_len);
	struct segment_packet p;
	int r;

	if (result->kind != FRAME_PACKETS) {
		digest_once("", 0, result->root);
		return 0;
	}
	r = commit_begin(commit, &segment->commit, first);
	while (r == 0 && segment_packet_next(&c, &p, &result->reason) > 0)
		r = commit_add(commit, &p.packet);
	if (r == 0)
		r = commit_end(commit, result->root);
	if (r < 0) {
		result->status = r;
		result->reason = "the packets could not be hashed";
	}
	return r;
}

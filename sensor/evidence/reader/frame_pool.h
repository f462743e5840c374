// SPDX-License-Identifier: Apache-2.0
// Decompresses, checks and commits the frames of one segment at a time on several threads. One thread submits and
// collects, in frame order; workers hand the packet count from frame to frame in that order.
#pragma once

#include <stdint.h>

#include "sensor/evidence/commit.h"
#include "sensor/evidence/reader/segment_blocks.h"
#include "sensor/evidence/reader/zstd_frame.h"

struct frame_segment {
	struct commit_segment commit;
	struct segment_interface interface; // the name is borrowed while the segment is under way
};

struct frame_result {
	int status;         // 0, -EBADMSG with reason, or another errno when our side failed
	const char *reason; // static text
	enum frame_kind kind;
	uint64_t stored;
	uint64_t packets;
	uint64_t ts_min, ts_max; // when packets > 0
	uint8_t root[DIGEST_LEN];
	struct segment_statistics statistics; // FRAME_TAIL
};

struct frame_pool;

int frame_pool_new(unsigned threads, struct frame_pool **ret_pool); // 0: one per core
void frame_pool_free(struct frame_pool *pool);
// Begins a segment. No frame may be under way. segment is borrowed until the last frame is collected.
void frame_pool_start(struct frame_pool *pool, const struct frame_segment *segment);
// Copies the frame. -EAGAIN: collect one first; -ENOMEM.
int frame_pool_submit(struct frame_pool *pool, const uint8_t *data, const struct zstd_frame *frame);
// Waits for the oldest frame. -ENODATA when none is under way.
int frame_pool_collect(struct frame_pool *pool, struct frame_result *ret_result);

// What a worker does with one frame, for readers with a single thread: decompresses into content (FRAME_RAW_MAX bytes)
// and checks all blocks; then commits to the packets, the first of which has the number `first`.
struct ZSTD_DCtx_s;
int frame_open(struct ZSTD_DCtx_s *dctx, const struct frame_segment *segment, uint64_t index, const uint8_t *data,
        const struct zstd_frame *frame, uint8_t *content, struct frame_result *ret_result);
int frame_commit(struct commit *commit, const struct frame_segment *segment, uint64_t first, const uint8_t *content,
        uint32_t content_len, struct frame_result *result);

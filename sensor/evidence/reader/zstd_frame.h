// SPDX-License-Identifier: Apache-2.0
// Finds the end of a zstd frame by its block headers (RFC 8878 section 3.1.1) and accepts only frames of section 3:
// content size 1 to 1 MiB, checksum, no dictionary, window at most 8 MiB. Pure; any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct zstd_frame {
	size_t stored;    // bytes of the whole frame
	uint32_t content; // bytes when decompressed
};

// What must be in memory for the parser to say more.
struct zstd_need {
	size_t bytes;       // when -ENODATA: the frame is at least so long
	const char *reason; // when -EBADMSG: what is wrong, for people
};

// 0 when data starts with a whole frame (of at most FRAME_STORED_MAX bytes), -ENODATA when len bytes are too few,
// -EBADMSG.
int zstd_frame_parse(const uint8_t *data, size_t len, struct zstd_frame *ret_frame, struct zstd_need *need);

struct ZSTD_DCtx_s;
// Decompresses a parsed frame into out[frame->content]. 0 or -EBADMSG, with the reason.
int zstd_frame_decompress(struct ZSTD_DCtx_s *dctx, const uint8_t *data, const struct zstd_frame *frame, uint8_t *out,
        const char **ret_reason);

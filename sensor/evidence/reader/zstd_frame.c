// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/zstd_frame.h"

#include <errno.h>
#include <stdbool.h>
#include <zstd.h>

#include "sealtap/cursor.h"
#include "sealtap/evidence.h"
#include "sensor/evidence/reader/limits.h"

#define ZSTD_MAGIC_LE 0xFD2FB528u
#define BLOCK_CONTENT_MAX 131072u

enum block_type { BLOCK_RAW, BLOCK_RLE, BLOCK_COMPRESSED, BLOCK_RESERVED };

static int bad(struct zstd_need *need, const char *reason)
{
	need->reason = reason;
	return -EBADMSG;
}

static int more(struct zstd_need *need, size_t bytes)
{
	need->bytes = bytes;
	return -ENODATA;
}

static uint64_t window_size(uint8_t descriptor)
{
	uint64_t base = 1ULL << (10 + (descriptor >> 3));

	return base + base / 8 * (descriptor & 7);
}

// Frame header, section 3.1.1.1. c stands behind it afterwards; *ret_block_max is the largest block's content.
static int header_parse(struct cursor *c, uint64_t *ret_content, uint32_t *ret_block_max, struct zstd_need *need)
{
	static const uint8_t content_bytes[] = {0, 2, 4, 8};
	const size_t start_len = cursor_left(c);
	uint64_t window, content;
	uint8_t descriptor, size_flag, window_descriptor = 0;
	bool single;

	if (start_len < 5)
		return more(need, 5);
	if (cursor_le32(c) != ZSTD_MAGIC_LE)
		return bad(need, "no zstd frame starts here (magic number)");
	descriptor = cursor_u8(c);
	size_flag = descriptor >> 6;
	single = (descriptor & 0x20) != 0;
	// Bit 4 is unused: RFC 8878 tells decoders not to look at it.
	if (descriptor & 0x08)
		return bad(need, "the reserved bit of the frame header is set");
	if (!(descriptor & 0x04))
		return bad(need, "the frame has no content checksum");
	if (descriptor & 0x03)
		return bad(need, "the frame asks for a dictionary");
	if (size_flag == 0 && !single)
		return bad(need, "the frame does not state its content size");
	if (!single)
		window_descriptor = cursor_u8(c);
	switch (size_flag == 0 ? 1 : content_bytes[size_flag]) {
	case 1:
		content = cursor_u8(c);
		break;
	case 2:
		content = (uint64_t)cursor_le16(c) + 256;
		break;
	case 4:
		content = cursor_le32(c);
		break;
	default:
		content = cursor_le64(c);
		break;
	}
	if (!cursor_ok(c))
		return more(need, 5 + 1 + 8);
	if (content < 1 || content > FRAME_RAW_MAX)
		return bad(need, "the frame's content size is not 1 to 1048576");
	window = single ? content : window_size(window_descriptor);
	if (window > FRAME_WINDOW_MAX)
		return bad(need, "the frame's window is larger than 8 MiB");
	*ret_content = content;
	*ret_block_max = window < BLOCK_CONTENT_MAX ? (uint32_t)window : BLOCK_CONTENT_MAX;
	return 0;
}

int zstd_frame_parse(const uint8_t *data, size_t len, struct zstd_frame *ret_frame, struct zstd_need *need)
{
	struct cursor c = cursor_make(data, len);
	uint32_t block_max, header, size, stored;
	uint64_t content, known = 0;
	size_t at;
	int r;

	r = header_parse(&c, &content, &block_max, need);
	if (r < 0)
		return r;
	do {
		at = len - cursor_left(&c);
		if (cursor_left(&c) < 3)
			return more(need, at + 3);
		header = cursor_u8(&c);
		header |= (uint32_t)cursor_le16(&c) << 8;
		size = header >> 3;
		if (size > block_max)
			return bad(need, "a block is larger than 128 KiB or than the window");
		switch ((enum block_type)(header >> 1 & 3)) {
		case BLOCK_RAW:
			stored = size;
			known += size;
			break;
		case BLOCK_RLE:
			stored = 1;
			known += size;
			break;
		case BLOCK_COMPRESSED:
			stored = size;
			break;
		default:
			return bad(need, "a block has the reserved type");
		}
		if (known > content)
			return bad(need, "the blocks hold more than the content size");
		if (at + 3 + stored + 4 > FRAME_STORED_MAX)
			return bad(need, "the frame is longer than any frame of 1 MiB needs to be");
		if (!cursor_bytes(&c, stored))
			return more(need, at + 3 + stored);
	} while (!(header & 1));
	at = len - cursor_left(&c);
	if (!cursor_bytes(&c, 4))
		return more(need, at + 4);
	*ret_frame = (struct zstd_frame){.stored = at + 4, .content = (uint32_t)content};
	return 0;
}

int zstd_frame_decompress(struct ZSTD_DCtx_s *dctx, const uint8_t *data, const struct zstd_frame *frame, uint8_t *out,
        const char **ret_reason)
{
	size_t n = ZSTD_decompressDCtx(dctx, out, frame->content, data, frame->stored);

	if (ZSTD_isError(n)) {
		*ret_reason = ZSTD_getErrorName(n);
		return -EBADMSG;
	}
	if (n != frame->content) {
		*ret_reason = "the frame does not decompress to its content size";
		return -EBADMSG;
	}
	return 0;
}

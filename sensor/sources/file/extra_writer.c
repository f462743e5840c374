// SPDX-License-Identifier: Apache-2.0
// Owns the text of the extra file (section 5 of the format): JSON lines with hex data, one zstd frame. Bounded memory.
// One thread: RX of the recorder, or the verifier. The descriptor stays the caller's; nothing is written before the
// first line. Must not interpret the blocks that it keeps.
#include "sensor/sources/file/extra_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zstd.h>

#include "sensor/evidence/write_all.h"

#define TEXT_LEN (32u << 10)
#define PACKED_LEN (64u << 10)

struct extra_writer {
	int fd;
	ZSTD_CStream *zstd;
	uint64_t lines;
	uint64_t offset, packet;
	uint32_t block;
	size_t line_bytes; // of the block, in the line that is open
	bool open;
	size_t text_len;
	char text[TEXT_LEN];
	uint8_t packed[PACKED_LEN];
};

int extra_writer_new(int fd, struct extra_writer **ret_writer)
{
	struct extra_writer *w = malloc(sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fd = fd;
	w->lines = 0;
	w->open = false;
	w->text_len = 0;
	w->zstd = ZSTD_createCStream();
	if (!w->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1))) {
		extra_writer_free(w);
		return -ENOMEM;
	}
	*ret_writer = w;
	return 0;
}

void extra_writer_free(struct extra_writer *w)
{
	if (!w)
		return;
	ZSTD_freeCStream(w->zstd);
	free(w);
}

// Compresses the text so far; with ZSTD_e_end, to the end of the frame.
static int flush_text(struct extra_writer *w, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = {w->text, w->text_len, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {w->packed, sizeof(w->packed), 0};
		int r;
		left = ZSTD_compressStream2(w->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			return -ENOMEM; // the parameters are fixed: nothing else can fail
		r = write_all(w->fd, w->packed, out.pos);
		if (r < 0)
			return r;
	} while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
	w->text_len = 0;
	return 0;
}

// Room for len (at most TEXT_LEN) characters.
static int reserve(struct extra_writer *w, size_t len)
{
	return w->text_len + len > TEXT_LEN ? flush_text(w, ZSTD_e_continue) : 0;
}

static int begin_line(struct extra_writer *w)
{
	int r = reserve(w, 160);

	if (r < 0)
		return r;
	w->text_len += (size_t)sprintf(
	        w->text + w->text_len, "{\"offset\":\"%" PRIu64 "\",\"block\":%" PRIu32, w->offset, w->block);
	if (w->packet != EXTRA_NO_PACKET)
		w->text_len += (size_t)sprintf(w->text + w->text_len, ",\"packet\":\"%" PRIu64 "\"", w->packet);
	w->text_len += (size_t)sprintf(w->text + w->text_len, ",\"data\":\"");
	w->line_bytes = 0;
	w->open = true;
	++w->lines;
	return 0;
}

int extra_writer_end(struct extra_writer *w)
{
	int r = reserve(w, 3);

	if (r < 0 || !w->open)
		return r;
	w->text[w->text_len++] = '"';
	w->text[w->text_len++] = '}';
	w->text[w->text_len++] = '\n';
	w->open = false;
	return 0;
}

int extra_writer_begin(struct extra_writer *w, uint64_t offset, uint32_t block, uint64_t packet)
{
	w->offset = offset;
	w->block = block;
	w->packet = packet;
	return begin_line(w);
}

int extra_writer_data(struct extra_writer *w, const void *data, size_t len)
{
	static const char digits[16] = "0123456789abcdef";
	const uint8_t *bytes = data;

	while (len) {
		size_t part = TEXT_LEN / 4 < len ? TEXT_LEN / 4 : len;
		int r;

		if (w->line_bytes == EXTRA_LINE_BYTES) {
			r = extra_writer_end(w);
			if (r == 0)
				r = begin_line(w);
			if (r < 0)
				return r;
		}
		if (part > EXTRA_LINE_BYTES - w->line_bytes)
			part = EXTRA_LINE_BYTES - w->line_bytes;
		r = reserve(w, 2 * part);
		if (r < 0)
			return r;
		for (size_t i = 0; i < part; ++i) {
			w->text[w->text_len++] = digits[bytes[i] >> 4];
			w->text[w->text_len++] = digits[bytes[i] & 15];
		}
		bytes += part;
		len -= part;
		w->line_bytes += part;
	}
	return 0;
}

int extra_writer_finish(struct extra_writer *w)
{
	int r;

	if (!w->lines)
		return 0;
	r = extra_writer_end(w);
	return r < 0 ? r : flush_text(w, ZSTD_e_end);
}

uint64_t extra_writer_lines(const struct extra_writer *w)
{
	return w->lines;
}

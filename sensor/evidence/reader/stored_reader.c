// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/stored_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"

#define BUFFER_BYTES (4u << 20)
#define READ_BYTES (1u << 20)
_Static_assert(BUFFER_BYTES >= FRAME_STORED_MAX + READ_BYTES, "a whole frame must fit");

int stored_reader_init(struct stored_reader *s)
{
	*s = (struct stored_reader){.fd = -1};
	s->buffer = malloc(BUFFER_BYTES);
	s->digest = digest_new();
	return s->buffer && s->digest ? 0 : -ENOMEM;
}

void stored_reader_release(struct stored_reader *s)
{
	free(s->buffer);
	digest_free(s->digest);
}

void stored_reader_start(struct stored_reader *s, int fd)
{
	s->fd = fd;
	s->from = s->until = 0;
	s->eof = false;
	s->bytes = 0;
	s->reason = NULL;
	digest_reset(s->digest);
}

// Appends to the buffer. 0 also at the end of the file.
static int fill(struct stored_reader *s)
{
	size_t want;
	long n;

	if (s->eof)
		return 0;
	if (BUFFER_BYTES - s->until < READ_BYTES) {
		memmove(s->buffer, s->buffer + s->from, s->until - s->from);
		s->until -= s->from;
		s->from = 0;
	}
	want = BUFFER_BYTES - s->until < READ_BYTES ? BUFFER_BYTES - s->until : READ_BYTES;
	n = read_full(s->fd, s->buffer + s->until, want);
	if (n < 0)
		return (int)n;
	s->eof = (size_t)n < want;
	digest_update(s->digest, s->buffer + s->until, (size_t)n);
	s->until += (size_t)n;
	s->bytes += (uint64_t)n;
	return 0;
}

int stored_reader_next(struct stored_reader *s, const uint8_t **ret_data, struct zstd_frame *ret_frame)
{
	for (;;) {
		struct zstd_need need = {0};
		size_t have = s->until - s->from;
		int r = zstd_frame_parse(s->buffer + s->from, have, ret_frame, &need);

		if (r == 0) {
			*ret_data = s->buffer + s->from;
			s->from += ret_frame->stored;
			return 1;
		}
		if (r == -EBADMSG) {
			s->reason = need.reason;
			return -EBADMSG;
		}
		if (s->eof)
			return have == 0 ? 0 : -ENODATA;
		r = fill(s);
		if (r < 0)
			return r;
	}
}

int stored_reader_finish(struct stored_reader *s, uint64_t enough, uint8_t out_sha256[DIGEST_LEN])
{
	while (!s->eof && s->bytes <= enough) {
		int r;

		s->from = s->until = 0;
		r = fill(s);
		if (r < 0)
			return r;
	}
	digest_peek(s->digest, out_sha256);
	return 0;
}

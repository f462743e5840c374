// SPDX-License-Identifier: Apache-2.0
// Owns the input's descriptor, the SHA-256 of its stored bytes and one window of decoded bytes. One pass, fixed memory.
// One thread: RX of the recorder, or the verifier; input_stream_interrupt from any thread. Opening reads the first
// bytes only. Must not move the window but in input_stream_fill: packets on loan point into it.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"
#include "sensor/sources/file/input_decoder.h"

#define INPUT_WINDOW (2u << 20) // no record that must be whole may be longer
#define INPUT_CHUNK (256u << 10)
#define INPUT_PEEK 4

struct digest;

struct input_stream {
	uint8_t *window;
	size_t pos, end; // unread part of the window
	uint64_t base;   // offset of window[0] in the decoded stream
	bool ended;      // the decoded stream has no further bytes
	const char *bad; // why it ended, when the coding is damaged
	int fd;
	bool regular;
	bool stored_end; // the stored bytes are read to their end
	enum input_coding coding;
	struct input_decoder *decoder;
	uint8_t *chunk; // stored bytes that are not decoded yet
	size_t chunk_pos, chunk_len;
	struct digest *digest;
	uint64_t stored_bytes;
	int wake_fd;
	atomic_bool interrupted;
};

// Reads until INPUT_PEEK bytes or the end. The stream owns fd from here on if and only if it returns 0.
int input_stream_open(struct input_stream *s, int fd, const char *name, struct error *e);
void input_stream_close(struct input_stream *s); // also after a failed or no open of a zeroed stream

// Makes need (at most INPUT_WINDOW) bytes readable. 1 when they are; 0 when timeout_ms passed first;
// -ENODATA when the stream ends before them; -ECANCELED after interrupt; another errno when reading failed.
int input_stream_fill(struct input_stream *s, size_t need, int timeout_ms);
// Reads and hashes the rest without decoding. 1 at the end, else as fill. It returns 0 now and then in a long file.
int input_stream_drain(struct input_stream *s, int timeout_ms);
void input_stream_interrupt(struct input_stream *s);
void input_stream_sha256(const struct input_stream *s, uint8_t out[DIGEST_LEN]);

static inline const uint8_t *input_stream_data(const struct input_stream *s)
{
	return s->window + s->pos;
}

static inline size_t input_stream_len(const struct input_stream *s)
{
	return s->end - s->pos;
}

static inline uint64_t input_stream_offset(const struct input_stream *s)
{
	return s->base + s->pos;
}

static inline void input_stream_consume(struct input_stream *s, size_t len)
{
	s->pos += len;
}

// SPDX-License-Identifier: Apache-2.0
// Owns the input's descriptor, the SHA-256 of its stored bytes and one window of decoded bytes. One pass, fixed memory.
// One thread: RX of the recorder, or the verifier; input_stream_interrupt from any thread. Opening reads the first
// bytes only. Must not move the window but in input_stream_fill: packets on loan point into it.
#include "sensor/sources/file/input_stream.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"

#define DRAIN_CHUNKS 64

// Stored bytes into dst, hashed while they are hot in the cache. Their number; 0 at the end of the input.
static int read_stored(struct input_stream *s, uint8_t *dst, size_t len)
{
	ssize_t n;

	do
		n = read(s->fd, dst, len);
	while (n < 0 && errno == EINTR && s->regular);
	if (n < 0)
		return -errno;
	if (n == 0)
		s->stored_end = true;
	digest_update(s->digest, dst, (size_t)n);
	s->stored_bytes += (uint64_t)n;
	return (int)n;
}

// 1 when a read will not block, 0 when the time is over.
static int wait_stored(struct input_stream *s, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->wake_fd, .events = POLLIN}};

	if (atomic_load_explicit(&s->interrupted, memory_order_relaxed))
		return -ECANCELED;
	if (s->regular || s->stored_end)
		return 1;
	if (poll(fds, 2, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return fds[0].revents != 0;
}

int input_stream_open(struct input_stream *s, int fd, const char *name, struct error *e)
{
	uint8_t peek[INPUT_PEEK];
	size_t have = 0;
	struct stat st;
	int r = -ENOMEM;

	*s = (struct input_stream){.fd = -1, .wake_fd = -1};
	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "%s: cannot be examined: %s", name, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(e, -EISDIR, "%s: is a directory; give one capture file", name);
	s->regular = S_ISREG(st.st_mode);
	s->window = malloc(INPUT_WINDOW);
	s->digest = digest_new();
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!s->window || !s->digest || s->wake_fd < 0) {
		r = error_set(e, -ENOMEM, "%s: no memory for the read buffer", name);
		goto fail;
	}
	s->fd = fd;
	while (have < sizeof(peek) && !s->stored_end) {
		r = read_stored(s, peek + have, sizeof(peek) - have);
		if (r < 0) {
			error_set(e, r, "%s: cannot be read: %s", name, strerror(-r));
			goto fail;
		}
		have += (size_t)r;
	}
	s->coding = input_coding_of(peek, have);
	if (s->coding != CODING_NONE) {
		s->chunk = malloc(INPUT_CHUNK);
		r = s->chunk ? input_decoder_new(s->coding, &s->decoder) : -ENOMEM;
		if (r < 0) {
			error_set(e, r, "%s: no memory to decompress", name);
			goto fail;
		}
		memcpy(s->chunk, peek, have);
		s->chunk_len = have;
	} else {
		memcpy(s->window, peek, have);
		s->end = have;
		s->ended = s->stored_end;
	}
	return 0;
fail:
	s->fd = -1; // still the caller's
	input_stream_close(s);
	return r;
}

void input_stream_close(struct input_stream *s)
{
	if (!s->window)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	digest_free(s->digest);
	input_decoder_free(s->decoder);
	free(s->chunk);
	free(s->window);
	*s = (struct input_stream){.fd = -1, .wake_fd = -1};
}

static int fill_plain(struct input_stream *s, int timeout_ms)
{
	size_t room = INPUT_WINDOW - s->end;
	int r = wait_stored(s, timeout_ms);

	if (r <= 0)
		return r;
	r = read_stored(s, s->window + s->end, room < INPUT_CHUNK ? room : INPUT_CHUNK);
	if (r == -EINTR || r == -EAGAIN)
		return 0;
	if (r == 0)
		s->ended = true;
	if (r > 0)
		s->end += (size_t)r;
	return r < 0 ? r : 1;
}

static int fill_decoded(struct input_stream *s, int timeout_ms)
{
	size_t room = INPUT_WINDOW - s->end;
	const uint8_t *in = s->chunk + s->chunk_pos;
	size_t in_len = s->chunk_len - s->chunk_pos;
	int r;

	if (room > INPUT_CHUNK)
		room = INPUT_CHUNK;
	r = input_decoder_run(s->decoder, &in, &in_len, s->window + s->end, room, &s->bad);
	s->chunk_pos = s->chunk_len - in_len;
	if (r == -EBADMSG) {
		s->ended = true;
		return 1;
	}
	if (r != 0) {
		s->end += r > 0 ? (size_t)r : 0;
		return r < 0 ? r : 1;
	}
	if (s->stored_end) {
		s->ended = true;
		if (!input_decoder_complete(s->decoder))
			s->bad = "cut short";
		return 1;
	}
	r = wait_stored(s, timeout_ms);
	if (r <= 0)
		return r;
	s->chunk_pos = s->chunk_len = 0;
	r = read_stored(s, s->chunk, INPUT_CHUNK);
	if (r == -EINTR || r == -EAGAIN)
		return 0;
	if (r > 0)
		s->chunk_len = (size_t)r;
	return r < 0 ? r : 1;
}

int input_stream_fill(struct input_stream *s, size_t need, int timeout_ms)
{
	assert(need <= INPUT_WINDOW);
	if (s->pos > 0 && input_stream_len(s) < need) {
		memmove(s->window, input_stream_data(s), input_stream_len(s));
		s->base += s->pos;
		s->end -= s->pos;
		s->pos = 0;
	}
	while (input_stream_len(s) < need) {
		int r;
		if (s->ended)
			return -ENODATA;
		r = s->decoder ? fill_decoded(s, timeout_ms) : fill_plain(s, timeout_ms);
		if (r <= 0)
			return r;
		if (!s->regular && timeout_ms > 0)
			timeout_ms = 0; // one wait only; what came is kept
	}
	return 1;
}

int input_stream_drain(struct input_stream *s, int timeout_ms)
{
	for (unsigned i = 0; i < DRAIN_CHUNKS && !s->stored_end; ++i) {
		int r = wait_stored(s, timeout_ms);
		if (r <= 0)
			return r;
		r = read_stored(s, s->window, INPUT_CHUNK);
		if (r == -EINTR || r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
	}
	return s->stored_end;
}

void input_stream_interrupt(struct input_stream *s)
{
	uint64_t one = 1;
	atomic_store_explicit(&s->interrupted, true, memory_order_relaxed);
	while (write(s->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void input_stream_sha256(const struct input_stream *s, uint8_t out[DIGEST_LEN])
{
	digest_peek(s->digest, out);
}

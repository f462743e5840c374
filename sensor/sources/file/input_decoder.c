// SPDX-License-Identifier: Apache-2.0
// Owns decompression of an input: none, gzip (several members) or zstd (several frames), told apart by the first bytes.
// One thread: RX of the recorder, or the verifier. Memory is bounded: one window, at most 128 MiB.
// Must not read the input: bytes are given to it.
#include "sensor/sources/file/input_decoder.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_WINDOW_LOG_MAX 27

struct input_decoder {
	enum input_coding coding;
	z_stream gzip;
	ZSTD_DCtx *zstd;
	const char *error; // what went before it has been handed out
	bool complete;     // between members or frames
	bool held;         // the last run ended for want of room: there may be more without input
	bool padding;      // zero bytes follow the last gzip member
};

enum input_coding input_coding_of(const uint8_t *bytes, size_t len)
{
	static const uint8_t gzip[2] = {0x1f, 0x8b}, zstd[4] = {0x28, 0xb5, 0x2f, 0xfd},
	                     skippable[3] = {0x2a, 0x4d, 0x18};

	if (len >= 2 && !memcmp(bytes, gzip, 2))
		return CODING_GZIP;
	if (len >= 4 && !memcmp(bytes, zstd, 4))
		return CODING_ZSTD;
	// pzstd puts a skippable frame (184D2A5?) first.
	if (len >= 4 && (bytes[0] & 0xf0) == 0x50 && !memcmp(bytes + 1, skippable, 3))
		return CODING_ZSTD;
	return CODING_NONE;
}

const char *input_coding_name(enum input_coding coding)
{
	return coding == CODING_GZIP ? "gzip" : coding == CODING_ZSTD ? "zstd" : "";
}

int input_decoder_new(enum input_coding coding, struct input_decoder **ret_decoder)
{
	struct input_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->coding = coding;
	if (coding == CODING_GZIP) {
		if (inflateInit2(&d->gzip, 16 + MAX_WBITS) != Z_OK)
			goto fail;
	} else {
		d->zstd = ZSTD_createDCtx();
		if (!d->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
			goto fail;
	}
	*ret_decoder = d;
	return 0;
fail:
	ZSTD_freeDCtx(d->zstd);
	free(d);
	return -ENOMEM;
}

void input_decoder_free(struct input_decoder *d)
{
	if (!d)
		return;
	if (d->coding == CODING_GZIP)
		inflateEnd(&d->gzip);
	ZSTD_freeDCtx(d->zstd);
	free(d);
}

bool input_decoder_complete(const struct input_decoder *d)
{
	return d->complete;
}

// Zeros may follow the last member (gzip(1) skips such padding), other bytes may not.
static int gzip_next_member(struct input_decoder *d, const uint8_t **in, size_t *in_len)
{
	for (; *in_len && **in == 0; ++*in, --*in_len)
		d->padding = true;
	if (!*in_len)
		return 0;
	if (d->padding || **in != 0x1f) {
		d->error = "bytes after the last member";
		return 0;
	}
	if (inflateReset(&d->gzip) != Z_OK)
		return -ENOMEM;
	d->complete = false;
	return 0;
}

static int gzip_run(struct input_decoder *d, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_len)
{
	size_t produced = 0;

	while (produced < out_len && (*in_len || d->held)) {
		uInt given = *in_len < UINT_MAX ? (uInt)*in_len : UINT_MAX;
		int r;

		if (d->complete) {
			r = gzip_next_member(d, in, in_len);
			if (r < 0)
				return r;
			if (d->complete || d->error)
				break;
			continue;
		}
		d->gzip.next_in = (Bytef *)*in; // zlib does not write to its input
		d->gzip.avail_in = given;
		d->gzip.next_out = out + produced;
		d->gzip.avail_out = (uInt)(out_len - produced);
		r = inflate(&d->gzip, Z_NO_FLUSH);
		*in += given - d->gzip.avail_in;
		*in_len -= given - d->gzip.avail_in;
		produced = out_len - d->gzip.avail_out;
		d->complete = r == Z_STREAM_END;
		d->held = r == Z_OK && d->gzip.avail_out == 0;
		if (r == Z_MEM_ERROR)
			return -ENOMEM;
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
			d->error = d->gzip.msg ? d->gzip.msg : "invalid data";
			break;
		}
	}
	return (int)produced;
}

static int zstd_run(struct input_decoder *d, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_len)
{
	ZSTD_inBuffer src = {*in, *in_len, 0};
	ZSTD_outBuffer dst = {out, out_len, 0};

	// Never called for nothing: libzstd takes many calls without progress for an error, and the end of a frame is
	// lost.
	while (dst.pos < dst.size && (src.pos < src.size || d->held)) {
		size_t r = ZSTD_decompressStream(d->zstd, &dst, &src);
		if (ZSTD_isError(r)) {
			if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
				return -ENOMEM;
			d->error = ZSTD_getErrorName(r);
			break;
		}
		d->complete = r == 0;
		d->held = r != 0 && dst.pos == dst.size;
	}
	*in += src.pos;
	*in_len -= src.pos;
	return (int)dst.pos;
}

int input_decoder_run(struct input_decoder *d, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_len,
        const char **ret_reason)
{
	int r = 0;

	if (!d->error)
		r = d->coding == CODING_GZIP ? gzip_run(d, in, in_len, out, out_len)
		                             : zstd_run(d, in, in_len, out, out_len);
	if (r == 0 && d->error) {
		*ret_reason = d->error;
		return -EBADMSG;
	}
	return r;
}

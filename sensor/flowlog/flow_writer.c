// SPDX-License-Identifier: Apache-2.0
#include "sensor/flowlog/flow_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "analyzers/flow_parse.h"
#include "sealtap/evidence.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/evidence/write_all.h"

#define LEVEL 1
#define NUMBERS_TRIED_MAX 100000u // files that flow logs before this one may have left unsealed

struct flow_writer {
	int dir_fd, fd;   // fd is -1 while there is no file
	uint32_t number;  // of the file, or of the next one
	uint64_t written; // stored bytes of whole frames
	uint64_t frames, raw_bytes;
	struct digest *digest; // of `written` bytes
	ZSTD_CCtx *cctx;
	char *lines; // FRAME_RAW_MAX bytes
	size_t gathered;
	uint8_t *stored; // of one frame
	size_t stored_max;
	struct flow_writer_counts counts, waiting; // of what is written, of what has gathered
};

int flow_writer_new(int dir_fd, uint32_t number, struct flow_writer **ret_writer)
{
	struct flow_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct flow_writer){.dir_fd = dir_fd,
	        .fd = -1,
	        .number = number,
	        .digest = digest_new(),
	        .cctx = ZSTD_createCCtx(),
	        .lines = malloc(FRAME_RAW_MAX),
	        .stored_max = ZSTD_compressBound(FRAME_RAW_MAX)};
	w->stored = malloc(w->stored_max);
	if (!w->digest || !w->cctx || !w->lines || !w->stored ||
	        ZSTD_isError(ZSTD_CCtx_setParameter(w->cctx, ZSTD_c_compressionLevel, LEVEL)) ||
	        ZSTD_isError(ZSTD_CCtx_setParameter(w->cctx, ZSTD_c_checksumFlag, 1))) {
		flow_writer_free(w);
		return -ENOMEM;
	}
	*ret_writer = w;
	return 0;
}

void flow_writer_free(struct flow_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	digest_free(w->digest);
	ZSTD_freeCCtx(w->cctx);
	free(w->lines);
	free(w->stored);
	free(w);
}

uint64_t flow_writer_gathered(const struct flow_writer *w)
{
	return w->gathered;
}

uint64_t flow_writer_raw_bytes(const struct flow_writer *w)
{
	return w->raw_bytes + w->gathered;
}

static void add(struct flow_writer_counts *sum, const struct flow_writer_counts *c)
{
	sum->records += c->records;
	sum->inspected += c->inspected;
	sum->lost += c->lost;
	sum->malformed += c->malformed;
}

bool flow_writer_counted(const struct flow_writer *w)
{
	return w->waiting.lost > 0 || w->waiting.malformed > 0;
}

void flow_writer_count(struct flow_writer *w, const struct flow_writer_counts *counts)
{
	add(&w->waiting, counts);
}

static int begin_file(struct flow_writer *w)
{
	char name[FLOW_FILE_NAME_MAX];

	for (uint32_t tried = 0; tried < NUMBERS_TRIED_MAX && w->number < UINT32_MAX; tried++, w->number++) {
		flow_file_name(w->number, name);
		w->fd = openat(w->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
		if (w->fd >= 0) {
			digest_reset(w->digest);
			w->written = w->frames = w->raw_bytes = 0;
			memset(&w->counts, 0, sizeof(w->counts));
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int flow_writer_flush(struct flow_writer *w)
{
	size_t stored;
	int r;

	if (w->gathered == 0)
		return 0;
	if (w->fd < 0) {
		r = begin_file(w);
		if (r < 0)
			return r;
	}
	stored = ZSTD_compress2(w->cctx, w->stored, w->stored_max, w->lines, w->gathered);
	if (ZSTD_isError(stored))
		return -ENOMEM; // its only reason, with room for the worst case
	r = write_all(w->fd, w->stored, stored);
	if (r < 0)
		return r;
	// So that little is left to wait for when the file is sealed.
	sync_file_range(w->fd, (off_t)w->written, (off_t)stored, SYNC_FILE_RANGE_WRITE);
	digest_update(w->digest, w->stored, stored);
	w->written += stored;
	w->frames++;
	w->raw_bytes += w->gathered;
	w->gathered = 0;
	add(&w->counts, &w->waiting);
	memset(&w->waiting, 0, sizeof(w->waiting));
	return 0;
}

int flow_writer_line(struct flow_writer *w, const json_t *line, const struct flow_writer_counts *counts)
{
	const size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII;
	size_t room = FRAME_RAW_MAX - w->gathered, len;
	int r;

	len = json_dumpb(line, w->lines + w->gathered, room, flags);
	if (len == 0 || len > FLOW_LINE_MAX)
		return -EMSGSIZE;
	if (len + 1 > room) {
		r = flow_writer_flush(w);
		if (r < 0)
			return r;
		json_dumpb(line, w->lines, FRAME_RAW_MAX, flags);
	}
	w->lines[w->gathered + len] = '\n';
	w->gathered += len + 1;
	add(&w->waiting, counts);
	return 0;
}

static int complete(struct flow_writer *w, struct wire_flows *ret_sealed)
{
	if (fsync(w->fd) < 0 || fsync(w->dir_fd) < 0)
		return -errno;
	add(&w->counts, &w->waiting);
	memset(&w->waiting, 0, sizeof(w->waiting));
	*ret_sealed = (struct wire_flows){.number = w->number,
	        .bytes = w->written,
	        .frames = w->frames,
	        .raw_bytes = w->raw_bytes,
	        .records = w->counts.records,
	        .inspected = w->counts.inspected,
	        .lost = w->counts.lost,
	        .malformed = w->counts.malformed};
	digest_peek(w->digest, ret_sealed->sha256);
	close(w->fd);
	w->fd = -1;
	w->number++;
	w->raw_bytes = 0;
	return 1;
}

int flow_writer_seal(struct flow_writer *w, struct wire_flows *ret_sealed)
{
	int r = flow_writer_flush(w);

	if (r < 0 || w->fd < 0)
		return r;
	return complete(w, ret_sealed);
}

int flow_writer_abandon(struct flow_writer *w, struct wire_flows *ret_sealed)
{
	char name[FLOW_FILE_NAME_MAX];

	if (w->fd < 0)
		return 0;
	if (w->written == 0) {
		flow_file_name(w->number, name);
		close(w->fd);
		w->fd = -1;
		return unlinkat(w->dir_fd, name, 0) < 0 ? -errno : 0;
	}
	if (ftruncate(w->fd, (off_t)w->written) < 0)
		return -errno;
	w->gathered = 0;
	w->waiting.lost += w->waiting.records;
	w->waiting.records = w->waiting.inspected = 0;
	return complete(w, ret_sealed);
}

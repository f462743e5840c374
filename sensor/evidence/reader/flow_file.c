// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/flow_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/zstd_frame.h"

#define READ_BYTES 65536u

struct flow_file {
	int flows_fd, fd; // fd is -1 while the file is not open
	bool follow;
	struct flow_position at; // of the frame in `content`, or that is to be read next
	ZSTD_DCtx *dctx;
	uint8_t *stored; // FRAME_STORED_MAX bytes, of which `have` are read from at.offset on
	size_t have;
	size_t frame_stored; // of the frame in `content`; 0: there is none
	char *content;       // FRAME_RAW_MAX bytes
	size_t from, until;  // not yet handed out
	uint64_t torn_files, missing_files;
	int error;
	const char *reason;
};

void flow_file_name(uint32_t number, char out[FLOW_FILE_NAME_MAX])
{
	snprintf(out, FLOW_FILE_NAME_MAX, "%08" PRIu32 ".jsonl.zst", number);
}

bool flow_file_number(const char *name, uint32_t *ret_number)
{
	char again[FLOW_FILE_NAME_MAX];
	uint64_t number = 0;

	for (size_t i = 0; i < 10 && name[i] >= '0' && name[i] <= '9'; i++)
		number = 10 * number + (uint64_t)(name[i] - '0');
	flow_file_name((uint32_t)number, again);
	if (number > UINT32_MAX || strcmp(again, name) != 0)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

int flow_file_first(int flows_fd, uint32_t from, uint32_t *ret_number)
{
	int fd = openat(flows_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint32_t number;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((entry = readdir(dir)))
		if (flow_file_number(entry->d_name, &number) && number >= from && (r == 0 || number < *ret_number)) {
			*ret_number = number;
			r = 1;
		}
	closedir(dir);
	return r;
}

int flow_file_new(int flows_fd, bool follow, struct flow_file **ret_file)
{
	struct flow_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	*f = (struct flow_file){.flows_fd = flows_fd,
	        .fd = -1,
	        .follow = follow,
	        .dctx = ZSTD_createDCtx(),
	        .stored = malloc(FRAME_STORED_MAX),
	        .content = malloc(FRAME_RAW_MAX)};
	if (!f->dctx || !f->stored || !f->content) {
		flow_file_free(f);
		return -ENOMEM;
	}
	*ret_file = f;
	return 0;
}

static void leave(struct flow_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->have = f->frame_stored = f->from = f->until = 0;
	f->error = 0;
	f->reason = NULL;
}

void flow_file_free(struct flow_file *f)
{
	if (!f)
		return;
	leave(f);
	ZSTD_freeDCtx(f->dctx);
	free(f->stored);
	free(f->content);
	free(f);
}

void flow_file_seek(struct flow_file *f, const struct flow_position *position)
{
	leave(f);
	f->at = *position;
}

void flow_file_position(const struct flow_file *f, struct flow_position *ret_position)
{
	*ret_position = f->at;
	// Between two frames it is the next one's beginning.
	if (f->frame_stored > 0 && f->from == f->until) {
		ret_position->offset += f->frame_stored;
		ret_position->line = 0;
	}
}

void flow_file_skip(struct flow_file *f)
{
	flow_file_seek(f, &(struct flow_position){.number = f->at.number + 1});
}

uint64_t flow_file_torn(const struct flow_file *f)
{
	return f->have - f->frame_stored;
}

uint64_t flow_file_torn_files(const struct flow_file *f)
{
	return f->torn_files;
}

uint64_t flow_file_missing_files(const struct flow_file *f)
{
	return f->missing_files;
}

const char *flow_file_reason(const struct flow_file *f)
{
	return f->reason ? f->reason : "";
}

static int bad(struct flow_file *f, const char *reason)
{
	f->reason = reason;
	return -EBADMSG;
}

// The frame in `content` makes room for the one behind it.
static void pass_frame(struct flow_file *f)
{
	if (f->frame_stored == 0)
		return;
	memmove(f->stored, f->stored + f->frame_stored, f->have - f->frame_stored);
	f->have -= f->frame_stored;
	f->at.offset += f->frame_stored;
	f->at.line = 0;
	f->frame_stored = 0;
}

// Reads on until `bytes` are there, or a little further. 1 when there was something, 0 at the end of the file.
static int fill(struct flow_file *f, size_t bytes)
{
	const size_t further = f->have + READ_BYTES < FRAME_STORED_MAX ? f->have + READ_BYTES : FRAME_STORED_MAX;
	const size_t upto = bytes > further ? bytes : further;
	ssize_t n;

	if (f->fd < 0) {
		char name[FLOW_FILE_NAME_MAX];
		uint64_t size;
		int r;

		flow_file_name(f->at.number, name);
		r = recording_open_file(f->flows_fd, name, &f->fd, &size);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (f->at.offset > size)
			return bad(f, "the file is shorter than it was");
	}
	do
		n = pread(f->fd, f->stored + f->have, upto - f->have, (off_t)(f->at.offset + f->have));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	f->have += (size_t)n;
	return n > 0;
}

static int open_frame(struct flow_file *f, const struct zstd_frame *frame)
{
	int r = zstd_frame_decompress(f->dctx, f->stored, frame, (uint8_t *)f->content, &f->reason);

	if (r < 0)
		return r;
	if (f->content[frame->content - 1] != '\n')
		return bad(f, "a frame does not end with the end of a line");
	f->from = 0;
	f->until = frame->content;
	f->frame_stored = frame->stored;
	for (uint32_t i = 0; i < f->at.line; i++) {
		const char *end = memchr(f->content + f->from, '\n', f->until - f->from);

		if (!end)
			return bad(f, "the frame has fewer lines than it had");
		f->from = (size_t)(end + 1 - f->content);
	}
	return 1;
}

// 1: `content` holds the next frame; 0: it is not whole yet.
static int next_frame(struct flow_file *f)
{
	struct zstd_need need = {0};
	struct zstd_frame frame;
	int r;

	pass_frame(f);
	while ((r = zstd_frame_parse(f->stored, f->have, &frame, &need)) == -ENODATA) {
		r = fill(f, need.bytes);
		if (r <= 0)
			return r;
	}
	if (r < 0)
		return bad(f, need.reason);
	return open_frame(f, &frame);
}

// Nothing more is in this file: on to the next one, if that has begun. 1 when it is so.
static int next_file(struct flow_file *f)
{
	uint32_t number;
	int r = flow_file_first(f->flows_fd, f->at.number, &number);

	if (r == 1 && number == f->at.number) {
		r = f->at.number == UINT32_MAX ? 0 : flow_file_first(f->flows_fd, f->at.number + 1, &number);
		if (r != 1)
			return r;
		// The writer is done with this file now: what it wrote since we looked is still to be read.
		r = next_frame(f);
		if (r != 0)
			return r;
		f->torn_files += flow_file_torn(f) > 0;
		f->missing_files += number - f->at.number - 1;
	} else if (r == 1) {
		f->missing_files += number - f->at.number;
	} else {
		return r;
	}
	flow_file_seek(f, &(struct flow_position){.number = number});
	return 1;
}

int flow_file_next(struct flow_file *f, const char **ret_line, size_t *ret_len)
{
	const char *end;

	while (f->error == 0 && f->from == f->until) {
		int r = next_frame(f);

		if (r == 0 && f->follow)
			r = next_file(f);
		if (r == 0)
			return 0;
		if (r < 0)
			f->error = r;
	}
	if (f->error < 0)
		return f->error;
	end = memchr(f->content + f->from, '\n', f->until - f->from);
	*ret_line = f->content + f->from;
	*ret_len = (size_t)(end - *ret_line);
	f->from += *ret_len + 1;
	f->at.line++;
	return 1;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/write_all.h"
#include "sensor/recorder/file_system.h"
#include "sensor/recorder/segment_frames.h"

#define RESERVE_STEP (16u << 20) // allocated ahead in steps of this
#define RESERVE_LAST 65536u      // always left for the last frame

int stages_init(struct stages *s)
{
	memset(s, 0, sizeof(*s));
	for (unsigned i = 0; i < STAGES; i++) {
		s->buffer[i] = aligned_alloc(STAGE_ALIGN, STAGE_BYTES);
		if (!s->buffer[i])
			return -ENOMEM;
	}
	return 0;
}

void stages_free(struct stages *s)
{
	for (unsigned i = 0; i < STAGES; i++)
		free(s->buffer[i]);
}

// Writes what is staged; keeps the bytes beyond the last aligned offset staged. `whole` writes those too, padded with
// zeros to the alignment: the padding lies beyond f->bytes and is overwritten later or cut off at the end.
static int stage_write(struct segment_file *f, bool whole)
{
	uint8_t *buffer = f->stages->buffer[f->stage];
	uint32_t aligned = f->stage_used / STAGE_ALIGN * STAGE_ALIGN;
	uint32_t rest = f->stage_used - aligned;
	uint32_t len = aligned;
	int r;

	if (whole && rest) {
		memset(buffer + f->stage_used, 0, STAGE_ALIGN - rest);
		len += STAGE_ALIGN;
	}
	if (len == 0)
		return 0;
	r = write_all_at(f->fd, buffer, len, f->stage_at);
	if (r == -EINVAL && f->direct) { // the file system took O_DIRECT at open and refuses it now
		fcntl(f->fd, F_SETFL, 0);
		f->direct = false;
		r = write_all_at(f->fd, buffer, len, f->stage_at);
	}
	if (r < 0)
		return r;
	f->written = f->stage_at + (whole ? f->stage_used : aligned);
	memmove(buffer, buffer + aligned, rest);
	f->stage_at += aligned;
	f->stage_used = rest;
	return 0;
}

static int stage_give_back(struct segment_file *f)
{
	int r = stage_write(f, true);

	if (r < 0)
		return r;
	memcpy(f->tail, f->stages->buffer[f->stage], f->stage_used);
	f->stages->owner[f->stage] = NULL;
	f->stage = -1;
	return 0;
}

static int stage_take(struct segment_file *f)
{
	struct stages *s = f->stages;
	unsigned i;

	if (f->stage >= 0)
		return 0;
	for (i = 0; i < STAGES && s->owner[i]; i++)
		;
	if (i == STAGES) {
		int r;

		i = s->next;
		s->next = (s->next + 1) % STAGES;
		r = stage_give_back(s->owner[i]);
		if (r < 0)
			return r;
	}
	s->owner[i] = f;
	f->stage = (int)i;
	memcpy(s->buffer[i], f->tail, f->stage_used);
	return 0;
}

static int reserve(struct segment_file *f, uint32_t len)
{
	// A segment without packets must fit into what the one before it kept back and did not use.
	uint64_t need = f->bytes + len + (f->frames == 0 ? 2 * STAGE_ALIGN : RESERVE_LAST);
	uint64_t step = RESERVE_STEP;

	if (need <= f->reserved)
		return 0;
	if (need - f->reserved > step)
		step = need - f->reserved;
	if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)f->reserved, (off_t)step) == 0) {
		f->reserved += step;
		return 0;
	}
	if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
		return -errno;
	// Nearly full: take exactly what this frame and the last one need.
	step = need - f->reserved;
	if (fallocate(f->fd, FALLOC_FL_KEEP_SIZE, (off_t)f->reserved, (off_t)step) < 0)
		return -errno;
	f->reserved += step;
	return 0;
}

int segment_file_append(struct segment_file *f, const void *frame, uint32_t len, const uint8_t root[DIGEST_LEN])
{
	int r = reserve(f, len);

	if (r == 0)
		r = stage_take(f);
	if (r == 0 && f->stage_used + len > STAGE_BYTES - STAGE_ALIGN)
		r = stage_write(f, false);
	if (r < 0)
		return r;
	memcpy(f->stages->buffer[f->stage] + f->stage_used, frame, len);
	f->stage_used += len;
	f->bytes += len;
	f->frames++;
	digest_update(f->digest, frame, len);
	merkle_append(&f->roots, root, DIGEST_LEN);
	return f->stage_used >= STAGE_WRITE ? stage_write(f, false) : 0;
}

int segment_file_flush(struct segment_file *f)
{
	return f->stage >= 0 ? stage_write(f, true) : 0;
}

static struct segment_file *file_new(uint32_t lane, uint32_t number, struct stages *stages)
{
	struct segment_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fd = -1;
	f->stage = -1;
	f->lane = lane;
	f->number = number;
	f->stages = stages;
	f->ts_min = UINT64_MAX;
	f->digest = digest_new();
	if (!f->digest) {
		free(f);
		return NULL;
	}
	merkle_init(&f->roots);
	return f;
}

void segment_file_free(struct segment_file *f)
{
	if (!f)
		return;
	if (f->stage >= 0)
		f->stages->owner[f->stage] = NULL;
	if (f->fd >= 0)
		close(f->fd);
	digest_free(f->digest);
	free(f);
}

static int open_path(int dir_fd, uint32_t lane, uint32_t number, int flags, bool *ret_direct)
{
	struct file_system fs;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%u", lane);
	if (mkdirat(dir_fd, path, 0750) < 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%u/%08u.pcapng.zst", lane, number);
	flags |= O_RDWR | O_NOFOLLOW | O_CLOEXEC;
	// A server keeps the flag of the opening, where it may not be able to use it; taking it away here would be too
	// late.
	if (file_system_of(dir_fd, &fs) == 0 && fs.kind == FILE_SYSTEM_REMOTE) {
		*ret_direct = false;
		fd = openat(dir_fd, path, flags, 0640);
		return fd < 0 ? -errno : fd;
	}
	fd = openat(dir_fd, path, flags | O_DIRECT, 0640);
	*ret_direct = fd >= 0;
	if (fd < 0 && errno == EINVAL) // no O_DIRECT here; the failed call may have made the file
		fd = openat(dir_fd, path, flags & ~O_EXCL, 0640);
	return fd < 0 ? -errno : fd;
}

static void unlink_path(int dir_fd, uint32_t lane, uint32_t number)
{
	char path[64];

	snprintf(path, sizeof(path), "%u/%08u.pcapng.zst", lane, number);
	unlinkat(dir_fd, path, 0);
}

int segment_file_create(int dir_fd, uint32_t lane, uint32_t number, const struct segment_info *info,
        struct stages *stages, struct segment_file **ret_file)
{
	struct segment_file *f = file_new(lane, number, stages);
	uint8_t frame[SMALL_FRAME_MAX], nothing[DIGEST_LEN];
	int r;

	if (!f)
		return -ENOMEM;
	f->fd = open_path(dir_fd, lane, number, O_CREAT | O_EXCL, &f->direct);
	r = f->fd < 0 ? f->fd : segment_frame_first(info, frame);
	if (r > 0) {
		digest_once("", 0, nothing);
		r = segment_file_append(f, frame, (uint32_t)r, nothing);
		if (r < 0)
			unlink_path(dir_fd, lane, number);
	}
	if (r < 0) {
		segment_file_free(f);
		return r;
	}
	*ret_file = f;
	return 0;
}

int segment_file_resume(int dir_fd, uint32_t lane, uint32_t number, uint64_t bytes, struct stages *stages,
        struct segment_file **ret_file)
{
	struct segment_file *f = file_new(lane, number, stages);
	bool direct;
	int r = 0;

	if (!f)
		return -ENOMEM;
	f->fd = open_path(dir_fd, lane, number, 0, &direct);
	if (f->fd < 0) {
		r = f->fd;
		goto fail;
	}
	fcntl(f->fd, F_SETFL, 0); // adoption reads and writes at any offset
	if (ftruncate(f->fd, (off_t)bytes) < 0) {
		r = -errno;
		goto fail;
	}
	f->bytes = bytes;
	f->written = bytes;
	f->reserved = bytes;
	f->stage_at = bytes / STAGE_ALIGN * STAGE_ALIGN;
	f->stage_used = (uint32_t)(bytes - f->stage_at);
	if (pread(f->fd, f->tail, f->stage_used, (off_t)f->stage_at) != (ssize_t)f->stage_used) {
		r = -EIO;
		goto fail;
	}
	*ret_file = f;
	return 0;
fail:
	segment_file_free(f);
	return r;
}

int segment_file_finish(struct segment_file *f, uint64_t now_ns, const struct counters *c)
{
	uint8_t frame[SMALL_FRAME_MAX], nothing[DIGEST_LEN];
	int r = segment_frame_last(now_ns, c, frame);

	if (r > 0) {
		uint64_t reserved = f->reserved;

		// The space kept back in reserve() is for this frame.
		digest_once("", 0, nothing);
		if (f->bytes + (uint32_t)r <= reserved)
			f->reserved = UINT64_MAX;
		r = segment_file_append(f, frame, (uint32_t)r, nothing);
		f->reserved = reserved;
	}
	if (r >= 0)
		r = segment_file_flush(f);
	// Cuts the padding of the last piece and gives back what was reserved beyond it.
	if (r >= 0 && ftruncate(f->fd, (off_t)f->bytes) < 0)
		r = -errno;
	return r < 0 ? r : 0;
}

void segment_file_root(const struct segment_file *f, uint8_t out[DIGEST_LEN])
{
	merkle_root(&f->roots, out);
}

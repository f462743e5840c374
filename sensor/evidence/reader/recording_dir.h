// SPDX-License-Identifier: Apache-2.0
// Opening what lies in a recording: never a link, never above it, regular files only. Read-only, any thread. Its
// segments may lie on several disks: whoever reads names the directories, and nothing is believed of what is found
// there but digests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACES_MAX 16u // where segments of one recording lie; segments/ is one of them

// A directory besides segments/, with the same below it.
struct segment_place {
	const char *name; // as given
	int fd;           // or a negative errno. -ENODATA: nothing of this recording is there; -EMEDIUMTYPE: a link is
};

struct recording_dir {
	int fd; // of the recording; or a negative errno: why there is none
	unsigned place_count;
	struct segment_place place[PLACES_MAX - 1];
};

// A recording's directory as named by a person (links in that name are his), and those on other disks: each holds
// <recording id>.segments, or is it. The names are borrowed. Negative errno when the recording itself cannot be opened;
// of the others recording_walk tells.
int recording_open(const char *path, const char *const *places, size_t place_count, struct recording_dir *ret_dir);
void recording_close(struct recording_dir *dir); // also one that was never opened
// The directories that it lies in: how many of PLACES_MAX.
unsigned recording_dir_fds(const struct recording_dir *dir, int out[PLACES_MAX]);
// A regular file below it: -ENOENT; -ELOOP for a link; -EMEDIUMTYPE for what is no regular file; other errno of
// openat2.
int recording_open_file(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size);
// A segment's file, wherever it lies. -ENOENT: in none of the directories.
int recording_open_segment(
        const struct recording_dir *dir, uint32_t lane, uint64_t number, int *ret_fd, uint64_t *ret_size);
// Whether it lies in none of them.
bool recording_lacks_segment(const struct recording_dir *dir, uint32_t lane, uint64_t number);
// A directory below it.
int recording_open_dir(int dirfd, const char *path, int *ret_fd);
// A whole file of at most max bytes into out: its length, -EFBIG, or as above.
long recording_read_small(int dirfd, const char *path, void *out, size_t max);
// read() until len bytes or the end of the file; the count or a negative errno.
long read_full(int fd, void *out, size_t len);

#define SEGMENT_PATH_MAX 48
void segment_path(uint32_t lane, uint64_t number, char out[SEGMENT_PATH_MAX]);

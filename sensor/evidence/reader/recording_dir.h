// SPDX-License-Identifier: Apache-2.0
// Opening what lies in a recording: never a link, never above it, regular files only. Read-only, any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sensor/evidence/reader/report.h"

// A recording's directory as named by a person (links in that name are his). Negative errno.
int recording_open(const char *path, int *ret_dirfd);
// A regular file below it: -ENOENT; -ELOOP for a link; -EMEDIUMTYPE for what is no regular file; other errno of
// openat2.
int recording_open_file(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size);
// A directory below it.
int recording_open_dir(int dirfd, const char *path, int *ret_fd);
// A whole file of at most max bytes into out: its length, -EFBIG, or as above.
long recording_read_small(int dirfd, const char *path, void *out, size_t max);
// read() until len bytes or the end of the file; the count or a negative errno.
long read_full(int fd, void *out, size_t len);

// What an errno says about the recording: missing, a link or misshapen is invalid, everything else is unreadable.
enum verdict errno_verdict(int r);
// Adds `missing-file`, `not-a-regular-file` or `unreadable`.
void report_errno(struct verify_report *report, const char *where, int r);

#define SEGMENT_PATH_MAX 48
void segment_path(uint32_t lane, uint64_t number, char out[SEGMENT_PATH_MAX]);

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_file_open(struct output_file *f, const char *path)
{
	char copy[PATH_MAX];
	struct stat st;

	*f = (struct output_file){.path = path, .fd = -1};
	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	if (lstat(path, &st) == 0)
		return -EEXIST;
	strcpy(copy, path);
	f->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (f->fd >= 0)
		return 0;
	f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	f->named = f->fd >= 0;
	return f->fd < 0 ? -errno : 0;
}

void output_file_discard(struct output_file *f)
{
	if (f->named)
		unlink(f->path);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int output_file_keep(struct output_file *f)
{
	char by_fd[32];
	int r = fsync(f->fd) < 0 ? -errno : 0;

	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", f->fd);
	if (r == 0 && !f->named && linkat(AT_FDCWD, by_fd, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) < 0)
		r = -errno;
	f->named = f->named && r < 0; // what is kept is not discarded
	output_file_discard(f);
	return r;
}

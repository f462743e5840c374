// SPDX-License-Identifier: Apache-2.0
// Disks that are full, do not sync or stand still when they are told to: the calls stand before those of libc. Called
// by the recorder's threads.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/pipeline_world.h"

struct disks disks;

static bool concerned(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return !atomic_load(&disks.only_second) || strstr(path, "/disk1/");
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	// Room for an empty segment is left, as on a disk where the segment before gave its reserve back.
	if (len > 10000 && atomic_load(&disks.fallocates_left) && concerned(fd) &&
	        atomic_fetch_sub(&disks.fallocates_left, 1) == 1) {
		atomic_store(&disks.fallocates_left, 1);
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int fdatasync(int fd)
{
	while (atomic_load(&disks.second_stands) && concerned(fd))
		poll(NULL, 0, 1);
	if (atomic_load(&disks.syncs_left) && concerned(fd) && atomic_fetch_sub(&disks.syncs_left, 1) == 1) {
		atomic_store(&disks.syncs_left, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

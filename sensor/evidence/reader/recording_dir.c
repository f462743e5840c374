// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/recording_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = {
	        .flags = (uint64_t)(flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	// EAGAIN: something was renamed meanwhile (a live recording does that); the kernel asks for another try.
	for (int tries = 0; tries < 100; tries++) {
		long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int recording_open_file(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size)
{
	struct stat st;
	int fd = open_beneath(dirfd, path, 0);
	int r;

	// ENXIO: a socket, or a pipe without a writer.
	if (fd < 0)
		return fd == -ENXIO ? -EMEDIUMTYPE : fd;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return -EMEDIUMTYPE;
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

int recording_open_dir(int dirfd, const char *path, int *ret_fd)
{
	int fd = open_beneath(dirfd, path, O_DIRECTORY);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

long read_full(int fd, void *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)out + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (long)done;
}

long recording_read_small(int dirfd, const char *path, void *out, size_t max)
{
	uint64_t size;
	char more;
	long n;
	int fd;
	int r = recording_open_file(dirfd, path, &fd, &size);

	if (r < 0)
		return r;
	n = read_full(fd, out, max);
	if (n == (long)max && read_full(fd, &more, 1) != 0)
		n = -EFBIG;
	close(fd);
	return n;
}

void segment_path(uint32_t lane, uint64_t number, char out[SEGMENT_PATH_MAX])
{
	snprintf(out, SEGMENT_PATH_MAX, "segments/%" PRIu32 "/%08" PRIu64 ".pcapng.zst", lane, number);
}

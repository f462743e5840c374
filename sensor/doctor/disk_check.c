// SPDX-License-Identifier: Apache-2.0
// The disk that recordings shall lie on, and the pool that bridges its stalls: kind, space, whether room can be
// reserved, and how fast it takes data. Writes at most 64 MiB in about two seconds into a file without a name, of which
// nothing is left.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "sensor/doctor/doctor.h"
#include "sensor/ipc/job.h"
#include "sensor/recorder/file_system.h"

#define CHUNK_BYTES (4u << 20) // as the recorder writes
#define CHUNKS 16u
#define TIME_LIMIT_NS 2000000000ULL
#define STALL_MS_MIN 100u

// The directory itself, or the nearest one above it that exists.
static void existing(const char *directory, char *out, size_t size)
{
	snprintf(out, size, "%s", directory);
	while (access(out, F_OK) < 0 && errno == ENOENT && strcmp(out, "/") != 0 && strcmp(out, ".") != 0) {
		char *slash = strrchr(out, '/');

		if (!slash)
			snprintf(out, size, ".");
		else
			slash[slash == out] = '\0';
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

// MB/s including the sync, 0 with errno when it could not be measured.
static uint64_t write_speed(int fd, bool *ret_direct)
{
	uint64_t bytes = 0, start, x = 88172645463325252ULL, took;
	uint64_t *data = aligned_alloc(4096, CHUNK_BYTES);
	int flags = fcntl(fd, F_GETFL);

	if (!data) {
		errno = ENOMEM;
		return 0;
	}
	for (size_t i = 0; i < CHUNK_BYTES / 8; i++) { // nothing that a disk could compress
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = x;
	}
	*ret_direct = fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
	start = now_ns();
	for (unsigned i = 0; i < CHUNKS && now_ns() - start < TIME_LIMIT_NS; i++) {
		ssize_t n = pwrite(fd, data, CHUNK_BYTES, (off_t)bytes);

		if (n < 0 && errno == EINVAL && *ret_direct) {
			*ret_direct = false;
			fcntl(fd, F_SETFL, flags);
			n = pwrite(fd, data, CHUNK_BYTES, (off_t)bytes);
		}
		if (n <= 0)
			break;
		bytes += (uint64_t)n;
	}
	if (bytes == 0 || fdatasync(fd) < 0)
		bytes = 0;
	took = now_ns() - start;
	free(data);
	return bytes ? bytes * 1000 / (took ? took : 1) : 0;
}

static void speed(struct doctor *d, int fd)
{
	static const char why[] = "a disk slower than the link drops frames once the pool is full";
	bool direct = false;
	uint64_t mb = write_speed(fd, &direct), link = d->link_mbit > 0 ? (uint64_t)d->link_mbit / 8 : 0;
	const char *how = direct ? "past the cache" : "through the cache";

	if (mb == 0)
		finding_add(d, "disk-speed", FINDING_UNKNOWN, why, "could not be measured: %s", strerror(errno));
	else if (link == 0)
		finding_add(d, "disk-speed", FINDING_UNKNOWN, why, "%llu MB/s %s; the link's speed is not told",
		        (unsigned long long)mb, how);
	else
		finding_add(d, "disk-speed",
		        mb >= link       ? FINDING_OK
		        : mb >= link / 2 ? FINDING_WARN
		                         : FINDING_BAD,
		        why, "%llu MB/s %s; a full link brings %llu MB/s before compression", (unsigned long long)mb,
		        how, (unsigned long long)link);
	if (link > 0 && mb > 0 && mb < link)
		finding_mend(&d->finding[d->count - 1],
		        "sealtap capture --filter ... (record less), or a faster disk for -o");
}

static void space(struct doctor *d, const char *directory)
{
	static const char why[] = "below 2 % (--min-free) a recording ends, or gives up its oldest segments";
	struct statvfs v;
	uint64_t free_mb, percent;
	enum finding_state state;

	if (statvfs(directory, &v) < 0 || v.f_blocks == 0) {
		finding_add(d, "free-space", FINDING_UNKNOWN, why, "cannot be read: %s", strerror(errno));
		return;
	}
	free_mb = (uint64_t)v.f_bavail * v.f_frsize / 1000000;
	percent = (uint64_t)v.f_bavail * 100 / v.f_blocks;
	state = percent < 2 || free_mb < 1000 ? FINDING_BAD : percent < 10 ? FINDING_WARN : FINDING_OK;
	if (d->link_mbit > 0)
		finding_add(d, "free-space", state, why, "%llu GB, %llu %%; a full link fills that in %llu minutes",
		        (unsigned long long)free_mb / 1000, (unsigned long long)percent,
		        (unsigned long long)(free_mb / ((uint64_t)d->link_mbit / 8 + 1) / 60));
	else
		finding_add(d, "free-space", state, why, "%llu GB, %llu %%", (unsigned long long)free_mb / 1000,
		        (unsigned long long)percent);
	if (state != FINDING_OK)
		finding_mend(&d->finding[d->count - 1], "df -h '%.100s' (make room, or choose another -o)", directory);
}

static void kind(struct doctor *d, int dir_fd, int file_fd)
{
	static const char why[] =
	        "room for segments is reserved ahead, so that a full disk is seen before a frame is lost";
	static const char why_owners[] = "anybody could read or replace what lies there, and files end at 4 GiB";
	static const char why_word[] = "what is called safe on the disk may be lost in a power cut";
	struct file_system fs;
	const char *caution;
	int r = file_system_of(dir_fd, &fs);

	if (r == 0 && fs.kind == FILE_SYSTEM_NO_OWNERS) {
		finding_add(d, "file-system", FINDING_BAD, why_owners,
		        "%s keeps neither owners nor modes: use ext4, xfs or btrfs for -o and copy finished recordings "
		        "there",
		        fs.name);
		return;
	}
	if (r == 0)
		r = file_system_reserves(file_fd);
	if (r < 0) {
		finding_add(d, "file-system", FINDING_BAD, why,
		        "%s does not reserve room (%s): use ext4, xfs, btrfs or tmpfs for -o", fs.name, strerror(-r));
		return;
	}
	caution = file_system_caution(fs.kind);
	if (caution)
		finding_add(d, "file-system", FINDING_WARN, why_word, "%s: %s", fs.name, caution);
	else
		finding_add(d, "file-system", FINDING_OK, why, "%s reserves room (fallocate)", fs.name);
}

// Without a directory too: the pool is the same.
static void stall(struct doctor *d)
{
	static const char why[] =
	        "disks stand still now and then, for longer when others write too; then the pool must hold "
	        "what comes";
	uint64_t mbit = d->link_mbit > 0 ? (uint64_t)d->link_mbit : 1000, ms = job_stall_ms(JOB_POOL_BLOCKS, mbit);

	if (ms < STALL_MS_MIN)
		finding_mend(
		        finding_add(d, "pool", FINDING_WARN, why, "%u MiB bridge a stall of %llu ms of a full link",
		                JOB_POOL_BLOCKS, (unsigned long long)ms),
		        "sealtap capture --pool %llu", (unsigned long long)(JOB_POOL_BLOCKS * STALL_MS_MIN / (ms + 1)));
	else
		finding_add(d, "pool", FINDING_OK, why,
		        "%u MiB (--pool) bridge a disk stall of %.1f s at %.4g Gbit/s%s", JOB_POOL_BLOCKS,
		        (double)ms / 1000, (double)mbit / 1000,
		        d->link_mbit > 0 ? "" : " (the link's speed is not told)");
}

void disk_check(struct doctor *d)
{
	char directory[PATH_MAX];
	int dir_fd, fd;

	stall(d);
	if (!d->directory)
		return;
	existing(d->directory, directory, sizeof(directory));
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = dir_fd < 0 ? -errno : file_system_nameless(dir_fd);
	if (fd < 0) {
		finding_mend(finding_add(d, "file-system", FINDING_BAD, "without it there is no recording",
		                     "%.150s cannot be written: %s", directory, strerror(-fd)),
		        "ls -ld '%.150s'", directory);
	} else {
		kind(d, dir_fd, fd);
		speed(d, fd);
		space(d, directory);
		close(fd);
	}
	if (dir_fd >= 0)
		close(dir_fd);
}

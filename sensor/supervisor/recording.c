// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/recording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/recorder/file_system.h"

#define DIR_MODE 0750
#define DEPTH_MAX 3 // RECORDING/segments/<lane>/

static int make_sub(int dir_fd, const char *name, uint32_t uid)
{
	int fd;

	if (mkdirat(dir_fd, name, DIR_MODE) < 0)
		return -errno;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (uid != UINT32_MAX && fchown(fd, uid, uid) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

// Refuses what cannot keep a recording, before anything is in it; says what the operator should know of the rest.
static int check_file_system(const char *name, int dir_fd, struct error *e)
{
	struct file_system fs;
	int fd, r = file_system_of(dir_fd, &fs);

	if (r < 0)
		return error_set(e, r, "the file system of %s cannot be looked at: %s", name, strerror(-r));
	if (fs.kind == FILE_SYSTEM_NO_OWNERS)
		return error_set(e, -ENOTSUP,
		        "%s would lie on %s, which keeps neither owners nor modes, nor files beyond 4 GiB: record onto "
		        "ext4, xfs or btrfs and copy the finished recording there with cp -r",
		        name, fs.name);
	fd = file_system_nameless(dir_fd);
	if (fd < 0)
		return error_set(e, fd, "no file can be made in %s (%s): %s", name, fs.name, strerror(-fd));
	r = file_system_reserves(fd);
	close(fd);
	if (r < 0 && r != -ENOSPC && r != -EDQUOT)
		return error_set(e, r,
		        "%s would lie on %s, which cannot reserve room ahead (fallocate: %s), so a full disk would be "
		        "met in the middle of a frame: record onto ext4, xfs, btrfs or tmpfs and copy the finished "
		        "recording there",
		        name, fs.name, strerror(-r));
	if (file_system_caution(fs.kind))
		fprintf(stderr, "sealtap: %s lies on %s: %s\n", name, fs.name, file_system_caution(fs.kind));
	return 0;
}

static int room_check(const struct job *job, const char *name, int dir_fd, struct error *e)
{
	struct statfs fs;
	uint64_t free;

	if (!job->min_free || fstatfs(dir_fd, &fs) < 0)
		return 0;
	free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
	if (free >= job->min_free)
		return 0;
	return error_set(e, -ENOSPC,
	        "the disk of %s has %llu MiB free, less than the %llu MiB that --min-free (default 2%%) keeps free: "
	        "make room, choose another -o, or say --min-free SIZE",
	        name, (unsigned long long)free >> 20, (unsigned long long)job->min_free >> 20);
}

static void find_out(const struct job *job, struct recording *r)
{
	char *real = realpath(job->recording, NULL);
	struct stat st;

	snprintf(r->path, sizeof(r->path), "%s", real && strlen(real) < sizeof(r->path) ? real : job->recording);
	free(real);
	if (fstat(r->dir_fd, &st) == 0) {
		r->device = st.st_dev;
		r->inode = st.st_ino;
	}
}

// The exporter reads flow files: by their group, which they take from the directory.
static int share_flows(const struct job *job, int flows_fd)
{
	uint32_t reader = job->role_uid[JOB_EXPORTER];

	if (flows_fd < 0 || job->export_count == 0 || reader == UINT32_MAX)
		return 0;
	return fchown(flows_fd, UINT32_MAX, reader) < 0 || fchmod(flows_fd, S_ISGID | DIR_MODE) < 0 ? -errno : 0;
}

// In a directory that the operator named, on another disk as a rule.
static int place_make(const struct job *job, struct recording *r, unsigned index, struct error *e)
{
	struct recording_place *p = &r->place[index];
	const char *parent = job->segments_on[index];
	struct stat here, other;
	int result;

	p->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->parent_fd < 0)
		return error_set(e, -errno, "cannot open %s of --segments-on: %s", parent, strerror(errno));
	if (fstat(p->parent_fd, &here) < 0)
		return error_set(e, -errno, "cannot look at %s: %s", parent, strerror(errno));
	for (unsigned i = 0; i < index; i++)
		if (fstat(r->place[i].parent_fd, &other) == 0 && other.st_dev == here.st_dev &&
		        other.st_ino == here.st_ino) {
			close(p->parent_fd);
			return error_set(e, -EINVAL, "--segments-on names %s twice", parent);
		}
	result = check_file_system(parent, p->parent_fd, e);
	if (result == 0)
		result = room_check(job, parent, p->parent_fd, e);
	if (result < 0) {
		close(p->parent_fd);
		return result;
	}
	snprintf(p->name, sizeof(p->name), "sealtap-%ld-%u.segments", (long)getpid(), index + 1);
	p->fd = make_sub(p->parent_fd, p->name, job->role_uid[JOB_RECORDER]);
	p->look_fd = p->fd < 0 ? p->fd : openat(p->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->look_fd < 0) {
		result = p->fd < 0 ? p->fd : -errno;
		unlinkat(p->parent_fd, p->name, AT_REMOVEDIR);
		close(p->parent_fd);
		return error_set(e, result, "cannot make a directory in %s: %s", parent, strerror(-result));
	}
	r->place_count++;
	return 0;
}

int recording_make(const struct job *job, struct recording *ret_recording, struct error *e)
{
	struct recording r = {.dir_fd = -1, .segments_fd = -1, .sources_fd = -1, .flows_fd = -1};
	uint32_t recorder = job->role_uid[JOB_RECORDER], keeper = job->role_uid[JOB_KEEPER];
	int fd = -1;

	if (mkdir(job->recording, DIR_MODE) < 0) {
		if (errno == EEXIST)
			return error_set(e, -EEXIST,
			        "%s exists already; a recording is never written over: choose another name, or a "
			        "template such as %%Y%%m%%dT%%H%%M%%SZ",
			        job->recording);
		return error_set(e, -errno, "cannot make the directory %s: %s", job->recording, strerror(errno));
	}
	r.dir_fd = open(job->recording, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r.dir_fd >= 0) {
		int refused = check_file_system(job->recording, r.dir_fd, e);

		if (refused == 0)
			refused = room_check(job, job->recording, r.dir_fd, e);
		if (refused < 0) {
			recording_unmake(job, &r);
			return refused;
		}
	}
	if (r.dir_fd < 0 || (r.segments_fd = make_sub(r.dir_fd, "segments", recorder)) < 0 ||
	        (r.sources_fd = make_sub(r.dir_fd, "sources", recorder)) < 0 ||
	        (job->flows && (r.flows_fd = make_sub(r.dir_fd, "flows", job->role_uid[JOB_FLOWLOG])) < 0) ||
	        share_flows(job, r.flows_fd) < 0 || (fd = make_sub(r.dir_fd, "keys", keeper)) < 0 || close(fd) < 0 ||
	        (fd = make_sub(r.dir_fd, "checkpoints", keeper)) < 0 || close(fd) < 0 ||
	        (keeper != UINT32_MAX && fchown(r.dir_fd, keeper, keeper) < 0)) {
		int failed = errno ? -errno : -EIO;

		recording_unmake(job, &r);
		return error_set(e, failed, "cannot make the directories of %s: %s", job->recording, strerror(-failed));
	}
	find_out(job, &r);
	for (unsigned i = 1; i < job->places; i++) {
		int refused = place_make(job, &r, i - 1, e);

		if (refused < 0) {
			recording_unmake(job, &r);
			return refused;
		}
	}
	*ret_recording = r;
	return 0;
}

void recording_named(const struct job *job, struct recording *r, const uint8_t id[DIGEST_LEN])
{
	char name[sizeof(r->place[0].name)];

	hex_encode(id, DIGEST_LEN, name);
	strcat(name, ".segments");
	for (unsigned i = 0; i < r->place_count; i++) {
		struct recording_place *p = &r->place[i];

		if (renameat2(p->parent_fd, p->name, p->parent_fd, name, RENAME_NOREPLACE) == 0) {
			fsync(p->parent_fd);
			memcpy(p->name, name, sizeof(name));
		} else {
			fprintf(stderr, "sealtap: %s/%s cannot be named %s: %s; do that yourself\n",
			        job->segments_on[i], p->name, name, strerror(errno));
		}
		fprintf(stderr, "sealtap: disk %u of %u: every %u%s lane from lane %u on, in %s/%s\n", i + 2,
		        job->places, job->places,
		        job->places == 2   ? "nd"
		        : job->places == 3 ? "rd"
		                           : "th",
		        i + 1, job->segments_on[i], p->name);
	}
}

void recording_unmake(const struct job *job, struct recording *r)
{
	static const char *const subs[] = {"segments", "sources", "flows", "keys", "checkpoints"};
	static const char *const begun[] = {
	        "ledger.jsonl", "salts.key", "checkpoint.tmp", "keys/origin.pub", "keys/1.pub"};

	// Without a checkpoint the keeper has opened nothing: what it had begun to write says nothing.
	if (r->dir_fd >= 0 && faccessat(r->dir_fd, "checkpoint", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]); i++)
			unlinkat(r->dir_fd, begun[i], 0);
	if (r->sources_fd >= 0)
		for (unsigned i = 0; i < job->source_count; i++) {
			char name[64];

			snprintf(name, sizeof(name), "%u.extra.jsonl.zst", i);
			unlinkat(r->sources_fd, name, 0);
		}
	// Only empty directories go: had anything been recorded, this would leave it all.
	for (size_t i = 0; r->dir_fd >= 0 && i < sizeof(subs) / sizeof(subs[0]); i++)
		unlinkat(r->dir_fd, subs[i], AT_REMOVEDIR);
	for (unsigned i = 0; i < r->place_count; i++)
		unlinkat(r->place[i].parent_fd, r->place[i].name, AT_REMOVEDIR);
	rmdir(job->recording);
}

static void chown_tree(int fd, uint32_t uid, uint32_t gid, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		int sub;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fchownat(dirfd(dir), entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			fprintf(stderr, "sealtap: cannot hand over %s: %s\n", entry->d_name, strerror(errno));
		if (entry->d_type != DT_DIR || depth == 0)
			continue;
		sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			chown_tree(sub, uid, gid, depth - 1);
	}
	closedir(dir);
}

static void hand_over(const struct job *job, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fchown(fd, job->owner_uid, job->owner_gid) < 0)
		fprintf(stderr, "sealtap: cannot hand over %s: %s\n", name, strerror(errno));
	chown_tree(fd, job->owner_uid, job->owner_gid, DEPTH_MAX);
}

void recording_hand_over(const struct job *job, struct recording *r)
{
	if (job->role_uid[JOB_RECORDER] == UINT32_MAX)
		return;
	if (r->flows_fd >= 0)
		fchmod(r->flows_fd, DIR_MODE);
	hand_over(job, r->dir_fd, job->recording);
	for (unsigned i = 0; i < r->place_count; i++)
		hand_over(job, r->place[i].fd, job->segments_on[i]);
}

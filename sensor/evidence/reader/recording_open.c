// SPDX-License-Identifier: Apache-2.0
// Where a recording lies: its directory, and those on other disks that whoever reads has named.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/recording_dir.h"

#define PLACE_SUFFIX ".segments"

// What the ledger's first line hashes to. To find directories by their names alone: nobody has signed it yet.
static int id_peek(int dirfd, char out[HEX_LEN(DIGEST_LEN)])
{
	char *line = malloc(LEDGER_LINE_MAX + 1), *end = NULL;
	uint8_t id[DIGEST_LEN];
	uint64_t size;
	long n = -ENOMEM;
	int fd;

	if (line && (n = digest_init()) == 0)
		n = recording_open_file(dirfd, "ledger.jsonl", &fd, &size);
	if (n == 0) {
		n = read_full(fd, line, LEDGER_LINE_MAX + 1);
		close(fd);
		end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	}
	if (end) {
		digest_once(line, (size_t)(end + 1 - line), id);
		hex_encode(id, DIGEST_LEN, out);
	}
	free(line);
	return end ? 0 : n < 0 ? (int)n : -ENODATA;
}

// The last part of a path, without the slashes behind it.
static bool is_named(const char *path, const char *name)
{
	size_t len = strlen(path), name_len = strlen(name);

	while (len > 0 && path[len - 1] == '/')
		len--;
	return len >= name_len && strncmp(path + len - name_len, name, name_len) == 0 &&
	       (len == name_len || path[len - name_len - 1] == '/');
}

static int place_open(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), below, r;

	if (fd < 0)
		return -errno;
	if (is_named(path, name))
		return fd;
	r = recording_open_dir(fd, name, &below);
	close(fd);
	if (r == -ENOENT)
		return -ENODATA;
	return r == -ELOOP || r == -ENOTDIR ? -EMEDIUMTYPE : r < 0 ? r : below;
}

// One directory by two names is one place.
static bool seen_before(const struct recording_dir *dir, int fd)
{
	struct stat st, other;

	if (fstat(fd, &st) < 0)
		return false;
	if (fstatat(dir->fd, "segments", &other, AT_SYMLINK_NOFOLLOW) == 0 && other.st_dev == st.st_dev &&
	        other.st_ino == st.st_ino)
		return true;
	for (unsigned i = 0; i < dir->place_count; i++)
		if (dir->place[i].fd >= 0 && fstat(dir->place[i].fd, &other) == 0 && other.st_dev == st.st_dev &&
		        other.st_ino == st.st_ino)
			return true;
	return false;
}

int recording_open(const char *path, const char *const *places, size_t place_count, struct recording_dir *ret_dir)
{
	struct recording_dir dir = {.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	char name[HEX_LEN(DIGEST_LEN) + sizeof(PLACE_SUFFIX)] = "";
	int known;

	if (dir.fd < 0)
		return -errno;
	known = place_count > 0 ? id_peek(dir.fd, name) : 0;
	if (known == 0)
		strcat(name, PLACE_SUFFIX);
	for (size_t i = 0; i < place_count && dir.place_count < PLACES_MAX - 1; i++) {
		int fd = known < 0 ? -ENODATA : place_open(places[i], name);

		if (fd >= 0 && seen_before(&dir, fd)) {
			close(fd);
			continue;
		}
		dir.place[dir.place_count++] = (struct segment_place){.name = places[i], .fd = fd};
	}
	*ret_dir = dir;
	return 0;
}

void recording_close(struct recording_dir *dir)
{
	for (unsigned i = 0; i < dir->place_count; i++)
		if (dir->place[i].fd >= 0)
			close(dir->place[i].fd);
	if (dir->fd >= 0)
		close(dir->fd);
	*dir = (struct recording_dir){.fd = -1};
}

unsigned recording_dir_fds(const struct recording_dir *dir, int out[PLACES_MAX])
{
	unsigned count = 0;

	if (dir->fd >= 0)
		out[count++] = dir->fd;
	for (unsigned i = 0; i < dir->place_count; i++)
		if (dir->place[i].fd >= 0)
			out[count++] = dir->place[i].fd;
	return count;
}

int recording_open_segment(
        const struct recording_dir *dir, uint32_t lane, uint64_t number, int *ret_fd, uint64_t *ret_size)
{
	char path[SEGMENT_PATH_MAX];
	int r;

	segment_path(lane, number, path);
	r = recording_open_file(dir->fd, path, ret_fd, ret_size);
	for (unsigned i = 0; i < dir->place_count && r == -ENOENT; i++)
		if (dir->place[i].fd >= 0)
			r = recording_open_file(dir->place[i].fd, strchr(path, '/') + 1, ret_fd, ret_size);
	return r;
}

static bool lacks(int dirfd, const char *path)
{
	struct stat st;

	return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

bool recording_lacks_segment(const struct recording_dir *dir, uint32_t lane, uint64_t number)
{
	char path[SEGMENT_PATH_MAX];
	bool absent;

	segment_path(lane, number, path);
	absent = lacks(dir->fd, path);
	for (unsigned i = 0; i < dir->place_count && absent; i++)
		absent = dir->place[i].fd < 0 || lacks(dir->place[i].fd, strchr(path, '/') + 1);
	return absent;
}

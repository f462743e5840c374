// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/index_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/write_all.h"

#define INDEX_BYTES_MAX (256u << 20)
#define NAME_MAX_LEN 48u

int index_cache_root(void)
{
	char path[PATH_MAX];
	int fd, r = cli_cache_dir(path, sizeof(path));
	size_t len;

	if (r < 0)
		return r;
	len = strlen(path);
	if (snprintf(path + len, sizeof(path) - len, "/index") >= (int)(sizeof(path) - len))
		return -ENAMETOOLONG;
	r = cli_make_dirs(path);
	fd = r < 0 ? r : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r == 0 && fd < 0 ? -errno : fd;
}

int index_cache_open(struct index_cache *c, const uint8_t recording_id[DIGEST_LEN])
{
	char path[PATH_MAX];
	size_t len;
	int r;

	c->dirfd = -1;
	r = cli_cache_dir(path, sizeof(path));
	if (r < 0)
		return r;
	len = strlen(path);
	if (sizeof(path) - len < sizeof("/index/") + 2 * DIGEST_LEN)
		return -ENAMETOOLONG;
	len += (size_t)snprintf(path + len, sizeof(path) - len, "/index/");
	for (unsigned i = 0; i < DIGEST_LEN; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%02x", recording_id[i]);
	r = cli_make_dirs(path);
	if (r < 0)
		return r;
	c->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return c->dirfd < 0 ? -errno : 0;
}

void index_cache_close(struct index_cache *c)
{
	if (c->dirfd >= 0)
		close(c->dirfd);
	c->dirfd = -1;
}

static void file_name(uint32_t lane, uint32_t segment, const char *suffix, char out[NAME_MAX_LEN])
{
	snprintf(out, NAME_MAX_LEN, "%u-%08u.idx%s", lane, segment, suffix);
}

uint8_t *index_cache_get(struct index_cache *c, uint32_t lane, uint32_t segment, size_t *ret_len)
{
	char name[NAME_MAX_LEN];
	uint8_t *data = NULL;
	struct stat st;
	size_t len = 0;
	int fd;

	if (c->dirfd < 0)
		return NULL;
	file_name(lane, segment, "", name);
	fd = openat(c->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= INDEX_BYTES_MAX) {
		len = (size_t)st.st_size;
		data = malloc(len);
	}
	if (data && read_full(fd, data, len) != (long)len) {
		free(data);
		data = NULL;
	}
	close(fd);
	if (data)
		*ret_len = len;
	return data;
}

int index_cache_put(struct index_cache *c, uint32_t lane, uint32_t segment, const uint8_t *data, size_t len)
{
	char name[NAME_MAX_LEN], temporary[NAME_MAX_LEN], suffix[24];
	int fd, r;

	if (c->dirfd < 0 || len > INDEX_BYTES_MAX)
		return -EFBIG;
	snprintf(suffix, sizeof(suffix), ".%d.tmp", (int)getpid());
	file_name(lane, segment, "", name);
	file_name(lane, segment, suffix, temporary);
	fd = openat(c->dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(c->dirfd, temporary, c->dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(c->dirfd, temporary, 0);
	return r;
}

static bool given_up(const struct segment_list *list, const char *name)
{
	char again[NAME_MAX_LEN];
	unsigned lane, number;

	if (sscanf(name, "%u-%u.idx", &lane, &number) != 2)
		return false;
	file_name(lane, number, "", again);
	return strcmp(again, name) == 0 && lane < list->lane_count && number < list->lanes[lane]->count &&
	       list->lanes[lane]->segments[number].retired;
}

void index_cache_prune(struct index_cache *c, const struct segment_list *list)
{
	int fd = openat(c->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (given_up(list, entry->d_name))
			unlinkat(c->dirfd, entry->d_name, 0);
	closedir(dir);
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/recording_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"

#define WHERE_MAX 400 // as much as a finding shows

struct walker {
	struct recording_walk *walk;
	struct verify_report *report;
	unsigned place;    // 0: the recording itself; else the directory on another disk
	const char *label; // of that, as given
	uint64_t lane;     // while below segments/<lane>
};

// One entry; returns false when the name has no place in this directory.
typedef bool entry_fn(struct walker *w, int dirfd, const char *name, const struct stat *st);

static const char *kind_of(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "a symbolic link";
	if (S_ISREG(st->st_mode))
		return "a file of this name";
	return S_ISDIR(st->st_mode) ? "a directory of this name" : "something else of this name";
}

// For people: path, or what is below it. Paths of the format are short.
static const char *where_of(const struct walker *w, const char *path, const char *name, char out[WHERE_MAX])
{
	const char *parts[] = {w->label, strcmp(path, ".") == 0 ? NULL : path, name};
	int len = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i])
			len += snprintf(out + len, WHERE_MAX - (size_t)len, "%s%.*s", len ? "/" : "", i == 2 ? 255 : 60,
			        parts[i]);
	return len ? out : path;
}

static void walk_dir(struct walker *w, int dirfd, const char *path, entry_fn *entry)
{
	char where[WHERE_MAX];
	struct dirent *e;
	DIR *dir;
	int fd;
	int r = recording_open_dir(dirfd, path, &fd);

	if (r < 0) {
		report_errno(w->report, where_of(w, path, NULL, where), r);
		return;
	}
	dir = fdopendir(fd);
	if (!dir) {
		report_errno(w->report, where_of(w, path, NULL, where), -errno);
		close(fd);
		return;
	}
	while (errno = 0, (e = readdir(dir))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		where_of(w, path, e->d_name, where);
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			// Gone again: a live recording renames checkpoint.tmp.
			if (errno != ENOENT)
				report_errno(w->report, where, -errno);
		} else if (!entry(w, dirfd, e->d_name, &st)) {
			report_add(w->report, VERDICT_INVALID, "unexpected-file", where, "only the names of the format",
			        kind_of(&st));
		}
	}
	if (errno != 0)
		report_errno(w->report, where_of(w, path, NULL, where), -errno);
	closedir(dir);
}

// name is decimal without leading zeros followed by suffix.
static bool number_and(const char *name, const char *suffix, uint64_t *ret_number)
{
	size_t len = strspn(name, "0123456789");
	char digits[24];

	if (len == 0 || len >= sizeof(digits) || strcmp(name + len, suffix) != 0)
		return false;
	memcpy(digits, name, len);
	digits[len] = '\0';
	return u64_parse(digits, ret_number) == 0;
}

static void keep_greatest(uint64_t *at, uint64_t value)
{
	if (value > *at)
		*at = value;
}

static bool segment_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	size_t digits = strspn(name, "0123456789");
	char again[SEGMENT_PATH_MAX], number_text[24];
	const char *trimmed;
	uint64_t number;

	if (!S_ISREG(st->st_mode) || digits < 8 || digits >= sizeof(number_text))
		return false;
	memcpy(number_text, name, digits);
	number_text[digits] = '\0';
	trimmed = number_text + strspn(number_text, "0");
	if (u64_parse(*trimmed ? trimmed : "0", &number) < 0 || number > UINT32_MAX)
		return false;
	segment_path((uint32_t)w->lane, number, again);
	if (strcmp(strrchr(again, '/') + 1, name) != 0)
		return false;
	if (w->walk->lane_place[w->lane] == 0)
		w->walk->lane_place[w->lane] = (uint8_t)(w->place + 1);
	else if (w->walk->lane_place[w->lane] != w->place + 1)
		w->walk->lane_twice[w->lane] = true;
	keep_greatest(st->st_size > 0 ? &w->walk->lane_last[w->lane] : &w->walk->lane_last_empty[w->lane], number + 1);
	return true;
}

static bool lane_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	char path[WHERE_MAX];

	if (!S_ISDIR(st->st_mode) || !number_and(name, "", &w->lane) || w->lane >= LANES_MAX)
		return false;
	w->walk->lane_dir[w->lane] = true;
	snprintf(path, sizeof(path), "%s%s", w->label ? "" : "segments/", name);
	walk_dir(w, dirfd, path, segment_entry);
	return true;
}

static bool checkpoint_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	uint64_t epoch;

	if (!S_ISREG(st->st_mode) || !number_and(name, "", &epoch) || epoch == 0)
		return false;
	keep_greatest(&w->walk->checkpoints_last, epoch);
	return true;
}

static bool key_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	uint64_t epoch;

	if (!S_ISREG(st->st_mode))
		return false;
	if (strcmp(name, "origin.pub") == 0)
		return true;
	if (!number_and(name, ".pub", &epoch) || epoch == 0)
		return false;
	keep_greatest(&w->walk->keys_last, epoch);
	return true;
}

static bool source_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	uint64_t index;

	if (!S_ISREG(st->st_mode) || !number_and(name, ".extra.jsonl.zst", &index) || index >= SOURCES_MAX)
		return false;
	w->walk->extra[index] = true;
	return true;
}

static bool flows_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	struct walked_flows *f = &w->walk->flows;
	uint32_t number;

	if (!S_ISREG(st->st_mode) || !flow_file_number(name, &number))
		return false;
	if (f->count == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		uint32_t *more = f->count < FLOW_FILES_MAX ? realloc(f->list, cap * sizeof(*more)) : NULL;

		if (!more) {
			report_errno(w->report, "flows", f->count < FLOW_FILES_MAX ? -ENOMEM : -EFBIG);
			return true;
		}
		f->list = more;
		f->cap = cap;
	}
	f->list[f->count++] = number;
	return true;
}

static bool top_entry(struct walker *w, int dirfd, const char *name, const struct stat *st)
{
	static const struct {
		const char *name;
		entry_fn *entry;
	} dirs[] = {{"checkpoints", checkpoint_entry}, {"keys", key_entry}, {"segments", lane_entry},
	        {"sources", source_entry}, {"flows", flows_entry}};

	if (S_ISDIR(st->st_mode)) {
		for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
			if (strcmp(name, dirs[i].name) == 0) {
				walk_dir(w, dirfd, name, dirs[i].entry);
				return true;
			}
		}
		return strcmp(name, "index") == 0;
	}
	if (!S_ISREG(st->st_mode))
		return false;
	if (strcmp(name, "recovery.json") == 0) {
		w->walk->recovery = true;
		return true;
	}
	if (strcmp(name, "checkpoint.tmp") == 0) {
		w->walk->checkpoint_tmp = true;
		return true;
	}
	return strcmp(name, "ledger.jsonl") == 0 || strcmp(name, "checkpoint") == 0 || strcmp(name, "salts.key") == 0;
}

static void walk_place(struct walker *w, const struct segment_place *place)
{
	w->label = place->name;
	w->place++;
	if (place->fd >= 0)
		walk_dir(w, place->fd, ".", lane_entry);
	else if (place->fd == -EMEDIUMTYPE)
		report_add(w->report, VERDICT_INVALID, "not-a-regular-file", place->name,
		        "a directory of this recording's segments, reached without links", "a link or a file");
	else if (place->fd != -ENODATA)
		report_add(w->report, VERDICT_UNREADABLE, "unreadable", place->name, "a readable directory",
		        strerror(-place->fd));
}

void recording_walk(const struct recording_dir *dir, struct recording_walk *walk, struct verify_report *report)
{
	struct walker w = {.walk = walk, .report = report};

	memset(walk, 0, sizeof(*walk));
	walk_dir(&w, dir->fd, ".", top_entry);
	for (unsigned i = 0; i < dir->place_count; i++)
		walk_place(&w, &dir->place[i]);
	for (unsigned i = 0; i < LANES_MAX; i++)
		if (walk->lane_twice[i])
			report_add(report, VERDICT_UNREADABLE, "lane-twice", NOTE("segments/%u", i),
			        "a lane's segments in one of the directories", "in two of those that you gave");
}

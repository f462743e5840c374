// SPDX-License-Identifier: Apache-2.0
// Copies of the recordings in tests/vectors, to be changed and verified. One process, a temporary directory.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sensor/evidence/keys.h"
#include "sensor/evidence/reader/verify.h"

#define PATH_ROOM 512

// tests/vectors/NAME, found from where this file was when it was compiled.
static inline const char *vector_path(const char *name, char out[PATH_ROOM])
{
	const char *slash = strrchr(__FILE__, '/');

	snprintf(out, PATH_ROOM, "%.*s/../vectors/%s", (int)(slash - __FILE__), __FILE__, name);
	return out;
}

struct fixture {
	char dir[64]; // dir/recording
	uint8_t origin[ED25519_KEY_LEN];
};

static inline void shell(const char *format, ...)
{
	char command[4 * PATH_ROOM];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static inline void fixture_make(struct fixture *f, const char *vector)
{
	char path[PATH_ROOM], origin[PATH_ROOM + 16];
	int fd;

	strcpy(f->dir, "/tmp/sealtap-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	vector_path(vector, path);
	shell("cp -R '%s/recording' %s/recording", path, f->dir);
	snprintf(origin, sizeof(origin), "%s/origin.pub", path);
	fd = open(origin, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(public_key_read_fd(fd, origin, f->origin, NULL), 0);
	close(fd);
}

static inline void fixture_remove(struct fixture *f)
{
	shell("rm -rf %s", f->dir);
}

static inline struct verify_report *fixture_verify(const struct fixture *f, bool with_origin)
{
	struct verify_options options = {.origin = with_origin ? f->origin : NULL, .threads = 1};
	struct verify_report *report;
	char path[PATH_ROOM];
	struct recording_dir dir;

	snprintf(path, sizeof(path), "%s/recording", f->dir);
	assert_int_equal(recording_open(path, NULL, 0, &dir), 0);
	assert_int_equal(verify_recording(&dir, &options, &report), 0);
	recording_close(&dir);
	return report;
}

static inline bool has_finding(const struct verify_report *r, const char *code)
{
	for (size_t i = 0; i < r->finding_count; i++)
		if (strcmp(r->findings[i].code, code) == 0)
			return true;
	return false;
}

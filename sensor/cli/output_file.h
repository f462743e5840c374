// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name when all of it is written, and not before: nothing is left behind by a failure,
// nor by a kill where the file system has O_TMPFILE. Nothing that exists is overwritten. One thread.
#pragma once

#include <stdbool.h>

struct output_file {
	const char *path; // borrowed
	int fd;
	bool named; // under its name already, for want of O_TMPFILE
};

// 0, -EEXIST, or another negative errno.
int output_file_open(struct output_file *f, const char *path);
// Syncs, and gives it its name: 0 or a negative errno, and then there is none.
int output_file_keep(struct output_file *f);
void output_file_discard(struct output_file *f);

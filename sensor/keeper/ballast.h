// SPDX-License-Identifier: Apache-2.0
// Space that the keeper holds back for itself in a file without a name: on a full disk it is dropped piece by piece, so
// that the last checkpoints can still be written. Keeper's one thread.
#pragma once

#include <stdint.h>

struct ballast {
	int fd; // -1: this file system has no nameless files, or no room
	uint64_t bytes;
};

void ballast_take(struct ballast *b, int dir_fd);
void ballast_drop(struct ballast *b); // a piece of it; nothing when there is none left
void ballast_free(struct ballast *b);

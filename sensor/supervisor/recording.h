// SPDX-License-Identifier: Apache-2.0
// The recording's directory: made before anything else, given to the roles' users, at the end to its owner.
#pragma once

#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"
#include "sensor/ipc/job.h"

// A directory on another disk. Until the recording has an id it has a name of its own.
struct recording_place {
	int parent_fd;
	int fd;
	int look_fd; // O_PATH
	char name[88];
};

struct recording {
	int dir_fd;
	int segments_fd;
	int sources_fd;
	int flows_fd; // -1: flows are not logged
	unsigned place_count;
	struct recording_place place[JOB_PLACES_MAX - 1];
	uint64_t device; // of dir_fd
	uint64_t inode;
	char path[1024]; // without links and dots, where that fits
};

// -EEXIST when there is anything under that name already: an existing recording is never a target.
int recording_make(const struct job *job, struct recording *ret_recording, struct error *e);
// The recording has its id: names the directories on other disks after it, and says where they are.
void recording_named(const struct job *job, struct recording *r, const uint8_t id[DIGEST_LEN]);
// Takes the directory away again, if nothing was ever recorded in it.
void recording_unmake(const struct job *job, struct recording *r);
// Hands the finished recording to the operator.
void recording_hand_over(const struct job *job, struct recording *r);

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/recorder/recorder.h"

// Durable, for what has been given up shall not come back with a power cut, and its space is wanted now.
static int remove_file(const struct place *p, uint32_t lane, uint32_t number)
{
	char name[32];
	int fd, r = 0;

	snprintf(name, sizeof(name), "%u", lane);
	fd = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "%08u.pcapng.zst", number);
	// A recorder before this one may have removed it and died before it could say so.
	if ((unlinkat(fd, name, 0) < 0 && errno != ENOENT) || fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

// The reserve is reached and nothing is left that may go: there is room to end in good order.
static int no_room(struct recorder *r, struct place *p, uint64_t free)
{
	const struct job *job = r->job;
	const char *why = job->keep_bytes || job->keep_ns ? ", and no complete segment is left to retire" : "";
	char what[200];

	if (atomic_load(&r->stop) != STOP_NONE)
		return 0;
	p->retention.on = false;
	snprintf(what, sizeof(what), "the disk has %llu MiB free, less than the %llu MiB of --min-free%s",
	        (unsigned long long)free >> 20, (unsigned long long)job->min_free >> 20, why);
	return recorder_place_lost(p, r, STOP_DISK_FULL, what);
}

int retention_turn(struct recorder *r, struct place *p, bool full)
{
	struct retention *t = &p->retention;
	struct wire_retire request = t->removed;
	union wire_message answer;
	int result;

	if (!t->on)
		return 0;
	request.place = p->index;
	result = keeper_call(r, WIRE_RETIRE, &request, sizeof(request), sizeof(answer.retire), &answer);
	if (result < 0)
		return result;
	t->removed.what = WIRE_RETIRE_NOTHING;
	if (answer.retire.what == WIRE_RETIRE_NO_ROOM)
		return full ? 0 : no_room(r, p, answer.retire.free);
	if (answer.retire.what != WIRE_RETIRE_REMOVE)
		return 0;
	result = remove_file(p, answer.retire.lane, answer.retire.number);
	if (result < 0) {
		// Not to remove what the policy says must go is no choice, nor is going on to say that it went.
		t->on = false;
		fprintf(stderr, "sealtap: segment %u of lane %u cannot be removed: %s: recording ends\n",
		        answer.retire.number, answer.retire.lane, strerror(-result));
		recorder_stop(r, STOP_DISK_ERROR);
		return keeper_incident(r, "disk-error", "segment %u of lane %u is retired and cannot be removed: %s",
		        answer.retire.number, answer.retire.lane, strerror(-result));
	}
	t->removed = answer.retire;
	atomic_fetch_add(&t->removals, 1);
	return answer.retire.soon;
}

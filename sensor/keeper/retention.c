// SPDX-License-Identifier: Apache-2.0
// docs/evidence-format.md, `retire`: the record is signed and on the disk before the recorder hears which segment it
// is.
#include "sensor/keeper/retention.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "sensor/ipc/roles.h"
#include "sensor/keeper/keeper.h"

static unsigned places(const struct keeper *k)
{
	return k->job->places ? k->job->places : 1;
}

void keeper_retention_free(struct keeper *k)
{
	for (unsigned i = 0; i < JOB_PLACES_MAX; i++)
		free(k->retention.place[i].sealed);
	free(k->retention.flows);
}

int keeper_retention_sealed(struct keeper *k, const struct wire_seal *s)
{
	struct sealed_queue *t = &k->retention.place[s->state.lane % places(k)];
	struct sealed_segment *at;

	if (!k->job->keep_bytes && !k->job->keep_ns)
		return 0;
	if (t->first + t->count == t->cap && t->first > t->cap / 2) {
		memmove(t->sealed, t->sealed + t->first, t->count * sizeof(*t->sealed));
		t->first = 0;
	} else if (t->first + t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct sealed_segment *more = realloc(t->sealed, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->sealed = more;
		t->cap = cap;
	}
	at = &t->sealed[t->first + t->count++];
	*at = (struct sealed_segment){.lane = s->state.lane,
	        .number = s->state.number,
	        .bytes = s->state.bytes,
	        .packets = s->state.packets,
	        .boot_ns = k->clock.last_boot_ns,
	        .order = k->retention.sealed_count++};
	memcpy(at->sha256, s->sha256, DIGEST_LEN);
	k->retention.sealed_bytes += at->bytes;
	return 0;
}

// Of all segments that are there: complete ones, and as much of the others as is signed.
static uint64_t stored_bytes(const struct keeper *k)
{
	uint64_t sum = k->retention.sealed_bytes;

	for (unsigned i = 0; i < k->lane_count; i++)
		for (unsigned n = 0; n < k->lanes[i].open_count; n++)
			sum += k->lanes[i].open[n].progress.bytes;
	return sum;
}

static uint64_t free_bytes(const struct keeper *k, unsigned place)
{
	int fd = place == 0 ? k->dir_fd : KEEPER_PLACES_FD(k->job->flows) + (int)place - 1;
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
}

// What is kept is counted over all disks: of them all the oldest goes.
static bool oldest_of_all(const struct keeper *k, const struct sealed_segment *s)
{
	for (unsigned i = 0; i < places(k); i++) {
		const struct sealed_queue *t = &k->retention.place[i];

		if (t->count > 0 && t->sealed[t->first].order < s->order)
			return false;
	}
	return true;
}

// Why the oldest complete segment of a disk is to go, or NULL.
static const char *reason_for(const struct keeper *k, const struct sealed_segment *oldest, uint64_t free)
{
	const struct job *job = k->job;
	struct clock_now now;

	clock_read(&now);
	if (job->keep_bytes && stored_bytes(k) > job->keep_bytes && oldest_of_all(k, oldest))
		return "keep-size";
	if (job->keep_ns && now.boot_ns - oldest->boot_ns >= job->keep_ns && oldest_of_all(k, oldest))
		return "keep-time";
	return free < job->min_free ? "min-free" : NULL;
}

static int retire_oldest(struct keeper *k, struct sealed_queue *t, const char *reason, uint64_t free)
{
	const struct sealed_segment *oldest = &t->sealed[t->first];
	int r = keeper_record_retire(k, oldest, reason, free);

	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0)
		return r;
	t->removing = true;
	t->lane = oldest->lane;
	t->number = oldest->number;
	k->status.retired_segments++;
	k->status.retired_packets += oldest->packets;
	k->retention.sealed_bytes -= oldest->bytes;
	t->first++;
	t->count--;
	return 0;
}

int keeper_retire(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_retire *request = &m->retire;
	struct sealed_queue *t;
	struct wire_retire answer = {.what = WIRE_RETIRE_NOTHING};
	int r = 0;

	if (request->place >= places(k))
		return -EPROTO;
	t = &k->retention.place[request->place];
	if (request->what == WIRE_RETIRE_REMOVE) {
		if (!t->removing || request->lane != t->lane || request->number != t->number)
			return -EPROTO;
		t->removing = false;
	} else if (request->what != WIRE_RETIRE_NOTHING) {
		return -EPROTO;
	}
	answer.free = k->job->min_free ? free_bytes(k, request->place) : UINT64_MAX;
	// A recorder that died before it removed the file leaves that to its successor.
	if (!t->removing && t->count > 0) {
		const char *reason = reason_for(k, &t->sealed[t->first], answer.free);

		r = reason ? retire_oldest(k, t, reason, answer.free) : 0;
		// Some file systems take a moment to give space back: more must not go for space that is on its way.
		answer.soon = reason && strcmp(reason, "min-free") != 0;
	} else if (!t->removing && answer.free < k->job->min_free) {
		answer.what = WIRE_RETIRE_NO_ROOM;
	}
	if (r < 0)
		return r;
	if (t->removing)
		answer.what = WIRE_RETIRE_REMOVE;
	answer.lane = t->lane;
	answer.number = t->number;
	return wire_send(fd, WIRE_RETIRE, &answer, sizeof(answer), -1);
}

int keeper_retention_flows(struct keeper *k, const struct wire_flows *f)
{
	struct retention *t = &k->retention;

	if (!k->job->keep_bytes && !k->job->keep_ns)
		return 0;
	if (t->flows_count == t->flows_cap) {
		size_t cap = t->flows_cap ? 2 * t->flows_cap : 64;
		struct sealed_flows *more = realloc(t->flows, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->flows = more;
		t->flows_cap = cap;
	}
	t->flows[t->flows_count] =
	        (struct sealed_flows){.number = f->number, .bytes = f->bytes, .order = t->sealed_count};
	memcpy(t->flows[t->flows_count++].sha256, f->sha256, DIGEST_LEN);
	return 0;
}

// Whether every segment that was complete before this file was given up.
static bool segments_gone(const struct keeper *k, const struct sealed_flows *f)
{
	for (unsigned i = 0; i < places(k); i++) {
		const struct sealed_queue *t = &k->retention.place[i];

		if (t->count > 0 && t->sealed[t->first].order < f->order)
			return false;
	}
	return k->status.retired_segments > 0;
}

int keeper_retire_flows(struct keeper *k)
{
	struct retention *t = &k->retention;
	int r = 0, retired = 0;

	// The newest one stays: somebody may be about to read it.
	for (; r == 0 && t->flows_first + 1 < t->flows_count && segments_gone(k, &t->flows[t->flows_first]); retired++)
		r = keeper_record_retire_flows(k, &t->flows[t->flows_first++]);
	if (r == 0 && retired > 0)
		r = keeper_checkpoint(k, true);
	if (r == 0 && retired > 0)
		t->flows_gone = t->flows[t->flows_first - 1].number + 1;
	return r;
}

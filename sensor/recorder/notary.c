// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/notary.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/recorder/clock.h"

#define JOBS 16u
#define RETENTION_NS 1000000000ULL // how often age and free space are looked at; besides after every seal

struct notary {
	struct recorder *recorder;
	struct place *place;
	bool broken;       // a sync failed: nothing more is claimed about files
	struct ring queue; // writer -> notary
	struct ring spare; // notary -> writer
	struct doorbell bell;
	struct doorbell spare_bell;
	uint64_t retention_at_ns;
	_Atomic bool room_asked;
	_Atomic bool finish;
	_Atomic uint64_t worst_ns;
	struct notary_job job[JOBS];
};

int notary_new(struct recorder *r, struct place *place, struct notary **ret_notary)
{
	struct notary *n = aligned_alloc(64, (sizeof(*n) + 63) / 64 * 64);

	if (!n)
		return -ENOMEM;
	memset(n, 0, sizeof(*n));
	n->recorder = r;
	n->place = place;
	if (ring_init(&n->queue, JOBS) < 0 || ring_init(&n->spare, JOBS) < 0) {
		notary_free(n);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < JOBS; i++)
		ring_push(&n->spare, i);
	*ret_notary = n;
	return 0;
}

void notary_free(struct notary *n)
{
	if (!n)
		return;
	ring_free(&n->queue);
	ring_free(&n->spare);
	free(n);
}

struct notary_job *notary_job_take(struct notary *n)
{
	uint32_t id;

	for (;;) {
		uint32_t seen = doorbell_read(&n->spare_bell);

		if (ring_pop(&n->spare, &id)) {
			memset(&n->job[id], 0, sizeof(n->job[id]));
			return &n->job[id];
		}
		if (atomic_load(&n->recorder->stop) == STOP_FAILED)
			return NULL;
		doorbell_wait(&n->spare_bell, seen, 100);
	}
}

void notary_job_give(struct notary *n, struct notary_job *job)
{
	if (!ring_push(&n->queue, (uint32_t)(job - n->job)))
		abort(); // the ring has room for every job
	doorbell_ring(&n->bell);
}

bool notary_make_room(struct notary *n, uint64_t removals)
{
	struct notary_job *job = notary_job_take(n);

	if (!job)
		return false;
	job->kind = NOTARY_ROOM;
	atomic_store(&n->room_asked, true);
	notary_job_give(n, job);
	for (;;) {
		uint32_t seen = doorbell_read(&n->spare_bell); // rung after every job

		if (!atomic_load(&n->room_asked))
			return atomic_load(&n->place->retention.removals) > removals;
		doorbell_wait(&n->spare_bell, seen, 100);
	}
}

void notary_finish(struct notary *n)
{
	atomic_store(&n->finish, true);
	doorbell_ring(&n->bell);
}

uint64_t notary_worst_sync_ns(struct notary *n)
{
	return atomic_exchange(&n->worst_ns, 0);
}

static int sync_all(struct notary *n, const struct notary_job *job)
{
	for (unsigned i = 0; i < job->fd_count; i++) {
		uint64_t start = monotonic_ns(), took;

		if (fdatasync(job->fd[i]) < 0)
			return -errno;
		took = monotonic_ns() - start;
		if (took > atomic_load(&n->worst_ns))
			atomic_store(&n->worst_ns, took);
	}
	return 0;
}

static int perform(struct notary *n, struct notary_job *job)
{
	struct recorder *r = n->recorder;
	union wire_message answer;
	char what[128];
	int result = n->broken ? 0 : sync_all(n, job);

	if (result < 0) {
		// What could not be made durable is not claimed; nor is anything behind it, for a lane has no holes.
		n->broken = true;
		segment_table_stop(r->segments, n->place->index, true);
		snprintf(what, sizeof(what), "the disk does not sync: %s", strerror(-result));
		return recorder_place_lost(n->place, r, STOP_DISK_ERROR, what);
	}
	if (job->kind == NOTARY_ROOM) {
		result = n->broken ? 0 : retention_turn(r, n->place, true);
		atomic_store(&n->room_asked, false);
		return result;
	}
	if (n->broken && job->kind != NOTARY_LOSS && job->kind != NOTARY_SHUNT)
		return 0;
	switch (job->kind) {
	case NOTARY_PROGRESS:
		job->progress.sync_ns_max = notary_worst_sync_ns(n);
		return keeper_call(
		        r, WIRE_PROGRESS, &job->progress, sizeof(job->progress), sizeof(answer.plain), &answer);
	case NOTARY_SEAL:
		result = keeper_call(r, WIRE_SEAL, &job->seal, sizeof(job->seal), sizeof(answer.plain), &answer);
		segment_table_ended(r->segments, job->seal.state.lane, job->seal.state.number);
		for (unsigned i = 0; i < r->sealer_count; i++) // one may wait for it
			doorbell_ring(&r->sealer[i].bell);
		return result;
	case NOTARY_LOSS:
		return keeper_call(r, WIRE_LOSS, &job->loss, sizeof(job->loss), sizeof(answer.plain), &answer);
	case NOTARY_SHUNT:
		return keeper_call(r, WIRE_SHUNT, &job->shunt, sizeof(job->shunt), sizeof(answer.plain), &answer);
	case NOTARY_ROOM:
		break;
	}
	return -EINVAL;
}

// One segment at a time, so that jobs do not wait longer. true: another one may have to go.
static bool retire_if_due(struct notary *n)
{
	uint64_t now = monotonic_ns();
	int r;

	if (n->broken || now < n->retention_at_ns)
		return false;
	r = retention_turn(n->recorder, n->place, false);
	if (r < 0)
		recorder_stop(n->recorder, STOP_FAILED);
	n->retention_at_ns = r > 0 ? now : now + RETENTION_NS;
	return r > 0;
}

void *notary_main(void *arg)
{
	struct notary *n = arg;

	cores_enter(n->recorder, "notary", n->recorder->place_count > 1 ? (int)n->place->index : -1, NULL, false);
	for (;;) {
		uint32_t seen = doorbell_read(&n->bell), id;
		bool last = atomic_load(&n->finish);

		if (ring_pop(&n->queue, &id)) {
			struct notary_job *job = &n->job[id];

			if (perform(n, job) < 0)
				recorder_stop(n->recorder, STOP_FAILED);
			if (job->kind == NOTARY_SEAL) {
				close(job->fd[0]);
				n->retention_at_ns = 0;
			}
			ring_push(&n->spare, id);
			doorbell_ring(&n->spare_bell);
			retire_if_due(n);
			continue;
		}
		if (retire_if_due(n))
			continue;
		if (last)
			return NULL;
		doorbell_wait(&n->bell, seen, 100);
	}
}

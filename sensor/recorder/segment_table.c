// SPDX-License-Identifier: Apache-2.0
// Which segments have begun, and their salt keys. Sealers ask once per block; the first to need a segment begins it
// with the keeper, so that the `begin` line is signed and on the disk before the segment's first byte.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/recorder/recorder.h"

#define OPEN_SEGMENTS 4u // per lane; the keeper permits no more

struct table_lane {
	uint32_t next;   // number that will begin next
	uint32_t oldest; // all below have ended
	struct commit_segment segment[OPEN_SEGMENTS];
};

struct segment_table {
	pthread_mutex_t mutex;
	pthread_cond_t ended;
	int keeper_fd;
	pthread_mutex_t *keeper_mutex;
	const struct pool *pool;
	uint32_t lanes; // lanes below have begun at least one segment
	bool failed;
	unsigned places;
	bool stopped[JOB_PLACES_MAX]; // of a disk: no new segments but to end a lane
	bool broken[JOB_PLACES_MAX];  // and not even that: nothing can be sealed any more
	struct table_lane lane[LANES_MAX];
};

int segment_table_new(struct segment_table **ret_table, int keeper_fd, pthread_mutex_t *keeper_mutex,
        const struct pool *pool, unsigned places)
{
	struct segment_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->ended, NULL);
	t->keeper_fd = keeper_fd;
	t->keeper_mutex = keeper_mutex;
	t->pool = pool;
	t->places = places;
	*ret_table = t;
	return 0;
}

void segment_table_free(struct segment_table *t)
{
	if (!t)
		return;
	explicit_bzero(t->lane, sizeof(t->lane));
	free(t);
}

void segment_table_resume(struct segment_table *t, uint32_t lane, uint32_t next_number)
{
	t->lane[lane].next = next_number;
	t->lane[lane].oldest = next_number;
	if (lane >= t->lanes && next_number > 0) // else the keeper has not heard of it
		t->lanes = lane + 1;
}

static int begin(struct segment_table *t, uint32_t lane)
{
	const struct pool_lane *is = &t->pool->shared->lane[lane];
	uint32_t number = t->lane[lane].next;
	struct commit_segment *segment = &t->lane[lane].segment[number % OPEN_SEGMENTS];
	struct wire_begin request = {
	        .lane = lane, .number = number, .source = is->source, .linktype = is->linktype, .snaplen = is->snaplen};
	union wire_message answer;
	int r;

	memcpy(request.interface, is->interface, sizeof(request.interface));
	pthread_mutex_lock(t->keeper_mutex);
	r = wire_send(t->keeper_fd, WIRE_BEGIN, &request, sizeof(request), -1);
	if (r == 0)
		r = wire_expect(t->keeper_fd, WIRE_BEGIN, sizeof(answer.begin_answer), &answer);
	pthread_mutex_unlock(t->keeper_mutex);
	if (r < 0)
		return r;
	segment_id(answer.begin_answer.recording_id, lane, number, segment->id);
	memcpy(segment->salt_key, answer.begin_answer.salt_key, DIGEST_LEN);
	segment->lane = lane;
	segment->linktype = is->linktype;
	t->lane[lane].next++;
	return 0;
}

// With the mutex held: until the lane has begun that segment. `even` when nothing is begun any more otherwise; it then
// waits for older segments to end.
static int begin_until(struct segment_table *t, uint32_t lane, uint32_t number, bool even)
{
	const bool *stopped = &t->stopped[lane % t->places];
	int r = 0;

	// Lanes begin in the order of their numbers, whichever sealer comes first.
	while (r == 0 && t->lanes < lane && (even || !*stopped)) {
		r = begin(t, t->lanes);
		t->lanes++;
	}
	if (t->lanes == lane && (even || !*stopped))
		t->lanes++;
	while (r == 0 && !t->failed && t->lane[lane].next <= number) {
		if (t->broken[lane % t->places] || (*stopped && !even))
			return -ENOSPC;
		if (t->lane[lane].next - t->lane[lane].oldest < OPEN_SEGMENTS)
			r = begin(t, lane);
		else if (even)
			pthread_cond_wait(&t->ended, &t->mutex);
		else
			return -EAGAIN;
	}
	if (t->failed)
		r = -EPIPE;
	if (r < 0) {
		t->failed = true;
		pthread_cond_broadcast(&t->ended);
	}
	return r;
}

int segment_table_get(struct segment_table *t, uint32_t lane, uint32_t number, struct commit_segment *ret_segment)
{
	int r;

	pthread_mutex_lock(&t->mutex);
	r = begin_until(t, lane, number, false);
	if (r == 0)
		*ret_segment = t->lane[lane].segment[number % OPEN_SEGMENTS];
	pthread_mutex_unlock(&t->mutex);
	return r;
}

void segment_table_stop(struct segment_table *t, unsigned place, bool broken)
{
	pthread_mutex_lock(&t->mutex);
	t->stopped[place] = true;
	t->broken[place] = t->broken[place] || broken;
	pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->mutex);
}

int segment_table_begun(struct segment_table *t, uint32_t lane, uint32_t at_least, uint32_t *ret_next)
{
	int r = 0;

	pthread_mutex_lock(&t->mutex);
	if (at_least == t->lane[lane].next)
		r = begin_until(t, lane, at_least, true);
	if (t->broken[lane % t->places])
		r = -ENOSPC;
	*ret_next = t->lane[lane].next;
	pthread_mutex_unlock(&t->mutex);
	return r;
}

void segment_table_ended(struct segment_table *t, uint32_t lane, uint32_t number)
{
	pthread_mutex_lock(&t->mutex);
	t->lane[lane].oldest = number + 1;
	pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->mutex);
}

// SPDX-License-Identifier: Apache-2.0
// One run of the recorder on these disks and sources, with this keeper. Main thread.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/pipeline_world.h"

static void place(int from, int to)
{
	assert_true(dup2(from, to) == to);
	close(from);
}

static struct job *prepare(const struct shape *shape)
{
	struct job *job = job_new(shape->interfaces);
	struct error e = {0};
	int pair[2], pool;

	assert_non_null(job);
	memset(&told, 0, offsetof(struct told, lane));
	memset(told.lane, 0, sizeof(told.lane));
	strcpy(disks.directory, "/tmp/sealtap-pipeline.XXXXXX");
	assert_non_null(mkdtemp(disks.directory));
	job->kind = JOB_CAPTURE;
	job->sealers = shape->sealers;
	job->pool_blocks = shape->blocks;
	job->segment_bytes = shape->segment_bytes;
	job->segment_ns = 3600 * 1000000000ULL;
	job->flush_ms = shape->flush_ms;
	job->keep_bytes = shape->keep;
	told.keep = shape->keep;
	job->level = -5;
	strcpy(job->driver, "afpacket"); // its open is ours
	for (unsigned i = 0; i < shape->interfaces; i++)
		snprintf(job->source[i].name, sizeof(job->source[i].name), "%u", i);
	// Out of the way of the places, which are low.
	for (int fd = 3; fd < RECORDER_PLACES_FD(false) + (int)JOB_PLACES_MAX; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			assert_true(dup2(STDERR_FILENO, fd) == fd);
	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(pool_create(shape->blocks, false, &pool, &e), 0);
	place(pair[1], RECORDER_KEEPER_FD);
	place(pool, RECORDER_POOL_FD);
	place(open(disks.directory, O_RDONLY | O_DIRECTORY), RECORDER_SEGMENTS_FD);
	job->places = shape->disks;
	for (unsigned i = 1; i < shape->disks; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/disk%u", disks.directory, i);
		assert_int_equal(mkdir(path, 0700), 0);
		place(open(path, O_RDONLY | O_DIRECTORY), RECORDER_PLACES_FD(false) + (int)i - 1);
	}
	disks.count = shape->disks;
	plan.single = disks.count > 1;
	told.fd = pair[0];
	return job;
}

static void tick(struct recorder *r, void *context)
{
	uint64_t *stop_at = context, recorded = 0;
	struct wire_lane lane;

	for (uint32_t i = 0; i < LANES_ALL; i++) // as the main program does
		if (writer_lane(place_of(r, i)->writer, i, &lane)) {
			assert_true(lawful(&lane.counters));
			recorded += lane.counters.recorded;
		}
	if (stop_at && recorded >= *stop_at)
		recorder_stop(r, STOP_SIGNAL);
	poll(NULL, 0, 1);
}

int run(const struct shape *shape, unsigned requests_max, uint64_t *stop_at, int *ret_stop)
{
	struct job *job = prepare(shape);
	static struct recorder r;
	struct error e = {0};
	int result;

	told.requests_max = requests_max;
	plan.queues = shape->queues;
	assert_int_equal(pthread_create(&told.thread, NULL, keeper_main, NULL), 0);
	result = recorder_open(&r, job, &e);
	if (result < 0)
		fail_msg("%s", e.text);
	result = recorder_run(&r, shape->tick ? shape->tick : tick, stop_at, &e);
	*ret_stop = atomic_load(&r.stop);
	recorder_free(&r);
	close(RECORDER_KEEPER_FD);
	pthread_join(told.thread, NULL);
	close(RECORDER_POOL_FD);
	free(job);
	return result;
}

void clean(void)
{
	char command[128];

	if (!disks.directory[0])
		return;
	snprintf(command, sizeof(command), "rm -rf %s", disks.directory);
	assert_int_equal(system(command), 0);
	disks.directory[0] = '\0';
	close(RECORDER_SEGMENTS_FD);
	for (unsigned i = 1; i < disks.count; i++)
		close(RECORDER_PLACES_FD(false) + (int)i - 1);
}

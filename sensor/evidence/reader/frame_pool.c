// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/frame_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "sensor/evidence/digest.h"

#define THREADS_MAX 256u

struct slot {
	uint8_t *stored;
	size_t stored_cap;
	uint8_t *content; // FRAME_RAW_MAX bytes
	struct zstd_frame frame;
	struct frame_result result;
	bool done;
};

// All counters are under the lock. Slot of frame k: slots[k % slot_count]; collected <= chained, taken <= submitted.
struct frame_pool {
	pthread_mutex_t lock;
	pthread_cond_t work, chain, done;
	const struct frame_segment *segment;
	uint64_t submitted, taken, chained, collected;
	uint64_t packets; // of all chained frames
	bool stop;
	struct slot *slots;
	unsigned slot_count;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
};

struct worker_tools {
	ZSTD_DCtx *dctx;
	struct commit *commit;
};

static void work_on(struct frame_pool *pool, struct worker_tools *tools, uint64_t index)
{
	const struct frame_segment *segment = pool->segment;
	struct slot *slot = &pool->slots[index % pool->slot_count];
	uint64_t first;

	if (tools->dctx && tools->commit)
		frame_open(tools->dctx, segment, index, slot->stored, &slot->frame, slot->content, &slot->result);
	else
		slot->result = (struct frame_result){.status = -ENOMEM, .reason = "no memory"};

	// Every frame passes here in order, also a bad one, so that nobody waits for ever.
	pthread_mutex_lock(&pool->lock);
	while (pool->chained != index)
		pthread_cond_wait(&pool->chain, &pool->lock);
	first = pool->packets;
	pool->packets += slot->result.packets;
	pool->chained++;
	pthread_cond_broadcast(&pool->chain);
	pthread_mutex_unlock(&pool->lock);

	if (slot->result.status == 0)
		frame_commit(tools->commit, segment, first, slot->content, slot->frame.content, &slot->result);

	pthread_mutex_lock(&pool->lock);
	slot->done = true;
	pthread_cond_signal(&pool->done);
	pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg)
{
	struct frame_pool *pool = arg;
	struct worker_tools tools = {.dctx = ZSTD_createDCtx()};

	if (commit_new(&tools.commit) < 0)
		tools.commit = NULL;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		uint64_t index;

		while (!pool->stop && pool->taken == pool->submitted)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (pool->stop)
			break;
		index = pool->taken++;
		pthread_mutex_unlock(&pool->lock);
		work_on(pool, &tools, index);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	commit_free(tools.commit);
	ZSTD_freeDCtx(tools.dctx);
	return NULL;
}

static unsigned cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

int frame_pool_new(unsigned threads, struct frame_pool **ret_pool)
{
	struct frame_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	if (threads == 0)
		threads = cores();
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->chain, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->slot_count = 2 * threads;
	pool->slots = calloc(pool->slot_count, sizeof(*pool->slots));
	if (!pool->slots || digest_init() < 0) {
		frame_pool_free(pool);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < threads; i++) {
		if (pthread_create(&pool->threads[i], NULL, worker_main, pool) != 0)
			break;
		pool->thread_count++;
	}
	if (pool->thread_count == 0) {
		frame_pool_free(pool);
		return -EAGAIN;
	}
	*ret_pool = pool;
	return 0;
}

void frame_pool_free(struct frame_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	for (unsigned i = 0; pool->slots && i < pool->slot_count; i++) {
		free(pool->slots[i].stored);
		free(pool->slots[i].content);
	}
	free(pool->slots);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->chain);
	pthread_cond_destroy(&pool->done);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void frame_pool_start(struct frame_pool *pool, const struct frame_segment *segment)
{
	pthread_mutex_lock(&pool->lock);
	pool->segment = segment;
	pool->submitted = pool->taken = pool->chained = pool->collected = 0;
	pool->packets = 0;
	pthread_mutex_unlock(&pool->lock);
}

int frame_pool_submit(struct frame_pool *pool, const uint8_t *data, const struct zstd_frame *frame)
{
	struct slot *slot;

	// submitted and collected change on this thread only.
	if (pool->submitted - pool->collected == pool->slot_count)
		return -EAGAIN;
	slot = &pool->slots[pool->submitted % pool->slot_count];
	if (slot->stored_cap < frame->stored) {
		uint8_t *bigger = realloc(slot->stored, frame->stored);

		if (!bigger)
			return -ENOMEM;
		slot->stored = bigger;
		slot->stored_cap = frame->stored;
	}
	if (!slot->content) {
		slot->content = malloc(FRAME_RAW_MAX);
		if (!slot->content)
			return -ENOMEM;
	}
	memcpy(slot->stored, data, frame->stored);
	slot->frame = *frame;
	slot->done = false;
	pthread_mutex_lock(&pool->lock);
	pool->submitted++;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

int frame_pool_collect(struct frame_pool *pool, struct frame_result *ret_result)
{
	struct slot *slot;

	if (pool->collected == pool->submitted)
		return -ENODATA;
	slot = &pool->slots[pool->collected % pool->slot_count];
	pthread_mutex_lock(&pool->lock);
	while (!slot->done)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	*ret_result = slot->result;
	pool->collected++;
	return 0;
}

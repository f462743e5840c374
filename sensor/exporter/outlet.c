// SPDX-License-Identifier: Apache-2.0
#include "sensor/exporter/outlet.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzers/flow_pack.h"

#define BATCH 64u
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000

struct item {
	struct item *next;
	size_t len;
	uint8_t packed[];
};

struct outlet {
	struct sink *sink;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	struct item *first, **last; // under the lock, as all below
	size_t bytes;
	bool finishing;
	int64_t until_ms; // of finishing
	struct outlet_stats stats;
	// Of the thread.
	struct item *batch[BATCH];
	struct flow_record record[BATCH];
	size_t batch_count;
	bool broken;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wait_until(struct outlet *o, int64_t until_ms)
{
	struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

	pthread_cond_timedwait(&o->more, &o->lock, &ts);
}

// Up to BATCH items out of the queue; false when there are none and none will come.
static bool take_batch(struct outlet *o)
{
	pthread_mutex_lock(&o->lock);
	while (!o->first && !o->finishing)
		pthread_cond_wait(&o->more, &o->lock);
	for (o->batch_count = 0; o->first && o->batch_count < BATCH; o->batch_count++) {
		struct item *item = o->first;

		o->first = item->next;
		if (!o->first)
			o->last = &o->first;
		o->bytes -= item->len;
		o->batch[o->batch_count] = item;
		// put has checked that it can be unpacked.
		flow_unpack(item->packed, item->len, &o->record[o->batch_count]);
	}
	pthread_cond_broadcast(&o->less);
	pthread_mutex_unlock(&o->lock);
	return o->batch_count > 0;
}

// One line when deliveries stop, and one when they go on.
static void count(struct outlet *o, size_t delivered, const struct error *e)
{
	if (e && !o->broken)
		fprintf(stderr, "sealtap: %s: %s; trying again\n", o->sink->name, e->text);
	else if (!e && o->broken)
		fprintf(stderr, "sealtap: %s: going on\n", o->sink->name);
	o->broken = e != NULL;
	pthread_mutex_lock(&o->lock);
	o->stats.delivered += delivered;
	if (e) {
		o->stats.breaks++;
		memcpy(o->stats.error, e->text, sizeof(o->stats.error) - 1);
	}
	pthread_mutex_unlock(&o->lock);
}

// Waits a while before the next try. False when there is no time for one.
static bool may_retry(struct outlet *o, int *retry_ms)
{
	const int64_t until = now_ms() + *retry_ms;
	bool again;

	pthread_mutex_lock(&o->lock);
	while (now_ms() < until && (!o->finishing || now_ms() < o->until_ms))
		wait_until(o, o->finishing && o->until_ms < until ? o->until_ms : until);
	again = !o->finishing || now_ms() < o->until_ms;
	pthread_mutex_unlock(&o->lock);
	*retry_ms = *retry_ms * 2 < RETRY_MAX_MS ? *retry_ms * 2 : RETRY_MAX_MS;
	return again;
}

// Until the batch is away; false when time is up.
static bool deliver_batch(struct outlet *o, bool *open)
{
	int retry_ms = RETRY_FIRST_MS;
	size_t done = 0;

	while (done < o->batch_count) {
		struct error e = {0};
		size_t n = 0;
		int r = *open ? 0 : o->sink->ops->open(o->sink, &e);

		*open = r == 0;
		if (r == 0) {
			r = o->sink->ops->deliver(o->sink, o->record + done, o->batch_count - done, &n, &e);
			done += n;
		}
		count(o, n, r < 0 ? &e : NULL);
		if (r == 0)
			continue;
		if (*open)
			o->sink->ops->close(o->sink);
		*open = false;
		if (n > 0)
			retry_ms = RETRY_FIRST_MS;
		if (!may_retry(o, &retry_ms))
			return false;
	}
	return true;
}

static void free_batch(struct outlet *o)
{
	for (size_t i = 0; i < o->batch_count; i++)
		free(o->batch[i]);
	o->batch_count = 0;
}

static void *outlet_main(void *arg)
{
	struct outlet *o = arg;
	struct error e = {0};
	uint64_t lost = 0;
	bool open = false;
	int64_t left;

	while (take_batch(o)) {
		bool away = deliver_batch(o, &open);

		free_batch(o);
		if (!away)
			break;
	}
	pthread_mutex_lock(&o->lock);
	left = o->until_ms - now_ms();
	pthread_mutex_unlock(&o->lock);
	o->sink->ops->flush(o->sink, left > 0 ? (int)left : 0, &lost, &e);
	if (open)
		o->sink->ops->close(o->sink);
	pthread_mutex_lock(&o->lock);
	o->stats.delivered -= lost;
	o->stats.lost = o->stats.taken - o->stats.dropped - o->stats.delivered;
	if (lost > 0)
		memcpy(o->stats.error, e.text, sizeof(o->stats.error) - 1);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

int outlet_new(struct sink *sink, struct outlet **ret_outlet)
{
	struct outlet *o = calloc(1, sizeof(*o));
	pthread_condattr_t attr;

	if (!o) {
		sink->ops->free(sink);
		return -ENOMEM;
	}
	o->sink = sink;
	o->last = &o->first;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->more, &attr);
	pthread_cond_init(&o->less, NULL);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&o->thread, NULL, outlet_main, o) != 0) {
		sink->ops->free(sink);
		free(o);
		return -EAGAIN;
	}
	*ret_outlet = o;
	return 0;
}

void outlet_put(struct outlet *o, const uint8_t *packed, size_t len, bool wait)
{
	struct item *item = malloc(sizeof(*item) + len);
	bool room;

	pthread_mutex_lock(&o->lock);
	o->stats.taken++;
	while (wait && o->bytes + len > OUTLET_QUEUE_BYTES)
		pthread_cond_wait(&o->less, &o->lock);
	room = item && o->bytes + len <= OUTLET_QUEUE_BYTES;
	if (room) {
		*item = (struct item){.len = len};
		memcpy(item->packed, packed, len);
		*o->last = item;
		o->last = &item->next;
		o->bytes += len;
		pthread_cond_signal(&o->more);
	} else {
		o->stats.dropped++;
	}
	pthread_mutex_unlock(&o->lock);
	if (!room)
		free(item);
}

void outlet_finish(struct outlet *o, int timeout_ms)
{
	pthread_mutex_lock(&o->lock);
	o->finishing = true;
	o->until_ms = now_ms() + timeout_ms;
	pthread_cond_broadcast(&o->more);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->thread, NULL);
}

void outlet_stats(struct outlet *o, struct outlet_stats *ret_stats)
{
	pthread_mutex_lock(&o->lock);
	*ret_stats = o->stats;
	pthread_mutex_unlock(&o->lock);
}

const char *outlet_name(const struct outlet *o)
{
	return o->sink->name;
}

void outlet_free(struct outlet *o)
{
	while (o->first) {
		struct item *item = o->first;

		o->first = item->next;
		free(item);
	}
	o->sink->ops->free(o->sink);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->more);
	pthread_cond_destroy(&o->less);
	free(o);
}

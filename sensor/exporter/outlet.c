// SPDX-License-Identifier: Apache-2.0
#include "sensor/exporter/outlet.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzers/flow_pack.h"
#include "sensor/exporter/spool.h"

#define BATCH 64u
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 5000
#define SETTLE_MS 20      // between two looks at what is settled
#define FILES_MS 200      // between two looks for what has been written
#define BEHIND_MS 1000    // between two looks at how far behind it is
#define DROP_AT_ONCE 4096 // records, before deliveries have their turn
#define COUNT_MS 3000     // for counting what nobody took

// One record, or a number of dropped ones.
struct item {
	struct item *next;
	size_t len; // 0: dropped
	uint64_t dropped;
	struct flow_position after;
	uint8_t packed[];
};

struct outlet {
	struct sink *sink;
	struct outlet_live live; // no spool: outlet_put
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	// Under the lock: what is not settled, the oldest first, and of it what is not given.
	struct item *first, **last, *newest, *give;
	size_t bytes;
	bool finishing;
	int64_t until_ms; // of finishing
	bool read_all;    // of flow files that have ended
	struct export_progress progress;
	// Of the thread.
	struct item *batch[BATCH];
	struct flow_record record[BATCH];
	bool open;
	bool finished; // the sink knows that this connection gets no more
	int retry_ms;
	int64_t behind_ms; // when it was looked at
	uint64_t malformed_before;
	uint8_t packed[FLOW_PACKED_MAX];
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// The lock is held.
static void publish(struct outlet *o)
{
	if (o->live.slot)
		export_state_put(o->live.slot, &o->progress);
}

// The lock is held.
static void append(struct outlet *o, struct item *item)
{
	*o->last = item;
	o->last = &item->next;
	o->newest = item;
	o->bytes += sizeof(*item) + item->len;
	if (!o->give && item->len > 0)
		o->give = item;
	o->progress.waiting += item->len > 0;
}

// Those that were dropped are not given. The lock is held.
static void give_from(struct outlet *o, struct item *item)
{
	while (item && item->len == 0)
		item = item->next;
	o->give = item;
}

// Removes the oldest. The lock is held.
static void pop(struct outlet *o)
{
	struct item *item = o->first;

	o->first = item->next;
	if (!o->first) {
		o->last = &o->first;
		o->newest = NULL;
	}
	if (o->give == item)
		give_from(o, item->next);
	o->bytes -= sizeof(*item) + item->len;
	o->progress.waiting -= item->len > 0;
	o->progress.dropped += item->dropped;
	o->progress.position = item->after;
	free(item);
}

// Those that were dropped are settled as soon as nothing before them waits. The lock is held.
static void pop_dropped(struct outlet *o)
{
	while (o->first && o->first->len == 0)
		pop(o);
}

static void take_settled(struct outlet *o, const struct sink_settled *settled)
{
	pthread_mutex_lock(&o->lock);
	pop_dropped(o);
	for (size_t n = settled->delivered + settled->refused; n > 0 && o->first; n--) {
		pop(o);
		pop_dropped(o);
	}
	o->progress.delivered += settled->delivered;
	o->progress.refused += settled->refused;
	if (settled->delivered + settled->refused > 0)
		o->retry_ms = RETRY_FIRST_MS;
	pthread_cond_broadcast(&o->less);
	publish(o);
	pthread_mutex_unlock(&o->lock);
}

// One line when deliveries stop, and one when they go on.
static void trouble(struct outlet *o, const struct error *e)
{
	pthread_mutex_lock(&o->lock);
	if (e && !o->progress.broken) {
		o->progress.breaks++;
		fprintf(stderr, "sealtap: %s: %s; trying again\n", o->sink->name, e->text);
	} else if (!e && o->progress.broken) {
		fprintf(stderr, "sealtap: %s: going on\n", o->sink->name);
	}
	o->progress.broken = e != NULL;
	if (e)
		snprintf(o->progress.error, sizeof(o->progress.error), "%.*s", (int)EXPORT_ERROR_MAX - 1, e->text);
	publish(o);
	pthread_mutex_unlock(&o->lock);
}

// Up to BATCH records to be given.
static size_t next_batch(struct outlet *o)
{
	size_t count = 0;

	pthread_mutex_lock(&o->lock);
	for (struct item *item = o->give; item && count < BATCH; item = item->next) {
		if (item->len == 0)
			continue;
		// put has checked that it can be unpacked.
		flow_unpack(item->packed, item->len, &o->record[count]);
		o->batch[count++] = item;
	}
	pthread_mutex_unlock(&o->lock);
	return count;
}

static void given(struct outlet *o, size_t count)
{
	if (count == 0)
		return;
	pthread_mutex_lock(&o->lock);
	give_from(o, o->batch[count - 1]->next);
	pthread_mutex_unlock(&o->lock);
}

static bool all_given(struct outlet *o)
{
	bool all;

	pthread_mutex_lock(&o->lock);
	all = !o->give;
	pthread_mutex_unlock(&o->lock);
	return all;
}

static bool all_settled(struct outlet *o)
{
	bool all;

	pthread_mutex_lock(&o->lock);
	pop_dropped(o);
	all = !o->first;
	pthread_mutex_unlock(&o->lock);
	return all;
}

static bool no_more_come(struct outlet *o)
{
	bool none;

	pthread_mutex_lock(&o->lock);
	none = o->finishing && (!o->live.spool || o->read_all);
	pthread_mutex_unlock(&o->lock);
	return none;
}

static bool is_finishing(struct outlet *o)
{
	bool finishing;

	pthread_mutex_lock(&o->lock);
	finishing = o->finishing;
	pthread_mutex_unlock(&o->lock);
	return finishing;
}

// At most so long; less when records come, or the end of them.
static void rest(struct outlet *o, int ms, bool for_records)
{
	int64_t until = now_ms() + ms;
	struct timespec ts;

	pthread_mutex_lock(&o->lock);
	if (o->finishing && o->until_ms < until)
		until = o->until_ms;
	ts = (struct timespec){.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
	while (now_ms() < until && !(for_records && (o->give || o->finishing)))
		if (pthread_cond_timedwait(&o->more, &o->lock, &ts) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&o->lock);
}

// What was not settled will be given again.
static void give_up_connection(struct outlet *o)
{
	o->sink->ops->close(o->sink);
	o->open = o->finished = false;
	pthread_mutex_lock(&o->lock);
	give_from(o, o->first);
	pthread_mutex_unlock(&o->lock);
}

// One item out of the flow files, or false.
static bool read_one(struct outlet *o, bool drop)
{
	struct flow_position after;
	bool finishing = is_finishing(o); // first: what was written before it is still read
	struct item *item;
	size_t len = 0;
	int r = spool_next(o->live.spool, o->packed, &len, &after);

	pthread_mutex_lock(&o->lock);
	o->progress.malformed = o->malformed_before + spool_malformed(o->live.spool);
	o->read_all = r == 0 && finishing;
	pthread_mutex_unlock(&o->lock);
	if (r < 0 && r != -EAGAIN && r != -EBADMSG)
		trouble(o, &(struct error){.code = r, .text = "flow files cannot be read"});
	if (r != 1)
		return r == -EAGAIN || r == -EBADMSG;
	item = malloc(sizeof(*item) + (drop ? 0 : len));
	pthread_mutex_lock(&o->lock);
	if (item && !drop) {
		*item = (struct item){.len = len, .after = after};
		memcpy(item->packed, o->packed, len);
		append(o, item);
	} else if (o->newest && o->newest->len == 0) {
		o->newest->dropped++;
		o->newest->after = after;
		free(item);
	} else if (item) {
		*item = (struct item){.dropped = 1, .after = after};
		append(o, item);
	} else {
		o->progress.dropped++;
	}
	pthread_mutex_unlock(&o->lock);
	return true;
}

// What was read has been given: on with the next ones, as far as there is room.
static void read_on(struct outlet *o)
{
	for (unsigned i = 0; i < BATCH; i++) {
		bool room;

		pthread_mutex_lock(&o->lock);
		room = o->bytes + FLOW_PACKED_MAX <= OUTLET_BYTES;
		pthread_mutex_unlock(&o->lock);
		if (!room || !read_one(o, false))
			break;
	}
}

// Looks how far behind it is; beyond the bound records that have not been read are dropped, the oldest first.
static void keep_up(struct outlet *o)
{
	uint64_t behind = spool_behind(o->live.spool);

	for (unsigned i = 0; behind > o->live.behind_max && i < DROP_AT_ONCE; i++) {
		if (!read_one(o, true))
			break;
		if (i % 64 == 63)
			behind = spool_behind(o->live.spool);
	}
	pthread_mutex_lock(&o->lock);
	pop_dropped(o);
	o->progress.behind_bytes = behind;
	publish(o);
	pthread_mutex_unlock(&o->lock);
	o->behind_ms = behind > o->live.behind_max ? 0 : now_ms();
}

// Gives a batch and takes what is settled. *ret_given: how many. 0, -EAGAIN while the sink mends something, or the
// errno after which it was closed.
static int exchange(struct outlet *o, size_t count, size_t *ret_given, struct error *e)
{
	struct sink_settled settled = {0};
	struct error late = {0};
	int r = 0, s;

	*ret_given = 0;
	if (count > 0) {
		r = o->sink->ops->give(o->sink, o->record, count, ret_given, e);
		given(o, *ret_given);
	}
	s = o->sink->ops->settle(o->sink, &settled, &late);
	take_settled(o, &settled);
	if (r == 0 || r == -EAGAIN) {
		r = s;
		*e = late;
	}
	if (r < 0 && r != -EAGAIN)
		give_up_connection(o);
	return r;
}

// One round of the thread's work. False: there is nothing to do until records come.
static bool work(struct outlet *o)
{
	size_t count, done = 0;
	struct error e = {0};
	int r = 0;

	if (o->live.spool && now_ms() - o->behind_ms >= BEHIND_MS)
		keep_up(o);
	if (o->live.spool && all_given(o))
		read_on(o);
	count = next_batch(o);
	if (count == 0 && all_settled(o))
		return false;
	if (!o->open) {
		r = o->sink->ops->open(o->sink, &e);
		o->open = r == 0;
	}
	if (r == 0)
		r = exchange(o, count, &done, &e);
	if (r == 0 && o->open && !o->finished && no_more_come(o) && all_given(o)) {
		o->sink->ops->finish(o->sink);
		o->finished = true;
	}
	if (r < 0 && !all_settled(o)) {
		trouble(o, &e);
		if (r != -EAGAIN) {
			rest(o, o->retry_ms, false);
			o->retry_ms = o->retry_ms * 2 < RETRY_MAX_MS ? o->retry_ms * 2 : RETRY_MAX_MS;
			return true;
		}
	} else if (o->open && r == 0) {
		trouble(o, NULL);
	}
	if (done == 0)
		rest(o, SETTLE_MS, false);
	return true;
}

static bool time_is_over(struct outlet *o)
{
	bool over;

	pthread_mutex_lock(&o->lock);
	over = o->finishing && now_ms() >= o->until_ms;
	pthread_mutex_unlock(&o->lock);
	return over;
}

// Time is over: what was not delivered is counted, as far as that goes quickly.
static void count_undelivered(struct outlet *o)
{
	const int64_t until = now_ms() + COUNT_MS;

	while (o->live.spool && !o->read_all && now_ms() < until && read_one(o, true))
		;
	pthread_mutex_lock(&o->lock);
	o->progress.waiting = 0;
	for (const struct item *item = o->first; item; item = item->next)
		o->progress.waiting += item->len > 0 ? 1 : item->dropped;
	if (o->live.spool)
		o->progress.behind_bytes = spool_behind(o->live.spool);
	publish(o);
	pthread_mutex_unlock(&o->lock);
}

static void *outlet_main(void *arg)
{
	struct outlet *o = arg;

	while (!time_is_over(o)) {
		if (work(o))
			continue;
		if (no_more_come(o) && all_settled(o))
			break;
		rest(o, o->live.spool ? FILES_MS : 1000, !o->live.spool);
	}
	if (o->open)
		o->sink->ops->close(o->sink);
	count_undelivered(o);
	return NULL;
}

int outlet_new(struct sink *sink, const struct outlet_live *live, struct outlet **ret_outlet)
{
	struct outlet *o = calloc(1, sizeof(*o));
	pthread_condattr_t attr;

	if (!o) {
		sink->ops->free(sink);
		spool_free(live ? live->spool : NULL);
		return -ENOMEM;
	}
	o->sink = sink;
	o->last = &o->first;
	o->retry_ms = RETRY_FIRST_MS;
	if (live) {
		o->live = *live;
		export_state_get(live->slot, &o->progress);
		o->progress.waiting = o->progress.broken = 0;
		o->malformed_before = o->progress.malformed;
	}
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->more, &attr);
	pthread_cond_init(&o->less, NULL);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&o->thread, NULL, outlet_main, o) != 0) {
		outlet_free(o);
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
	while (wait && o->bytes + sizeof(*item) + len > OUTLET_BYTES)
		pthread_cond_wait(&o->less, &o->lock);
	room = item && o->bytes + sizeof(*item) + len <= OUTLET_BYTES;
	if (room) {
		*item = (struct item){.len = len};
		memcpy(item->packed, packed, len);
		append(o, item);
		pthread_cond_signal(&o->more);
	} else {
		o->progress.dropped++;
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
}

void outlet_join(struct outlet *o)
{
	pthread_join(o->thread, NULL);
}

void outlet_progress(struct outlet *o, struct export_progress *ret_progress)
{
	pthread_mutex_lock(&o->lock);
	*ret_progress = o->progress;
	pthread_mutex_unlock(&o->lock);
}

const char *outlet_name(const struct outlet *o)
{
	return o->sink->name;
}

void outlet_free(struct outlet *o)
{
	while (o->first)
		pop(o);
	o->sink->ops->free(o->sink);
	spool_free(o->live.spool);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->more);
	pthread_cond_destroy(&o->less);
	free(o);
}

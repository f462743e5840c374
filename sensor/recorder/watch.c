// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "sensor/ipc/roles.h"
#include "sensor/recorder/clock.h"
#include "sensor/recorder/overload.h"
#include "sensor/recorder/status.h"

#define STALL_NS 2000000000ULL // a receive loop makes ten turns a second when nothing comes

struct watch_rx {
	uint64_t turns;
	uint64_t since_ns; // when it was seen to move
	bool stalled;
};

struct watch {
	uint64_t started_ns;
	struct status *status;
	bool alone; // the supervisor is gone
	struct overload overload;
	struct watch_rx rx[];
};

int watch_new(const struct recorder *r, struct watch **ret_watch)
{
	struct watch *w = calloc(1, sizeof(*w) + r->rx_count * sizeof(w->rx[0]));

	if (!w)
		return -ENOMEM;
	w->started_ns = monotonic_ns();
	if (status_new(r, w->started_ns, &w->status) < 0) {
		free(w);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < r->rx_count; i++)
		w->rx[i].since_ns = w->started_ns;
	overload_init(&w->overload, r->job->level, r->job->level_floor);
	*ret_watch = w;
	return 0;
}

void watch_free(struct watch *w)
{
	status_free(w->status);
	free(w);
}

void watch_end(struct recorder *r, struct watch *w)
{
	status_last(r, w->status, monotonic_ns());
}

static void orders(struct recorder *r, struct watch *w)
{
	struct pollfd pfd = {.fd = w->alone ? -1 : ROLE_SUPERVISOR_FD, .events = POLLIN};
	union wire_message m;

	if (poll(&pfd, 1, r->job->kind == JOB_INGEST ? 10 : 50) <= 0)
		return;
	if (wire_recv(ROLE_SUPERVISOR_FD, &m, NULL) == WIRE_STOP) {
		recorder_stop(r, STOP_SIGNAL);
	} else {
		w->alone = true;
		recorder_stop(r, STOP_SUPERVISOR);
	}
}

// The RX thread with the least room decides: it is the one that will drop.
static void pressure(struct recorder *r, struct watch *w, uint64_t now)
{
	uint32_t least = UINT32_MAX, share = 1;
	int before = overload_level(&w->overload);

	for (unsigned i = 0; i < r->rx_count; i++) {
		struct rx *rx = &r->rx[i];
		uint32_t room = atomic_load_explicit(&rx->stacked, memory_order_relaxed) + rx_returned(rx);

		if ((uint64_t)room * share < (uint64_t)least * rx->share || least == UINT32_MAX) {
			least = room;
			share = rx->share;
		}
	}
	if (!overload_check(&w->overload, now, least, share))
		return;
	atomic_store_explicit(&r->level, overload_level(&w->overload), memory_order_relaxed);
	keeper_incident(r, "overload", "zstd level %d -> %d, %u of %u blocks free", before,
	        overload_level(&w->overload), least, share);
}

static void stalls(struct recorder *r, struct watch *w, uint64_t now)
{
	for (unsigned i = 0; i < r->rx_count; i++) {
		uint64_t turns = atomic_load_explicit(&r->rx[i].turns, memory_order_relaxed);
		struct watch_rx *rx = &w->rx[i];

		if (turns != rx->turns || atomic_load(&r->rx[i].done)) {
			rx->turns = turns;
			rx->since_ns = now;
			rx->stalled = false;
		} else if (now - rx->since_ns >= STALL_NS && !rx->stalled) {
			rx->stalled = true;
			fprintf(stderr, "sealtap: %s: the receiving thread stands still\n",
			        r->source[r->rx[i].first_source]->name);
			keeper_incident(r, "stalled", "%s", r->source[r->rx[i].first_source]->name);
		}
	}
}

void watch_tick(struct recorder *r, void *context)
{
	struct watch *w = context;
	uint64_t now;

	orders(r, w);
	now = monotonic_ns();
	if (r->job->duration_ns && now - w->started_ns >= r->job->duration_ns)
		recorder_stop(r, STOP_DURATION);
	if (r->job->kind == JOB_CAPTURE) {
		pressure(r, w, now);
		stalls(r, w, now);
	}
	status_tick(r, w->status, now);
}

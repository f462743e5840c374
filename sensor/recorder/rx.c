// SPDX-License-Identifier: Apache-2.0
// RX thread: takes batches from its sources, counts, filters and appends frames to blocks, publishes blocks to sealers.
// The hot path is append_packet: one copy; no malloc, lock, log or system call. It must not touch files or the keeper.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/filter/filter.h"
#include "sensor/recorder/claims.h"
#include "sensor/recorder/clock.h"
#include "sensor/recorder/recorder.h"

#define BATCH 256u
#define RECV_TIMEOUT_MS 100 // and at most an eighth of the flush interval
#define BLOCK_WAIT_MS 100
#define STATS_NS 1000000000ULL
#define LINKTYPE_ETHERNET 1
#define HEAR_MAX 32u // claims at a turn: whoever makes them shall not keep this thread busy

// A block from the stack, or what the writer has given back meanwhile. BLOCK_NONE when there is none.
static uint32_t block_take(struct rx *rx)
{
	uint32_t id;

	for (unsigned i = 0; rx->stack_size == 0 && i < rx->recorder->place_count; i++)
		while (ring_pop(&rx->returned[i], &id))
			rx->stack[rx->stack_size++] = id;
	id = rx->stack_size ? rx->stack[--rx->stack_size] : BLOCK_NONE;
	atomic_store_explicit(&rx->stacked, rx->stack_size, memory_order_relaxed);
	return id;
}

static void block_start(struct rx *rx, struct rx_lane *lane, uint32_t id)
{
	struct block *b = &rx->recorder->pool.block[id];

	b->lane = lane->id;
	b->seq = lane->shared->next_seq;
	__atomic_store_n(&lane->shared->next_seq, b->seq + 1, __ATOMIC_RELAXED); // the writer looks at it meanwhile
	b->segment = lane->shared->segment;
	b->flags = 0;
	b->first_packet = lane->segment_packets;
	b->ts_min = UINT64_MAX;
	b->ts_max = 0;
	atomic_store_explicit(&b->fill, 0, memory_order_relaxed);
	atomic_store_explicit(&b->state, BLOCK_FILLING, memory_order_release);
	lane->block = id;
	lane->block_since_ns = monotonic_ns();
	atomic_fetch_add_explicit(&rx->taken, 1, memory_order_relaxed);
}

static void read_stats(struct rx *rx, struct rx_lane *lane, uint64_t now)
{
	struct source *s = rx->recorder->source[lane->shared->opened];
	struct counters *c = &lane->shared->rx;
	struct source_stats stats;
	uint64_t nic[NIC_COUNTERS];

	lane->stats_at_ns = now;
	if (lane->tells_nic && link_nic(rx->recorder->links, rx->recorder->job_source[lane->shared->opened], nic)) {
		for (int i = 0; i < NIC_COUNTERS; i++)
			c->nic[i] = lane->nic[i] + nic[i];
		c->driver_mask |= COUNTERS_NIC;
	}
	if (!s->ops->stats || s->ops->stats(s, lane->shared->source_lane, &stats) < 0)
		return;
	for (int i = 0; i < XSK_COUNTERS && (stats.mask & COUNTERS_XDP); i++)
		c->xsk[i] = lane->xsk[i] + stats.xsk[i];
	c->driver_received = lane->driver_received + stats.received;
	c->driver_dropped = lane->driver_dropped + stats.dropped;
	c->driver_mask = (c->driver_mask & COUNTERS_NIC) | stats.mask;
}

// Of one frame, or of all those that the driver left out between two looks.
static void count_shunted(struct rx_lane *lane, uint64_t frames, uint64_t bytes, uint64_t t_first, uint64_t t_last)
{
	struct pool_lane *shared = lane->shared;

	shared->rx.shunted += frames;
	shared->shunt.bytes += bytes;
	if (shared->shunt.t_first == 0)
		shared->shunt.t_first = t_first;
	shared->shunt.t_last = t_last;
	lane->dirty = true;
}

// What the driver has left out since the last look: received, and not recorded.
static void look_at_driver(struct rx *rx, struct rx_lane *lane)
{
	struct source *s = rx->recorder->source[lane->shared->opened];
	struct source_shunted now;
	uint64_t at;

	if (!s->shunts || s->ops->shunted(s, lane->shared->source_lane, &now) < 0)
		return;
	at = real_ns();
	if (now.frames != lane->shunted) {
		lane->shared->rx.received += now.frames - lane->shunted;
		count_shunted(lane, now.frames - lane->shunted, now.bytes - lane->shunted_bytes, lane->looked_ns, at);
		lane->shunted = now.frames;
		lane->shunted_bytes = now.bytes;
	}
	lane->looked_ns = at;
}

// The block leaves RX: to the sealer with the shortest queue. in_hand is 1 when a frame has been counted as received
// that will go into the next block: the law holds at the end of every block.
static void publish(struct rx *rx, struct rx_lane *lane, uint32_t flags, unsigned in_hand)
{
	struct recorder *r = rx->recorder;
	struct block *b = &r->pool.block[lane->block];
	unsigned best = 0;
	uint32_t least = UINT32_MAX;
	uint64_t now = monotonic_ns();

	look_at_driver(rx, lane);
	if (now - lane->stats_at_ns >= STATS_NS || (flags & BLOCK_LANE_END))
		read_stats(rx, lane, now);
	lane->segment_bytes += block_bytes(b);
	lane->segment_packets += block_packets(b);
	if (lane->segment_packets > 0 &&
	        (lane->segment_bytes >= r->job->segment_bytes || now - lane->segment_since_ns >= r->job->segment_ns))
		flags |= BLOCK_SEGMENT_END;
	b->flags = flags;
	b->counters = lane->shared->rx;
	b->counters.received -= in_hand;
	memcpy(b->loss, lane->shared->loss, sizeof(b->loss));
	for (int i = 0; i < DROP_CAUSES; i++)
		lane->shared->loss[i] = (struct block_loss){0};
	b->shunt = lane->shared->shunt;
	lane->shared->shunt.t_first = 0;
	lane->dirty = false;
	if (flags & BLOCK_SEGMENT_END) {
		lane->shared->segment++;
		lane->segment_bytes = 0;
		lane->segment_packets = 0;
		lane->segment_since_ns = now;
	}
	for (unsigned i = 0; i < r->sealer_count; i++) {
		uint32_t backlog = ring_backlog(&channel_of(r, rx->index, i)->in);

		if (backlog < least) {
			least = backlog;
			best = i;
		}
	}
	atomic_store_explicit(&b->state, BLOCK_PUBLISHED, memory_order_release);
	// The ring has room for every block of the pool, so this cannot fail.
	if (!ring_push(&channel_of(r, rx->index, best)->in, lane->block))
		abort();
	lane->block = BLOCK_NONE;
	doorbell_ring(&r->sealer[best].bell);
}

static void publish_all(struct rx *rx)
{
	for (unsigned i = 0; i < rx->lane_count; i++)
		if (rx->lane[i].block != BLOCK_NONE)
			publish(rx, &rx->lane[i], 0, 0);
}

// Blocks until a block is free. Only for sources that can wait; gives the blocks under way away first, else a file with
// more interfaces than there are blocks would wait for itself.
static uint32_t block_wait(struct rx *rx)
{
	uint32_t id = block_take(rx);

	if (id != BLOCK_NONE)
		return id;
	publish_all(rx);
	for (;;) {
		uint32_t seen = doorbell_read(&rx->bell);

		id = block_take(rx);
		if (id != BLOCK_NONE)
			return id;
		if (atomic_load(&rx->recorder->stop) == STOP_FAILED)
			return BLOCK_NONE;
		doorbell_wait(&rx->bell, seen, BLOCK_WAIT_MS);
	}
}

static __attribute__((noinline)) void drop(struct rx_lane *lane, enum drop_cause cause, uint64_t ts_ns)
{
	struct block_loss *loss = &lane->shared->loss[cause];

	if (loss->t_first == 0)
		loss->t_first = ts_ns;
	loss->t_last = ts_ns;
	// Relaxed: the status reads it meanwhile (recorder/status.c).
	__atomic_store_n(&lane->shared->rx.dropped[cause], lane->shared->rx.dropped[cause] + 1, __ATOMIC_RELAXED);
	lane->dirty = true;
}

// Room for need bytes in the lane's block, NULL when there is none to be had.
static __attribute__((noinline)) struct block *make_room(struct rx *rx, struct rx_lane *lane, bool live)
{
	uint32_t id;

	if (lane->block != BLOCK_NONE)
		publish(rx, lane, 0, 1);
	id = live ? block_take(rx) : block_wait(rx);
	if (id == BLOCK_NONE)
		return NULL;
	block_start(rx, lane, id);
	return &rx->recorder->pool.block[id];
}

// True when the frame's flow has gone on for too long: counted, not recorded. Else the flow, if it has one, to which
// the frame is added once it is in a block.
static __attribute__((noinline)) bool shunt(struct rx *rx, struct rx_lane *lane, const struct packet *p,
        uint32_t caplen, uint32_t origlen, struct shunt_flow **ret_flow)
{
	struct shunt_frame frame;
	struct shunt_known *known;

	if (lane->shared->linktype != LINKTYPE_ETHERNET ||
	        !shunt_read(p->data, p->data + caplen, p->vlan_tpid, p->vlan_tci, &frame))
		return false;
	if (rx->driver_shunts) {
		if (p->flow)
			shunt_table_follow(rx->shunt, &frame, p->flow, p->ts_ns);
		return false;
	}
	known = shunt_table_flow(rx->shunt, &frame, p->ts_ns);
	*ret_flow = &known->flow;
	if (!shunt_beyond(&known->flow, &frame, rx->recorder->job->cutoff_bytes) ||
	        (rx->recorder->job->cutoff_apps[0] && !known->named))
		return false;
	count_shunted(lane, 1, origlen, p->ts_ns, p->ts_ns);
	return true;
}

// True when the frame is in a block.
static inline bool append_packet(struct rx *rx, struct rx_lane *lane, const struct packet *p, bool live)
{
	struct recorder *r = rx->recorder;
	struct counters *c = &lane->shared->rx;
	struct packet put = *p;
	struct shunt_flow *flow = NULL;
	uint32_t caplen = p->caplen, origlen = p->origlen, need, used, packets;
	struct block *b;
	uint8_t *at;

	c->received++;
	if (__builtin_expect(r->job->direction != 0, 0) && (p->flags & 3) != r->job->direction) {
		c->filtered++;
		lane->dirty = true;
		return false;
	}
	if (__builtin_expect(put.vlan_tpid != 0, 0)) {
		if (caplen < 12) {
			put.vlan_tpid = 0; // nothing to put a tag behind
		} else {
			caplen += 4;
			origlen += 4;
		}
	}
	if (__builtin_expect(caplen > CAPLEN_MAX, 0)) {
		drop(lane, DROP_OVERSIZE, p->ts_ns);
		return false;
	}
	if (__builtin_expect(rx->shunt != NULL, 0) && !r->filter && shunt(rx, lane, &put, p->caplen, origlen, &flow))
		return false;
	if (r->job->snaplen && caplen > r->job->snaplen && !r->filter)
		caplen = r->job->snaplen;
	need = epb_bytes(caplen, p->flags);
	b = lane->block == BLOCK_NONE ? NULL : &r->pool.block[lane->block];
	if (__builtin_expect(!b || block_bytes(b) + need > BLOCK_BYTES, 0)) {
		b = make_room(rx, lane, live);
		if (!b) {
			drop(lane, DROP_POOL, p->ts_ns);
			return false;
		}
	}
	used = block_bytes(b);
	packets = block_packets(b);
	at = pool_data(&r->pool, lane->block) + used;
	if (__builtin_expect(put.vlan_tpid && caplen < 16, 0))
		put.vlan_tpid = 0; // the snaplen cut the tag off
	epb_write(at, &put, caplen, origlen);
	if (r->filter) {
		// The filter sees the frame as recorded, tag and all; a refused one is overwritten by the next.
		if (!filter_accepts(r->filter, (uint16_t)lane->shared->linktype, at + EPB_FIXED, caplen, origlen)) {
			c->filtered++;
			lane->dirty = true;
			return false;
		}
		// What the filter refuses is no part of what is recorded of a flow.
		if (rx->shunt && shunt(rx, lane, &put, p->caplen, origlen, &flow))
			return false;
		if (r->job->snaplen && caplen > r->job->snaplen) {
			caplen = r->job->snaplen;
			need = epb_bytes(caplen, p->flags);
			if (put.vlan_tpid && caplen < 16)
				put.vlan_tpid = 0;
			epb_write(at, &put, caplen, origlen);
		}
	}
	if (p->ts_ns < b->ts_min)
		b->ts_min = p->ts_ns;
	if (p->ts_ns > b->ts_max)
		b->ts_max = p->ts_ns;
	// Release: a successor that sees the new fill sees the whole EPB (pairs with the acquire in block_bytes).
	atomic_store_explicit(&b->fill, (uint64_t)(packets + 1) << 32 | (used + need), memory_order_release);
	if (flow)
		flow->bytes += origlen;
	return true;
}

// What the inspector has said meanwhile: which flows are of an application with a cutoff.
static void hear(struct rx *rx, struct source *s)
{
	struct loan_claim claim;
	uint64_t number;

	for (unsigned i = 0; i < HEAR_MAX && claims_take(rx->recorder->claims, rx->index, &claim); i++)
		if (shunt_table_name(rx->shunt, &claim.key, claim.ns, &number) && number)
			s->ops->shunt(s, number);
}

// Gives lanes that the source has found meanwhile their numbers, or their old ones after a restart.
static int lanes_update(struct rx *rx, struct source *s, uint32_t source_index)
{
	struct recorder *r = rx->recorder;
	struct pool_shared *shared = r->pool.shared;

	while (rx->lane_count < s->lane_count) {
		const struct source_lane *is = &s->lanes[rx->lane_count];
		struct rx_lane *lane, *more = realloc(rx->lane, (rx->lane_count + 1) * sizeof(*more));
		struct error e;
		uint32_t id;

		if (!more)
			return -ENOMEM;
		rx->lane = more;
		if (r->filter && filter_prepare(r->filter, is->linktype, &e) < 0) {
			fprintf(stderr, "sealtap: %s: %s\n", s->name, e.text);
			return -EINVAL;
		}
		pthread_mutex_lock(&r->lanes_mutex);
		for (id = 0; id < atomic_load(&shared->lane_count); id++)
			if (shared->lane[id].opened == source_index && shared->lane[id].source_lane == rx->lane_count)
				break;
		if (id == LANES_MAX) {
			pthread_mutex_unlock(&r->lanes_mutex);
			fprintf(stderr, "sealtap: %s: more than %u lanes in one recording; seal fewer files at once\n",
			        s->name, LANES_MAX);
			return -ENOBUFS;
		}
		if (id == atomic_load(&shared->lane_count)) {
			struct pool_lane *p = &shared->lane[id];

			memset(p, 0, sizeof(*p));
			memcpy(p->interface, is->interface, sizeof(p->interface));
			p->source = r->job_source[source_index];
			p->opened = source_index;
			p->source_lane = rx->lane_count;
			p->linktype = is->linktype;
			p->snaplen = r->job->kind == JOB_CAPTURE ? r->job->snaplen : is->snaplen;
			// Release: who reads the count sees the lane (pairs with the load in segment_table_get).
			atomic_store_explicit(&shared->lane_count, id + 1, memory_order_release);
		}
		pthread_mutex_unlock(&r->lanes_mutex);
		// Before its first block: only this writer looks for it.
		atomic_store(&rx->place, place_of(r, id)->index);
		lane = &rx->lane[rx->lane_count++];
		*lane = (struct rx_lane){.id = id,
		        .block = BLOCK_NONE,
		        .segment_since_ns = monotonic_ns(),
		        .looked_ns = real_ns(),
		        .driver_received = shared->lane[id].rx.driver_received,
		        .driver_dropped = shared->lane[id].rx.driver_dropped,
		        .tells_nic =
		                rx->lane_count == 1 && link_watched(r->links, r->job_source[source_index]) &&
		                (source_index == 0 || r->job_source[source_index - 1] != r->job_source[source_index]),
		        .shared = &shared->lane[id]};
		memcpy(lane->nic, shared->lane[id].rx.nic, sizeof(lane->nic));
		memcpy(lane->xsk, shared->lane[id].rx.xsk, sizeof(lane->xsk));
	}
	return 0;
}

// Blocks that have waited for a flush interval, segments whose time is up, counters that nobody has seen yet.
static void flush_due(struct rx *rx)
{
	const struct job *job = rx->recorder->job;
	uint64_t now = monotonic_ns();

	for (unsigned i = 0; i < rx->lane_count; i++) {
		struct rx_lane *lane = &rx->lane[i];
		bool segment_due, block_due;

		look_at_driver(rx, lane);
		segment_due = lane->segment_packets > 0 && now - lane->segment_since_ns >= job->segment_ns;
		block_due = lane->block != BLOCK_NONE && now - lane->block_since_ns >= job->flush_ms * 125000ULL;

		if (lane->block == BLOCK_NONE && (segment_due || lane->dirty)) {
			uint32_t id = block_take(rx);

			if (id == BLOCK_NONE)
				continue;
			block_start(rx, lane, id);
		}
		if (block_due || (segment_due && lane->block != BLOCK_NONE))
			publish(rx, lane, 0, 0);
	}
}

// Ends the lanes of a source. Even one without packets gets its last block: it carries the counters.
static void lanes_end(struct rx *rx)
{
	for (unsigned i = 0; i < rx->lane_count; i++) {
		struct rx_lane *lane = &rx->lane[i];

		if (lane->tells_nic) // intake has ended: there is time to wait for the kernel
			link_nic_read(rx->recorder->links, rx->recorder->job_source[lane->shared->opened]);
		if (lane->block == BLOCK_NONE) {
			uint32_t id = block_wait(rx);

			if (id == BLOCK_NONE)
				continue;
			block_start(rx, lane, id);
		}
		publish(rx, lane, BLOCK_SEGMENT_END | BLOCK_LANE_END, 0);
	}
	free(rx->lane);
	rx->lane = NULL;
	rx->lane_count = 0;
}

// Appends a batch. False when --packets is reached: the rest of the batch was never received.
static bool append_batch(struct rx *rx, const struct packet *batch, unsigned n, bool live)
{
	struct recorder *r = rx->recorder;
	uint64_t max = r->job->packets_max, raw = atomic_load_explicit(&rx->raw_bytes, memory_order_relaxed);
	bool more = true;

	for (unsigned i = 0; i < n; i++) {
		// One RX thread's claim is visible to the others before it appends, so that together they stay below
		// max.
		if (max && atomic_fetch_add_explicit(&r->packets, 1, memory_order_relaxed) >= max) {
			recorder_stop(r, STOP_PACKETS);
			more = false;
			break;
		}
		raw += batch[i].caplen;
		if (!append_packet(rx, &rx->lane[batch[i].lane], &batch[i], live) && max)
			atomic_fetch_sub_explicit(&r->packets, 1, memory_order_relaxed);
	}
	atomic_store_explicit(&rx->raw_bytes, raw, memory_order_relaxed); // its only writer
	return more;
}

// Of a driver whose interface nobody watches.
static void interface_down(struct recorder *r, const struct source *s)
{
	fprintf(stderr, "sealtap: %s: the interface was taken down\n", s->name);
	keeper_incident(r, "interface-down", "%s", s->name);
}

static int run_source(struct rx *rx, uint32_t index)
{
	struct recorder *r = rx->recorder;
	struct source *s = r->source[index];
	struct packet batch[BATCH];
	bool live = s->ops->live;
	int timeout_ms = r->job->flush_ms / 8 < RECV_TIMEOUT_MS ? (int)r->job->flush_ms / 8 : RECV_TIMEOUT_MS;
	uint64_t flush_at = monotonic_ns();
	int n, result = 0;

	for (uint64_t turns = 0;;) {
		n = s->ops->recv(s, batch, BATCH, timeout_ms);
		atomic_store_explicit(&rx->turns, ++turns, memory_order_relaxed);
		if (n == -ENETDOWN) {
			if (!link_watched(r->links, r->job_source[index]))
				interface_down(r, s);
			continue;
		}
		if (rx->lane_count < s->lane_count) {
			int failed = lanes_update(rx, s, index);

			if (failed < 0) {
				result = failed;
				break;
			}
		}
		if (n < 0) {
			result = n == -ENODATA ? 0 : n;
			break;
		}
		if (r->claims)
			hear(rx, s);
		if (n > 0) {
			bool more = append_batch(rx, batch, (unsigned)n, live);

			s->ops->release(s);
			if (!more)
				break;
		}
		if (atomic_load_explicit(&r->stop, memory_order_relaxed) == STOP_FAILED)
			break;
		if (n < (int)BATCH || monotonic_ns() - flush_at > 10000000) {
			flush_due(rx);
			flush_at = monotonic_ns();
		}
	}
	lanes_end(rx);
	return result;
}

static void told_times(struct recorder *r, const struct source *s)
{
	if (s->kernel_times)
		keeper_incident(r, "kernel-time", "%s: %llu frames came without the NIC's time", s->name,
		        (unsigned long long)s->kernel_times);
}

void *rx_main(void *arg)
{
	struct rx *rx = arg;
	struct recorder *r = rx->recorder;

	cores_enter(r, "rx", (int)rx->index, &rx->placement, r->rx_raised);
	for (uint32_t i = 0; i < rx->source_count; i++) {
		int stop = atomic_load(&r->stop), result;

		// A file that is not begun is left. An interface has been taking frames since it was opened, and is
		// drained even if the end was asked for before this thread first ran.
		if (r->job->kind == JOB_INGEST && stop != STOP_NONE && stop != STOP_END)
			break;
		result = run_source(rx, rx->first_source + i);
		told_times(r, r->source[rx->first_source + i]);
		if (result < 0) {
			struct source *s = r->source[rx->first_source + i];

			rx->result = result;
			if (result == -ENODEV && link_watched(r->links, r->job_source[rx->first_source + i]))
				continue; // told there
			fprintf(stderr, "sealtap: %s: %s\n", s->name, strerror(-result));
			keeper_incident(r, "source-failed", "%s: %s", s->name, strerror(-result));
		}
	}
	atomic_store(&rx->done, true);
	return NULL;
}

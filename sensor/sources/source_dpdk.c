// SPDX-License-Identifier: Apache-2.0
// Live packets of one RX queue of an ethdev: bursts of mbufs, on loan until release. Recorder process: open by the main
// thread before the sandbox; recv, release and stats by the RX thread; interrupt by any thread. Copies a frame only
// when it lies in several segments.
//
// Syscalls after open: recv nanosleep when idle, and what the PMD's burst, link, stop and statistics need
// (net_af_packet: ioctl, getsockopt, setsockopt, close; the one-time registration of the thread: futex,
// sched_getaffinity, gettid).
//
// Counters: received = what the PMD counts (ipackets) plus what it lost (imissed + ierrors + rx_nombuf), as afpacket's.
// At the end the PMD's counter is read once, as many frames are taken as it says, and it is not read again.
#include <assert.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf_dyn.h>
#include <rte_pause.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sensor/sources/dpdk.h"

#define LINKTYPE_ETHERNET 1
#define SCRATCH_BYTES (1u << 20)
#define SPINS 64u // empty bursts before the first sleep
#define SLEEP_FIRST_NS 2000u
#define LINK_CHECKS_PER_S 4
#define ANCHORS_PER_S 10
#define DRAIN_LIMIT_S 1 // past it what the NIC says it has and does not give is left

static_assert(SCRATCH_BYTES >= CAPLEN_MAX, "one frame of several segments always fits");

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

// The closest of a few pairs of readings: between two readings of a counter lies one of the clock.
static void read_pair(const struct dpdk_queue *q, bool nic, uint64_t *ret_ticks, uint64_t *ret_ns)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		uint64_t before = 0, after = 0, ns;

		if (nic) {
			uint64_t ns_after, device = 0;

			before = realtime_ns();
			rte_eth_read_clock(q->port->id, &device);
			ns_after = realtime_ns();
			if (ns_after - before < least) {
				least = ns_after - before;
				*ret_ticks = device;
				*ret_ns = before + (ns_after - before) / 2;
			}
			continue;
		}
		before = rte_rdtsc_precise();
		ns = realtime_ns();
		after = rte_rdtsc_precise();
		if (after - before < least) {
			least = after - before;
			*ret_ticks = before + (after - before) / 2;
			*ret_ns = ns;
		}
	}
}

static void anchor(struct dpdk_queue *q, bool first)
{
	uint64_t ticks = 0, ns = 0;

	read_pair(q, false, &ticks, &ns);
	if (first)
		rate_clock_init(&q->tsc, 0, ticks, ns);
	else
		rate_clock_anchor(&q->tsc, ticks, ns);
	q->anchor_at = ticks + q->hz / ANCHORS_PER_S;
	if (q->port->time != DPDK_TIME_NIC)
		return;
	read_pair(q, true, &ticks, &ns);
	if (first)
		rate_clock_init(&q->nic, 0, ticks, ns);
	else
		rate_clock_anchor(&q->nic, ticks, ns);
}

static inline uint64_t packet_time(struct dpdk_queue *q, const struct rte_mbuf *m)
{
	const struct dpdk_port *p = q->port;
	uint64_t stamp;

	if (p->time == DPDK_TIME_BURST || !(m->ol_flags & p->ts_flag))
		return q->burst_ns;
	stamp = *RTE_MBUF_DYNFIELD(m, p->ts_offset, const rte_mbuf_timestamp_t *);
	switch (p->time) {
	case DPDK_TIME_NIC:
		return rate_clock_ns(&q->nic, stamp);
	case DPDK_TIME_EPOCH_US:
		return stamp * 1000;
	default:
		return stamp;
	}
}

// Puts the segments one behind the other. NULL when the scratch has no room left for them.
static __attribute__((noinline)) const uint8_t *linearise(
        struct dpdk_queue *q, const struct rte_mbuf *m, uint32_t *ret_len)
{
	uint8_t *to = q->scratch + q->scratch_used;
	uint32_t len = 0;

	if (m->pkt_len > CAPLEN_MAX) {
		*ret_len = m->pkt_len; // the recorder counts it as oversize and reads none of it
		return rte_pktmbuf_mtod(m, const uint8_t *);
	}
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		if (len + s->data_len > SCRATCH_BYTES - q->scratch_used)
			return NULL;
		len += s->data_len;
	}
	len = 0;
	for (const struct rte_mbuf *s = m; s; s = s->next) {
		memcpy(to + len, rte_pktmbuf_mtod(s, const uint8_t *), s->data_len);
		len += s->data_len;
	}
	q->scratch_used += len;
	*ret_len = len;
	return to;
}

// False when the frame has to wait for the next batch.
static inline bool packet_from_mbuf(struct dpdk_queue *q, const struct rte_mbuf *m, struct packet *p)
{
	p->origlen = m->pkt_len;
	p->caplen = m->data_len;
	if (__builtin_expect(m->nb_segs == 1, 1)) {
		p->data = rte_pktmbuf_mtod(m, const uint8_t *);
	} else {
		p->data = linearise(q, m, &p->caplen);
		if (!p->data)
			return false;
	}
	p->ts_ns = packet_time(q, m);
	p->flags = q->port->flags;
	p->lane = 0;
	p->vlan_tpid = 0;
	p->vlan_tci = 0;
	if (__builtin_expect((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0, 0)) {
		p->vlan_tpid = RTE_ETHER_TYPE_VLAN; // asked for by nobody, and put back
		p->vlan_tci = m->vlan_tci;
	}
	return true;
}

static int read_counters(struct dpdk_queue *q)
{
	struct source_stats *s = &q->stats;
	uint64_t received, dropped;
	int r;

	if (q->kernel_fd >= 0) {
		r = dpdk_kernel_stats(q->kernel_fd, &q->kernel_received, &q->kernel_dropped);
		if (r < 0)
			return r;
		s->received = q->kernel_received;
		s->dropped = q->kernel_dropped;
		return 0;
	}
	r = dpdk_port_stats(q->port, q->index, &received, &dropped);
	if (r < 0)
		return r;
	s->dropped = dropped;
	s->received = received + dropped;
	return 0;
}

// Frames that the driver says it has had and has not given.
static uint64_t owed(const struct dpdk_queue *q)
{
	uint64_t had = q->stats.received - q->stats.dropped;

	return (q->stats.mask & COUNTERS_DRIVER_RECEIVED) && had > q->delivered ? had - q->delivered : 0;
}

static int end(struct dpdk_queue *q)
{
	if (!q->ended) {
		q->ended = q->frozen = true;
		q->stats.dropped += dpdk_port_queue_ended(q->port, q->index, q->stats.dropped);
	}
	return -ENODATA;
}

// Intake is over: what the ring held then is still taken, and what came later is not.
static void drain_start(struct dpdk_queue *q)
{
	q->draining = true;
	q->drain_until = rte_rdtsc() + DRAIN_LIMIT_S * q->hz;
	if (q->kernel_fd >= 0)
		dpdk_kernel_cut(q->kernel_fd);
	read_counters(q);
	q->frozen = q->kernel_fd >= 0;
	q->budget = q->frozen ? owed(q) : q->port->descriptors;
}

// The budget is used up, or the ring is empty. 1: go on.
static int drain_check(struct dpdk_queue *q)
{
	if (!q->frozen) {
		read_counters(q); // for the last time
		q->frozen = true;
		q->budget = owed(q);
	}
	if (q->budget > 0 && rte_rdtsc() < q->drain_until) {
		rte_pause();
		return 1;
	}
	return end(q);
}

// Nothing came. The longer this lasts the longer the sleep, but never so long that a ring could overflow.
static void idle(struct dpdk_queue *q)
{
	uint64_t ns;

	if (q->port->busy_poll || ++q->empty <= SPINS) {
		rte_pause();
		return;
	}
	ns = (uint64_t)SLEEP_FIRST_NS << (q->empty - SPINS < 20 ? q->empty - SPINS : 20);
	if (ns > q->port->sleep_max_ns)
		ns = q->port->sleep_max_ns;
	nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

// Looks now and then: 0, -ENETDOWN when the link went down (one word for all queues), -ENODEV when the interface is
// gone.
static int check_link(struct dpdk_queue *q, uint64_t now)
{
	bool was = q->port->link_up;

	if (now < q->link_at)
		return 0;
	q->link_at = now + q->hz / LINK_CHECKS_PER_S;
	if (q->kernel_fd >= 0) {
		int r = dpdk_kernel_link(q->kernel_fd);

		if (r == -ENODEV) {
			read_counters(q);
			end(q);
		}
		return r == -ENODEV || (r == -ENETDOWN && q->index == 0) ? r : 0;
	}
	if (q->index != 0)
		return 0;
	q->port->link_up = dpdk_port_link(q->port);
	return was && !q->port->link_up ? -ENETDOWN : 0;
}

static void stamp_burst(struct dpdk_queue *q)
{
	uint64_t now = rte_rdtsc(), ns;

	if (now >= q->anchor_at)
		anchor(q, false);
	ns = rate_clock_ns(&q->tsc, now);
	// A new anchor may lie some ns before the old line; a clock that was set back is followed.
	if (ns < q->last_ns && q->last_ns - ns < 1000000)
		ns = q->last_ns;
	q->burst_ns = q->last_ns = ns;
}

// A burst into q->mbuf: its size, 0 when the time passed, or how the source ended.
static int take_burst(struct dpdk_queue *q, int timeout_ms)
{
	uint64_t until = 0;
	int r;

	for (;;) {
		uint64_t want = DPDK_BURST, now;
		uint16_t n;

		// Acquire: pairs with the release in interrupt.
		if (!q->draining && atomic_load_explicit(&q->cut, memory_order_acquire))
			drain_start(q);
		if (q->draining && q->budget < want)
			want = q->budget;
		n = want ? rte_eth_rx_burst(q->port->id, q->index, q->mbuf, (uint16_t)want) : 0;
		if (n > 0) {
			q->count = n;
			q->next = q->freed = 0;
			q->empty = 0;
			q->delivered += n;
			q->budget -= q->draining ? n : 0;
			stamp_burst(q);
			return n;
		}
		if (q->draining) {
			r = drain_check(q);
			if (r < 0)
				return r;
			continue;
		}
		if (q->port->file) {
			read_counters(q);
			return end(q);
		}
		now = rte_rdtsc();
		r = check_link(q, now);
		if (r < 0)
			return r;
		if (timeout_ms <= 0)
			return 0;
		until = until ? until : now + (uint64_t)timeout_ms * q->hz / 1000;
		if (now >= until)
			return 0;
		idle(q);
	}
}

static int dpdk_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct dpdk_queue *q = (struct dpdk_queue *)s;
	unsigned n = 0;

	if (!q->registered) {
		rte_thread_register(); // gives the thread a cache of its own in the mempool; without it all works,
		                       // slower
		q->registered = true;
	}
	if (q->next == q->count) {
		int r = take_burst(q, timeout_ms);

		if (r <= 0)
			return r;
	}
	while (n < max && q->next < q->count && packet_from_mbuf(q, q->mbuf[q->next], &batch[n])) {
		if (q->next + 1u < q->count)
			rte_prefetch0(rte_pktmbuf_mtod(q->mbuf[q->next + 1], void *));
		q->next++;
		n++;
	}
	return (int)n;
}

static void dpdk_release(struct source *s)
{
	struct dpdk_queue *q = (struct dpdk_queue *)s;

	rte_pktmbuf_free_bulk(q->mbuf + q->freed, (unsigned)(q->next - q->freed));
	q->freed = q->next;
	q->scratch_used = 0;
}

static int dpdk_stats(struct source *s, unsigned lane, struct source_stats *ret_stats)
{
	struct dpdk_queue *q = (struct dpdk_queue *)s;
	int r = q->frozen ? 0 : read_counters(q);

	if (r < 0)
		return r;
	*ret_stats = q->stats;
	return 0;
}

static void dpdk_interrupt(struct source *s)
{
	// Release: what the caller did before is seen by the RX thread when it sees the cut.
	atomic_store_explicit(&((struct dpdk_queue *)s)->cut, true, memory_order_release);
}

static void dpdk_close(struct source *s)
{
	struct dpdk_queue *q = (struct dpdk_queue *)s;

	if (!q)
		return;
	dpdk_port_unref(q->port);
	free(q->scratch);
	free(q);
}

static const struct source_ops dpdk_ops = {
        .recv = dpdk_recv,
        .release = dpdk_release,
        .stats = dpdk_stats,
        .interrupt = dpdk_interrupt,
        .close = dpdk_close,
        .kind = "dpdk",
        .live = true,
};

// A file or a generator waits when the pool is empty.
static const struct source_ops dpdk_replay_ops = {
        .recv = dpdk_recv,
        .release = dpdk_release,
        .stats = dpdk_stats,
        .interrupt = dpdk_interrupt,
        .close = dpdk_close,
        .kind = "dpdk",
        .live = false,
};

static struct dpdk_queue *queue_new(
        const struct source_live_config *config, struct dpdk_port *p, uint16_t index, struct rte_mempool *pool, int fd)
{
	struct dpdk_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->scratch = malloc(SCRATCH_BYTES);
	if (!q->scratch) {
		free(q);
		return NULL;
	}
	memset(q->scratch, 0, SCRATCH_BYTES); // mapped now
	q->port = p;
	q->index = index;
	q->pool = pool;
	q->kernel_fd = fd;
	q->hz = rte_get_tsc_hz();
	q->source.ops = p->replay ? &dpdk_replay_ops : &dpdk_ops;
	q->source.lanes = &q->lane;
	q->source.lane_count = 1;
	q->stats.mask = COUNTERS_DRIVER_DROPPED;
	if (fd >= 0 || p->queues == 1 || p->queue_counters)
		q->stats.mask |= COUNTERS_DRIVER_RECEIVED;
	q->lane.linktype = LINKTYPE_ETHERNET;
	snprintf(q->lane.interface, sizeof(q->lane.interface), "%s", p->device);
	snprintf(q->source.name, sizeof(q->source.name), "%s", config->interface);
	dpdk_port_describe(p, q->source.detail, sizeof(q->source.detail));
	return q;
}

int source_dpdk_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	struct rte_mempool *pools[SOURCES_PER_INTERFACE_MAX];
	int fds[SOURCES_PER_INTERFACE_MAX], r;
	struct dpdk_port *p;

	r = dpdk_port_open(config, &p, pools, fds, e);
	if (r < 0)
		return r;
	for (uint16_t i = 0; i < p->queues; i++) {
		struct dpdk_queue *q = queue_new(config, p, i, pools[i], fds[i]);

		if (!q) {
			p->open = i + (i == 0);
			for (unsigned k = 0; k < i; k++)
				dpdk_close(ret_sources[k]);
			if (i == 0)
				dpdk_port_unref(p);
			return error_set(e, -ENOMEM, "interface %s: out of memory", config->interface);
		}
		ret_sources[i] = &q->source;
		anchor(q, true);
	}
	// The rate of a clock takes two readings some time apart.
	nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
	for (uint16_t i = 0; i < p->queues; i++)
		anchor((struct dpdk_queue *)ret_sources[i], false);
	return p->queues;
}

// SPDX-License-Identifier: Apache-2.0
// Live packets of one RX queue by AF_XDP: reads the ring of one socket, whose frames the program of bpf/ has stamped.
// Recorder process: recv/release/stats by the RX thread, interrupt by any thread. Must not copy a frame
// but one that lies in several chunks, must not wait
// while the ring holds one but for one short rest, and makes no bpf() call: counters and the switch are memory shared
// with the program.
//
// Syscalls after open: recv clock_nanosleep, poll (ppoll), recvfrom, getsockopt (SO_ERROR, XDP_STATISTICS),
// getsockname, write, clock_gettime (in user space by the vDSO); release poll, when the driver asks to be woken; stats
// getsockopt; interrupt bind, write; close getsockopt (XDP_MMAP_OFFSETS), munmap, close.
//
// Counters: the program counts a frame as redirected before the kernel puts it into the ring or into one of the
// socket's drops, rx_dropped (no free chunk, frame larger than a chunk) or rx_ring_full. Once intake is cut: redirected
// = frames given by recv + rx_dropped + rx_ring_full. What the program shunts it counts beside that. A frame for which
// there was no socket is received and dropped.
//
// Time: the program stamps every frame by bpf_ktime_get_ns, CLOCK_MONOTONIC. recv adds CLOCK_REALTIME -
// CLOCK_MONOTONIC, which only a step of the clock changes; it reads that anew every OFFSET_NS, between two reads of
// CLOCK_MONOTONIC.
#include <assert.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensor/sources/xdp.h"

#define OFFSET_NS 10000000ULL
#define OFFSET_TRIES 3
#define OFFSET_TRIES_FIRST 100
// Between the two reads of CLOCK_MONOTONIC: below it the error of the offset is at most half of it.
#define OFFSET_SPAN_NS 2000

// linux/if_xdp.h of 6.6: the frame goes on in the next descriptor.
#define PKT_CONTD (1u << 0)
// A frame of 64 KiB has at most so many, so that a look at the ring always finds a whole one.
#define FRAME_DESCS_MAX 64u
#define BUSY_LOOK_NS 10000000ULL // between two looks for events

#define PREFETCH 6u // frames ahead

// After the cut every frame is in its ring at once; past this the rest is given up, and the counters say so.
#define DRAIN_LIMIT_NS 3000000000LL

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

// Keeps the tightest of a few tries: a thread can be taken off its core between two reads.
static void read_offset(struct xdp_source *x)
{
	bool first = x->offset_span_ns == 0;
	uint64_t best = UINT64_MAX, offset = 0;
	int64_t moved;

	for (int i = 0; i < (first ? OFFSET_TRIES_FIRST : OFFSET_TRIES) && best > OFFSET_SPAN_NS; i++) {
		uint64_t before = clock_ns(CLOCK_MONOTONIC);
		uint64_t real = clock_ns(CLOCK_REALTIME);
		uint64_t after = clock_ns(CLOCK_MONOTONIC);

		x->offset_read_ns = after;
		if (after - before < best) {
			best = after - before;
			offset = real - (before + best / 2);
		}
	}
	// The clocks run alike but for steps. Within the error of both readings nothing has changed, and no frame shall
	// get a time before that of its predecessor for it.
	moved = (int64_t)(offset - x->real_minus_mono_ns);
	if (!first && (uint64_t)llabs(moved) <= (best + x->offset_span_ns) / 2 + 1)
		return;
	x->real_minus_mono_ns = offset;
	x->offset_span_ns = best ? best : 1;
}

// epb_flags: direction in; bits 2-4 reception type, as the kernel would say it.
static uint32_t flags_of(const struct xdp_source *x, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (frame[0] & 1)
		return 1 | (memcmp(frame, broadcast, 6) == 0 ? 3u : 2u) << 2;
	return 1 | (memcmp(frame, x->mac, 6) == 0 ? 1u : 4u) << 2;
}

static void packet_from_desc(struct xdp_source *x, const struct xdp_desc *desc, struct packet *p)
{
	uint8_t *frame = x->memory + desc->addr;
	struct xdp_take_note note;
	uint64_t none = 0, limit = x->snaplen;

	memcpy(&note, frame - sizeof(note), sizeof(note));
	// A driver without metadata leaves no note: what lies there next time must not be this one.
	memcpy(frame - sizeof(note), &none, sizeof(none));
	if (__builtin_expect(note.mono_ns == 0, 0))
		note = (struct xdp_take_note){.mono_ns = clock_ns(CLOCK_MONOTONIC)};
	p->data = frame;
	p->ts_ns = note.mono_ns + x->real_minus_mono_ns;
	if (__builtin_expect(x->nic_time, 0)) {
		if (note.nic_ns)
			p->ts_ns = note.nic_ns;
		else
			x->source.kernel_times++;
	}
	p->vlan_tpid = note.vlan_tpid;
	p->vlan_tci = note.vlan_tci;
	if (note.vlan_tpid && limit != UINT32_MAX)
		limit -= 4;
	p->origlen = desc->len;
	p->caplen = desc->len < limit ? desc->len : (uint32_t)limit;
	p->flags = desc->len >= 6 ? flags_of(x, frame) : 1;
	p->lane = 0;
	p->flow = note.flow;
}

// The descriptors of the frame that begins at at, and its bytes; 0 when they are not all among the next n, or the
// scratch has no room left for this batch.
static uint32_t pieces_of(const struct xdp_source *x, uint32_t at, uint32_t n, uint32_t *ret_bytes)
{
	uint32_t count = 0, bytes = 0;
	const struct xdp_desc *desc;

	do {
		if (count == n)
			return 0;
		desc = xsk_ring_cons__rx_desc(&x->rx, at + count++);
		bytes += desc->len;
	} while (desc->options & PKT_CONTD);
	*ret_bytes = bytes;
	return bytes > CAPLEN_MAX || bytes <= XDP_SCRATCH_BYTES - x->scratch_used ? count : 0;
}

// Puts a frame of several pieces together, into the scratch. p is that of its first piece.
static __attribute__((noinline)) void join(
        struct xdp_source *x, uint32_t at, uint32_t count, uint32_t bytes, struct packet *p)
{
	uint32_t limit = p->vlan_tpid && x->snaplen != UINT32_MAX ? x->snaplen - 4 : x->snaplen;

	p->origlen = bytes;
	p->caplen = bytes < limit ? bytes : limit;
	if (bytes > CAPLEN_MAX)
		return; // the recorder counts it as oversize and reads none of it
	p->data = x->scratch + x->scratch_used;
	for (uint32_t i = 0; i < count; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&x->rx, at + i);

		memcpy(x->scratch + x->scratch_used, x->memory + desc->addr, desc->len);
		x->scratch_used += desc->len;
	}
}

// The n descriptors from at on as packets: how many, with the descriptors that they used.
static unsigned packets_from(
        struct xdp_source *x, uint32_t at, uint32_t n, struct packet *batch, unsigned max, uint32_t *ret_used)
{
	uint32_t used = 0;
	unsigned count = 0;

	for (; used < n && count < max; count++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&x->rx, at + used);
		uint32_t more = 1, bytes = 0;

		if (used + PREFETCH < n) {
			const uint8_t *next = x->memory + xsk_ring_cons__rx_desc(&x->rx, at + used + PREFETCH)->addr;

			__builtin_prefetch(next - sizeof(struct xdp_take_note));
			__builtin_prefetch(next);
		}
		if (__builtin_expect((desc->options & PKT_CONTD) != 0, 0)) {
			more = pieces_of(x, at + used, n - used, &bytes);
			if (!more)
				break; // in the next batch, with its note
		}
		packet_from_desc(x, desc, &batch[count]);
		if (__builtin_expect(more > 1, 0))
			join(x, at + used, more, bytes, &batch[count]);
		used += more;
	}
	*ret_used = used;
	return count;
}

static uint64_t count_of(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// Sets those of ret_xsk that the socket counts, and their sum of frames.
static int lost_in_socket(const struct xdp_source *x, uint64_t ret_xsk[XSK_COUNTERS], uint64_t *ret_lost)
{
	struct xdp_statistics st = {0};
	socklen_t len = sizeof(st);

	if (getsockopt(x->fd, SOL_XDP, XDP_STATISTICS, &st, &len) < 0)
		return -errno;
	ret_xsk[XSK_DROPPED] = st.rx_dropped;
	ret_xsk[XSK_RING_FULL] = st.rx_ring_full;
	ret_xsk[XSK_FILL_EMPTY] = st.rx_fill_ring_empty_descs;
	*ret_lost = st.rx_dropped + st.rx_ring_full;
	return 0;
}

static int xdp_stats(struct source *s, unsigned lane, struct source_stats *ret_stats)
{
	struct xdp_source *x = (struct xdp_source *)s;
	const struct xdp_take_slot *slots = x->shared->program.slots;
	uint64_t lost = 0, missed = count_of((const uint64_t *)&slots[x->queue].missed);
	struct source_stats stats = {.mask = COUNTERS_DRIVER_RECEIVED | COUNTERS_DRIVER_DROPPED | COUNTERS_XDP};
	int r = lost_in_socket(x, stats.xsk, &lost);

	if (r < 0)
		return r;
	// Queues that came after open belong to nobody: the first source counts what they missed.
	if (x->watches_link)
		for (unsigned q = x->shared->sources; q < XDP_TAKE_SLOTS; q++)
			missed += count_of((const uint64_t *)&slots[q].missed);
	stats.received = count_of((const uint64_t *)&slots[x->queue].redirected) +
	                 count_of((const uint64_t *)&slots[x->queue].shunted) + missed;
	stats.dropped = lost + missed;
	stats.xsk[XSK_NO_SOCKET] = missed;
	*ret_stats = stats;
	return 0;
}

static int xdp_shunted(struct source *s, unsigned lane, struct source_shunted *ret_shunted)
{
	const struct xdp_source *x = (const struct xdp_source *)s;
	const struct xdp_take_slot *slot = &x->shared->program.slots[x->queue];

	ret_shunted->frames = count_of((const uint64_t *)&slot->shunted);
	ret_shunted->bytes = count_of((const uint64_t *)&slot->shunted_bytes);
	return 0;
}

static void xdp_shunt(struct source *s, uint64_t flow)
{
	const struct xdp_source *x = (const struct xdp_source *)s;

	__atomic_store_n(&x->shared->program.named[flow % SHUNT_FLOWS], flow, __ATOMIC_RELAXED);
}

static void wake_all(struct xdp_shared *shared)
{
	uint64_t one = 1;
	ssize_t w = write(shared->wake_fd, &one, sizeof(one));

	(void)w; // a counter that is full is readable too
}

// Intake is over and the ring is empty: 0 while a frame is still on its way, else how it ends.
static int drained(struct xdp_source *x)
{
	int end = atomic_load_explicit(&x->shared->gone, memory_order_relaxed) ? -ENODEV : -ENODATA;
	uint64_t xsk[XSK_COUNTERS],
	        lost = 0, redirected = count_of((const uint64_t *)&x->shared->program.slots[x->queue].redirected);
	int64_t now = (int64_t)clock_ns(CLOCK_MONOTONIC);
	int r = lost_in_socket(x, xsk, &lost);

	if (r < 0)
		return r;
	if (x->delivered + lost == redirected)
		return end;
	if (!x->drain_until_ns)
		x->drain_until_ns = now + DRAIN_LIMIT_NS;
	return now > x->drain_until_ns ? end : 0;
}

// After the device is unregistered (or moved to another namespace) the kernel has set the socket's index to -1.
static bool interface_gone(const struct xdp_shared *shared)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll);

	return getsockname(shared->packet_fd, (struct sockaddr *)&sll, &len) == 0 && sll.sll_ifindex != shared->index;
}

static void look_whether_gone(struct xdp_shared *shared)
{
	if (!atomic_load_explicit(&shared->gone, memory_order_relaxed) && interface_gone(shared)) {
		// Release: pairs with the acquire in recv, as the cut does.
		atomic_store_explicit(&shared->gone, true, memory_order_release);
		wake_all(shared);
	}
}

// Returns 1 after an event, 0 when the time passed, or a negative errno. Polling the socket also wakes the driver.
static int wait_event(struct xdp_source *x, int timeout_ms, bool draining)
{
	struct xdp_shared *shared = x->shared;
	struct pollfd fds[] = {
	        {.fd = x->fd, .events = POLLIN},
	        {.fd = draining ? -1 : shared->wake_fd, .events = POLLIN}, // it stays readable
	        {.fd = x->watches_link ? shared->packet_fd : -1, .events = POLLERR},
	};
	int err = 0, r = poll(fds, 3, timeout_ms);
	socklen_t len = sizeof(err);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (x->watches_link && (r == 0 || fds[2].revents))
		look_whether_gone(shared);
	if (!(fds[2].revents & POLLERR))
		return r > 0;
	if (getsockopt(shared->packet_fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return err && !draining && !atomic_load_explicit(&shared->gone, memory_order_relaxed) ? -err : 1;
}

// Acquire before a look at the ring: what arrived before the cut is then seen, or still counted.
static bool is_draining(const struct xdp_shared *shared)
{
	return atomic_load_explicit(&shared->cut, memory_order_acquire) ||
	       atomic_load_explicit(&shared->gone, memory_order_acquire);
}

// True when it is better to rest than to take what is there, or to have the kernel wake this thread for one frame: the
// costs of a turn are then shared by more of them. Every frame has its time already, and the ring holds what comes.
static bool should_rest(struct xdp_source *x, unsigned max, bool draining)
{
	return x->rest_ns && !draining &&
	       __atomic_load_n(x->rx.producer, __ATOMIC_RELAXED) - x->rx.cached_cons < max / 4;
}

static int xdp_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct xdp_source *x = (struct xdp_source *)s;
	uint32_t want = x->scratch && max < FRAME_DESCS_MAX ? FRAME_DESCS_MAX : max, n, at, used;
	uint64_t until_ns = 0, now;
	unsigned count;

	assert(!x->loan);
	for (bool rested = false;; rested = true) {
		bool draining = is_draining(x->shared);
		int rest_ms = timeout_ms, r;

		if (!rested && should_rest(x, max, draining)) {
			clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = x->rest_ns}, NULL);
			draining = is_draining(x->shared);
		}
		// libxdp looks for more only when it knows of none; of a frame in pieces it may know the first.
		if (x->scratch)
			x->rx.cached_prod = __atomic_load_n(x->rx.producer, __ATOMIC_ACQUIRE);
		n = xsk_ring_cons__peek(&x->rx, want, &at);
		if (n)
			break;
		if (draining && (r = drained(x)) < 0)
			return r;
		now = clock_ns(CLOCK_MONOTONIC);
		if (timeout_ms > 0) {
			until_ns = until_ns ? until_ns : now + (uint64_t)timeout_ms * 1000000ULL;
			if (now >= until_ns)
				return 0;
			rest_ms = (int)((until_ns - now + 999999) / 1000000);
		}
		if (x->busy_poll && now - x->looked_ns < BUSY_LOOK_NS) {
			recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL); // polls the driver; it cannot bring a frame
			continue;
		}
		x->looked_ns = now;
		r = wait_event(x, x->busy_poll ? 0 : rest_ms, draining);
		if (r < 0)
			return r;
		if (r == 0 && !x->busy_poll && (draining || !is_draining(x->shared)))
			return 0;
	}
	if (clock_ns(CLOCK_MONOTONIC) - x->offset_read_ns >= OFFSET_NS)
		read_offset(x);
	x->scratch_used = 0;
	count = packets_from(x, at, n, batch, max, &used);
	xsk_ring_cons__cancel(&x->rx, n - used);
	x->loan_at = at;
	x->loan = used;
	x->delivered += count;
	return (int)count;
}

// The chunks go back to the kernel before their places in the RX ring do, so that it always has as many of the one as
// of the other.
static void xdp_release(struct source *s)
{
	struct xdp_source *x = (struct xdp_source *)s;
	uint32_t n = x->loan, to;
	struct pollfd pfd = {.fd = x->fd, .events = POLLIN};

	if (!n)
		return;
	// The ring has twice as many places as there are chunks (see set_up_memory), so this cannot fail.
	if (xsk_ring_prod__reserve(&x->fill, n, &to) != n)
		abort();
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&x->fill, to + i) =
		        xsk_ring_cons__rx_desc(&x->rx, x->loan_at + i)->addr & ~((uint64_t)x->chunk_bytes - 1);
	xsk_ring_prod__submit(&x->fill, n);
	xsk_ring_cons__release(&x->rx, n);
	x->loan = 0;
	if (__builtin_expect(xsk_ring_prod__needs_wakeup(&x->fill), 0))
		poll(&pfd, 1, 0);
}

// The switch first: from then on the program lets every frame pass. Some CPUs may still be in a run that saw it on: the
// bind takes the packet socket's hook out, which waits (synchronize_net) until each has left its softirq, frames
// flushed to the rings. With the interface down or gone there is no hook and nothing to wait for. The sources of an
// interface are cut together, at one time.
static void xdp_interrupt(struct source *s)
{
	struct xdp_shared *shared = ((struct xdp_source *)s)->shared;
	int saved = errno;

	if (!atomic_exchange(&shared->interrupted, true)) {
		struct sockaddr_ll sll = {.sll_family = AF_PACKET,
		        .sll_protocol = htobe16(0xFFFF), // IEEE reserves it, so no frame carries it
		        .sll_ifindex = shared->index};

		__atomic_store_n(shared->program.taking, 0, __ATOMIC_SEQ_CST);
		bind(shared->packet_fd, (struct sockaddr *)&sll, sizeof(sll));
		atomic_store_explicit(&shared->cut, true, memory_order_release);
		wake_all(shared);
	}
	errno = saved;
}

const struct source_ops xdp_ops = {
        .recv = xdp_recv,
        .release = xdp_release,
        .stats = xdp_stats,
        .shunted = xdp_shunted,
        .shunt = xdp_shunt,
        .interrupt = xdp_interrupt,
        .close = xdp_source_close,
        .kind = "xdp",
        .live = true,
};

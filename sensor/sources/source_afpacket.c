// SPDX-License-Identifier: Apache-2.0
// Live packets of one interface by AF_PACKET, TPACKET_V3: reads one ring that it shares with the kernel. Recorder
// process: recv/release/stats by the RX thread, interrupt by any thread. Must not copy a frame, and must not wait while
// the ring holds one.
//
// Syscalls after open: recv poll (ppoll), getsockopt (SO_ERROR, PACKET_STATISTICS), getsockname, clock_gettime;
// stats getsockopt; release none; interrupt setsockopt (SO_ATTACH_FILTER), bind, write; close munmap, close.
//
// Counters: the kernel's tp_packets counts what it put into the ring plus tp_drops (packet_getsockopt adds them up for
// V3), so received = frames given by recv + frames still in the ring + dropped. Frames a filter refused are in neither.
#include <assert.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensor/sources/afpacket.h"

// The kernel retires a partly filled block within its timeout (at most 100 ms); past this the rest is given up as lost,
// and the counters say so.
#define DRAIN_LIMIT_NS 3000000000LL

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static struct tpacket_block_desc *block_at(const struct afpacket *a, uint32_t i)
{
	return (struct tpacket_block_desc *)(a->ring + (size_t)i * AFPACKET_BLOCK_BYTES);
}

static void give_block_back(struct afpacket *a)
{
	// Release: our reads of the frames come before the kernel may overwrite them.
	__atomic_store_n(&block_at(a, a->block)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	a->block = a->block + 1 == a->block_count ? 0 : a->block + 1;
	a->holding = false;
}

// Takes the next block if the kernel has retired it. Some kernels retire empty blocks: these go straight back.
static bool take_block(struct afpacket *a)
{
	for (;;) {
		struct tpacket_block_desc *b = block_at(a, a->block);
		// Acquire: pairs with the kernel's barrier before it sets the status in prb_close_block.
		if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return false;
		a->holding = true;
		a->left = b->hdr.bh1.num_pkts;
		a->next = (struct tpacket3_hdr *)((uint8_t *)b + b->hdr.bh1.offset_to_first_pkt);
		if (a->left)
			return true;
		give_block_back(a);
	}
}

// epb_flags: bits 0-1 direction, bits 2-4 reception type.
static uint32_t flags_of(const struct sockaddr_ll *sll)
{
	static const uint8_t flags[] = {
	        [PACKET_HOST] = 1 | 1 << 2,
	        [PACKET_BROADCAST] = 1 | 3 << 2,
	        [PACKET_MULTICAST] = 1 | 2 << 2,
	        [PACKET_OTHERHOST] = 1 | 4 << 2,
	        [PACKET_OUTGOING] = 2,
	};
	return sll->sll_pkttype < sizeof(flags) ? flags[sll->sll_pkttype] : 0;
}

static void packet_from_frame(struct afpacket *a, const struct tpacket3_hdr *h, struct packet *p)
{
	const uint8_t *base = (const uint8_t *)h;

	p->data = base + h->tp_mac;
	p->ts_ns = h->tp_sec * 1000000000ULL + h->tp_nsec;
	if (a->nic_time && !(h->tp_status & TP_STATUS_TS_RAW_HARDWARE))
		a->source.kernel_times++; // the kernel puts its own where the NIC gave none
	p->caplen = h->tp_snaplen;
	p->origlen = h->tp_len;
	p->flags = flags_of((const struct sockaddr_ll *)(base + TPACKET_ALIGN(sizeof(*h))));
	p->lane = 0;
	p->vlan_tpid = 0;
	p->vlan_tci = 0;
	if ((h->tp_status & TP_STATUS_VLAN_VALID) && a->ether) {
		p->vlan_tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : ETH_P_8021Q;
		p->vlan_tci = (uint16_t)h->hv1.tp_vlan_tci;
		if (p->caplen > a->vlan_snaplen)
			p->caplen = a->vlan_snaplen;
	}
}

static int read_stats(struct afpacket *a)
{
	struct tpacket_stats_v3 st;
	socklen_t len = sizeof(st);

	// Reading resets the kernel's 32-bit counters.
	if (getsockopt(a->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) < 0)
		return -errno;
	a->stats.received += st.tp_packets;
	a->stats.dropped += st.tp_drops;
	return 0;
}

// Intake is over and the ring showed no retired block: 0 while a block is still to be retired, else how it ends.
static int drained(struct afpacket *a)
{
	int end = a->gone ? -ENODEV : -ENODATA;
	int r = read_stats(a);

	if (r < 0)
		return r;
	if (a->delivered == a->stats.received - a->stats.dropped)
		return end;
	if (!a->drain_until_ns)
		a->drain_until_ns = now_ns() + DRAIN_LIMIT_NS;
	return now_ns() > a->drain_until_ns ? end : 0;
}

// After the device is unregistered (or moved to another namespace) the kernel has set the socket's index to -1.
static bool interface_gone(const struct afpacket *a)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll);
	return getsockname(a->fd, (struct sockaddr *)&sll, &len) == 0 && sll.sll_ifindex != a->group->ifindex;
}

// Returns 1 after an event, 0 when the time passed, or a negative errno.
static int wait_event(struct afpacket *a, int timeout_ms, bool draining)
{
	struct pollfd fds[] = {{.fd = a->fd, .events = POLLIN | POLLERR}, {.fd = a->wake_fd, .events = POLLIN}};
	int err = 0;
	socklen_t len = sizeof(err);
	// Once draining, the eventfd stays readable.
	int r = poll(fds, draining ? 1 : 2, timeout_ms);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0 || fds[0].revents & POLLERR)
		a->gone |= interface_gone(a);
	if (!(fds[0].revents & POLLERR))
		return r > 0;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	if (err == ENETDOWN && a->group->member[0] != a)
		return 1; // one word for all rings
	return err && !a->gone && !draining ? -err : 1;
}

static int afpacket_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct afpacket *a = (struct afpacket *)s;
	int64_t until_ns = 0;
	unsigned n = 0;

	assert(!a->on_loan);
	for (;;) {
		// Acquire before looking at the ring: what arrived before the cut is then seen or still counted.
		bool draining = atomic_load_explicit(&a->cut, memory_order_acquire) || a->gone;
		int rest_ms = timeout_ms;
		int r;

		if (a->holding || take_block(a))
			break;
		if (draining && (r = drained(a)) < 0)
			return r;
		if (timeout_ms > 0) {
			int64_t t = now_ns();
			until_ns = until_ns ? until_ns : t + timeout_ms * 1000000LL;
			if (t >= until_ns)
				return 0;
			rest_ms = (int)((until_ns - t + 999999) / 1000000);
		}
		r = wait_event(a, rest_ms, draining);
		if (r < 0)
			return r;
		if (r == 0 && (draining || !a->gone))
			return 0;
	}
	while (n < max && a->left) {
		struct tpacket3_hdr *h = a->next;
		packet_from_frame(a, h, &batch[n++]);
		a->left--;
		a->next = (struct tpacket3_hdr *)((uint8_t *)h + h->tp_next_offset);
		if (a->left)
			__builtin_prefetch(a->next);
	}
	a->delivered += n;
	a->on_loan = true;
	return (int)n;
}

static void afpacket_release(struct source *s)
{
	struct afpacket *a = (struct afpacket *)s;

	a->on_loan = false;
	if (a->holding && !a->left)
		give_block_back(a);
}

static int afpacket_stats(struct source *s, unsigned lane, struct source_stats *ret_stats)
{
	struct afpacket *a = (struct afpacket *)s;
	int r = read_stats(a);

	if (r < 0)
		return r;
	*ret_stats = a->stats;
	return 0;
}

static void afpacket_interrupt(struct source *s)
{
	struct afpacket_group *g = ((struct afpacket *)s)->group;
	int saved = errno;
	uint64_t one = 1;

	if (!atomic_exchange(&g->interrupted, true)) {
		afpacket_cut(g);
		for (unsigned i = 0; i < g->count; i++) {
			atomic_store_explicit(&g->member[i]->cut, true, memory_order_release);
			ssize_t w = write(g->member[i]->wake_fd, &one, sizeof(one));
			(void)w;
		}
	}
	errno = saved;
}

const struct source_ops afpacket_ops = {
        .recv = afpacket_recv,
        .release = afpacket_release,
        .stats = afpacket_stats,
        .interrupt = afpacket_interrupt,
        .close = afpacket_close,
        .kind = "afpacket",
        .live = true,
};

// SPDX-License-Identifier: Apache-2.0
// Live packets of one interface by AF_PACKET, TPACKET_V3: owns the socket, the ring it shares with the kernel, and an
// eventfd. Recorder process: open before the sandbox, recv/release/stats by the RX thread, interrupt by any thread.
// Must not copy a frame, and must not wait while the ring holds one.
//
// Syscalls after open: recv poll (ppoll), getsockopt (SO_ERROR, PACKET_STATISTICS), getsockname, clock_gettime;
// stats getsockopt; release none; interrupt setsockopt (SO_ATTACH_FILTER), bind, write; close munmap, close.
//
// Counters: the kernel's tp_packets counts what it put into the ring plus tp_drops (packet_getsockopt adds them up for
// V3), so received = frames given by recv + frames still in the ring + dropped. Frames a filter refused are in neither.
#include "sealtap/source.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

// The kernel cuts a frame to what one block holds: 1 MiB is above the largest GSO frame (8 * 64 KiB, BIG TCP).
#define BLOCK_BYTES (1u << 20)
#define BLOCKS_MIN 4u
// 50 ms at 10 Gbit/s
#define RING_BYTES_DEFAULT (64u << 20)
#define BLOCK_TIMEOUT_MAX_MS 100
#define ARPHRD_RAWIP 519 // linux/if_arp.h, which does not go together with net/if.h
#define SNAPLEN_MIN 16u  // both MAC addresses and a restored VLAN tag

// IEEE reserves it, so no frame carries it: a socket bound to it receives nothing.
#define ETH_P_NOTHING 0xFFFF

// The kernel retires a partly filled block within BLOCK_TIMEOUT_MAX_MS; past this the rest is given up as lost, and
// the counters say so.
#define DRAIN_LIMIT_NS 3000000000LL

struct afpacket {
	struct source source;
	struct tpacket3_hdr *next; // next frame of the block held
	uint32_t left;             // frames of the block held that recv has not given out
	uint32_t block;            // index of the block held, or of the one to come
	bool holding;              // the block is ours
	bool on_loan;
	bool ether;            // has MAC addresses, so a VLAN tag has a place
	bool gone;             // the interface was removed: the ring drains, then -ENODEV
	uint32_t vlan_snaplen; // caplen limit of a frame whose tag is put back
	uint64_t delivered;
	struct source_stats stats;
	uint8_t *ring;
	uint32_t block_count;
	int fd;
	int wake_fd;
	int ifindex;
	int64_t drain_until_ns;
	struct source_lane lane;
	atomic_bool interrupted; // the first interrupt does the work
	atomic_bool cut;         // no frame can enter the ring any more; pairs with the acquire in recv
};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static struct tpacket_block_desc *block_at(const struct afpacket *a, uint32_t i)
{
	return (struct tpacket_block_desc *)(a->ring + (size_t)i * BLOCK_BYTES);
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

static void packet_from_frame(const struct afpacket *a, const struct tpacket3_hdr *h, struct packet *p)
{
	const uint8_t *base = (const uint8_t *)h;

	p->data = base + h->tp_mac;
	p->ts_ns = h->tp_sec * 1000000000ULL + h->tp_nsec;
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
	return getsockname(a->fd, (struct sockaddr *)&sll, &len) == 0 && sll.sll_ifindex != a->ifindex;
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

static int attach_return(int fd, uint32_t bytes)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, bytes)};
	struct sock_fprog prog = {.len = 1, .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

static int bind_to(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};

	return bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0 ? -errno : 0;
}

// The filter refuses every frame from now on; the bind takes the kernel's hook out and in again and waits in between
// for those that were past the filter (synchronize_net in packet_do_bind). Protocol 0 means "unchanged" before 6.5.
static void afpacket_interrupt(struct source *s)
{
	struct afpacket *a = (struct afpacket *)s;
	int saved = errno;
	uint64_t one = 1;
	ssize_t w;

	if (!atomic_exchange(&a->interrupted, true)) {
		// Neither can fail for a reason that lets frames in: with the device gone there are none.
		attach_return(a->fd, 0);
		bind_to(a->fd, a->ifindex, ETH_P_NOTHING);
		atomic_store_explicit(&a->cut, true, memory_order_release);
		w = write(a->wake_fd, &one, sizeof(one));
		(void)w;
	}
	errno = saved;
}

static void afpacket_close(struct source *s)
{
	struct afpacket *a = (struct afpacket *)s;

	if (!a)
		return;
	if (a->ring)
		munmap(a->ring, (size_t)a->block_count * BLOCK_BYTES);
	if (a->fd >= 0)
		close(a->fd);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	free(a);
}

static const struct source_ops afpacket_ops = {
        .recv = afpacket_recv,
        .release = afpacket_release,
        .stats = afpacket_stats,
        .interrupt = afpacket_interrupt,
        .close = afpacket_close,
        .kind = "afpacket",
        .live = true,
};

static int no_such_interface(const char *name, struct error *e)
{
	struct if_nameindex *all = if_nameindex();
	char list[320] = "";
	size_t used = 0;

	for (struct if_nameindex *i = all; i && i->if_index && used < sizeof(list) - IFNAMSIZ - 3; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", i->if_name);
	if (all)
		if_freenameindex(all);
	return error_set(e, -ENODEV, "interface '%.64s' does not exist in this network namespace; choose one of: %s",
	        name, used ? list : "(none)");
}

static const char *arphrd_name(int type)
{
	static const struct {
		int type;
		const char *name;
	} names[] = {
	        {ARPHRD_INFINIBAND, "INFINIBAND"},
	        {280, "CAN"},
	        {ARPHRD_PPP, "PPP"},
	        {ARPHRD_TUNNEL, "TUNNEL"},
	        {ARPHRD_TUNNEL6, "TUNNEL6"},
	        {ARPHRD_SIT, "SIT"},
	        {ARPHRD_IPGRE, "IPGRE"},
	        {823, "IP6GRE"},
	        {ARPHRD_IEEE80211, "IEEE80211"},
	        {ARPHRD_IEEE80211_RADIOTAP, "IEEE80211_RADIOTAP"},
	        {824, "NETLINK"},
	        {826, "VSOCKMON"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return "see linux/if_arp.h";
}

static int find_linktype(struct afpacket *a, const char *name, struct error *e)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(a->fd, SIOCGIFHWADDR, &ifr) < 0)
		return error_set(e, -errno, "interface %s: its type cannot be read: %s", name, strerror(errno));
	switch (ifr.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		a->ether = true;
		a->lane.linktype = LINKTYPE_ETHERNET;
		break;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
		a->lane.linktype = LINKTYPE_RAW;
		break;
	default:
		return error_set(e, -EPFNOSUPPORT,
		        "interface %s has hardware type ARPHRD %d (%s), which this recorder does not know how to "
		        "write; it "
		        "records "
		        "Ethernet, loopback and raw IP: name the Ethernet interface beneath it",
		        name, ifr.ifr_hwaddr.sa_family, arphrd_name(ifr.ifr_hwaddr.sa_family));
	}
	// Loopback shows every frame twice, on leaving and on arriving: the kernel (4.20) keeps the first to itself.
	if (ifr.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK) {
		int one = 1;
		if (setsockopt(a->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0)
			return error_set(e, -errno,
			        "interface %s: this kernel shows every loopback frame twice (PACKET_IGNORE_OUTGOING: "
			        "%s); "
			        "use Linux 4.20 or newer",
			        name, strerror(errno));
	}
	if (ioctl(a->fd, SIOCGIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "interface %s: its state cannot be read: %s", name, strerror(errno));
	if (!(ifr.ifr_flags & IFF_UP))
		return error_set(e, -ENETDOWN, "interface %s is down; bring it up: ip link set %s up", name, name);
	return 0;
}

static int set_up_ring(struct afpacket *a, const struct source_live_config *c, int block_ms, struct error *e)
{
	uint32_t bytes = c->ring_bytes ? c->ring_bytes : RING_BYTES_DEFAULT;
	uint32_t count = bytes / BLOCK_BYTES < BLOCKS_MIN ? BLOCKS_MIN : bytes / BLOCK_BYTES;
	int r;

	for (;; count /= 2) {
		struct tpacket_req3 req = {
		        .tp_block_size = BLOCK_BYTES,
		        .tp_block_nr = count,
		        .tp_frame_size = 2048, // without meaning in V3, but checked
		        .tp_frame_nr = count * (BLOCK_BYTES / 2048),
		        .tp_retire_blk_tov = (unsigned)block_ms,
		};
		if (setsockopt(a->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) == 0)
			break;
		r = -errno;
		if (r != -ENOMEM || count / 2 < BLOCKS_MIN)
			return error_set(e, r, "interface %s: no kernel ring of %u MiB: %s; %s", c->interface, count,
			        strerror(-r), r == -ENOMEM ? "free some memory" : "this kernel needs TPACKET_V3");
	}
	a->ring = mmap(NULL, (size_t)count * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (a->ring == MAP_FAILED) {
		r = -errno;
		a->ring = NULL;
		return error_set(e, r, "interface %s: mapping a ring of %u MiB: %s; free some memory", c->interface,
		        count, strerror(-r));
	}
	a->block_count = count;
	return 0;
}

static const char *offload_state(int fd, struct ifreq *ifr, uint32_t command, uint32_t mask)
{
	struct ethtool_value v = {.cmd = command};
	ifr->ifr_data = (void *)&v;
	return ioctl(fd, SIOCETHTOOL, ifr) < 0 ? "unknown" : v.data & mask ? "on" : "off";
}

static void describe(struct afpacket *a, const char *name, bool promiscuous, int block_ms)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_data = (void *)&info;
	if (ioctl(a->fd, SIOCETHTOOL, &ifr) < 0)
		snprintf(info.driver, sizeof(info.driver), "unknown");
	snprintf(a->source.detail, sizeof(a->source.detail),
	        "driver %.31s, tpacket_v3, ring %" PRIu32
	        " MiB, block timeout %d ms, %s, gro %s, lro %s, tso %s, rxvlan %s",
	        info.driver, a->block_count * (BLOCK_BYTES >> 20), block_ms,
	        promiscuous ? "promiscuous" : "not promiscuous", offload_state(a->fd, &ifr, ETHTOOL_GGRO, 1),
	        offload_state(a->fd, &ifr, ETHTOOL_GFLAGS, ETH_FLAG_LRO), offload_state(a->fd, &ifr, ETHTOOL_GTSO, 1),
	        offload_state(a->fd, &ifr, ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN));
}

// Protocol 0 until the bind: no frame of another interface, and none before the ring is there, ever enters.
static int set_up(struct afpacket *a, const struct source_live_config *c, struct error *e)
{
	int block_ms = c->flush_ms < 1 || c->flush_ms > BLOCK_TIMEOUT_MAX_MS ? BLOCK_TIMEOUT_MAX_MS : c->flush_ms;
	int version = TPACKET_V3;
	int r;

	a->ifindex = strlen(c->interface) < IFNAMSIZ ? (int)if_nametoindex(c->interface) : 0;
	if (!a->ifindex)
		return no_such_interface(c->interface, e);
	if (c->snaplen && c->snaplen < SNAPLEN_MIN)
		return error_set(e, -EINVAL,
		        "snaplen %u cuts the Ethernet header; use %u or more, or 0 for whole frames", c->snaplen,
		        SNAPLEN_MIN);
	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0) {
		r = -errno;
		return error_set(e, r, "interface %s: no packet socket: %s; %s", c->interface, strerror(-r),
		        r == -EPERM ? "capture needs CAP_NET_RAW: run as root (sudo)"
		                    : "the kernel needs AF_PACKET (modprobe af_packet)");
	}
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	r = find_linktype(a, c->interface, e);
	if (r < 0)
		return r;
	if (setsockopt(a->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(e, -errno, "TPACKET_V3: %s; the kernel needs CONFIG_PACKET_MMAP", strerror(errno));
	if (c->snaplen && (r = attach_return(a->fd, c->snaplen)) < 0)
		return error_set(e, r, "interface %s: snaplen %u: %s", c->interface, c->snaplen, strerror(-r));
	r = set_up_ring(a, c, block_ms, e);
	if (r < 0)
		return r;
	if (c->promiscuous) {
		struct packet_mreq mreq = {.mr_ifindex = a->ifindex, .mr_type = PACKET_MR_PROMISC};
		if (setsockopt(a->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0)
			return error_set(e, -errno, "interface %s: promiscuous mode: %s; try --no-promisc",
			        c->interface, strerror(errno));
	}
	describe(a, c->interface, c->promiscuous, block_ms);
	r = bind_to(a->fd, a->ifindex, ETH_P_ALL);
	if (r < 0)
		return error_set(e, r, "interface %s: bind: %s; is it still there?", c->interface, strerror(-r));
	return 0;
}

int source_afpacket_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	struct afpacket *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return error_set(e, -ENOMEM, "interface %s: out of memory", config->interface);
	a->fd = a->wake_fd = -1;
	a->source.ops = &afpacket_ops;
	a->source.lanes = &a->lane;
	a->source.lane_count = 1;
	a->stats.mask = COUNTERS_DRIVER_RECEIVED | COUNTERS_DRIVER_DROPPED;
	a->lane.snaplen = config->snaplen;
	a->vlan_snaplen = config->snaplen ? config->snaplen - 4 : UINT32_MAX;
	snprintf(a->lane.interface, sizeof(a->lane.interface), "%s", config->interface);
	snprintf(a->source.name, sizeof(a->source.name), "%s", config->interface);
	r = set_up(a, config, e);
	if (r < 0) {
		afpacket_close(&a->source);
		return r;
	}
	ret_sources[0] = &a->source;
	return 1;
}

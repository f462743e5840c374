// SPDX-License-Identifier: Apache-2.0
// Opens an interface by AF_PACKET: sockets, rings, the fanout group that shares the interface's flows out, and how all
// of them start and end as one. Recorder process, before the sandbox; afpacket_cut: any thread. It reads no frame.
//
// Fanout: the kernel picks the ring by a hash over addresses and ports that is the same for both directions
// (fanout_demux_hash, __skb_get_hash_symmetric; commit eb70db875671), so a conversation stays in one lane. No
// PACKET_FANOUT_FLAG_DEFRAG: it would hand out frames that never were on the wire. Fragments hash by addresses alone,
// the first one too: they lie together, perhaps apart from the rest of their conversation. So does IPv6 with flow
// labels on kernels without a5e2151ff9d5.
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/sources/afpacket.h"
#include "sensor/sources/nic_time.h"
#include "sensor/sources/packet_socket.h"

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

#define BLOCKS_MIN 4u
#define BLOCKS_FANOUT_MIN 16u
// 50 ms at 10 Gbit/s
#define RING_BYTES_DEFAULT (64u << 20)
#define BLOCK_TIMEOUT_MAX_MS 100
#define ARPHRD_RAWIP 519 // linux/if_arp.h, which does not go together with net/if.h
#define SNAPLEN_MIN 16u  // both MAC addresses and a restored VLAN tag

// What takes the place of packet_socket_refuse when all rings stand. Loopback shows every frame twice, on leaving and
// on arriving: only the second is let in. (PACKET_IGNORE_OUTGOING does not work in a fanout group.)
static int accept_from_now(int fd, uint32_t snaplen, bool loopback)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, 0),
	        BPF_STMT(BPF_RET | BPF_K, snaplen ? snaplen : UINT32_MAX),
	};
	int none = 0;

	if (loopback)
		return packet_socket_filter(fd, code, 4);
	if (snaplen)
		return packet_socket_filter(fd, code + 3, 1);
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)) < 0 ? -errno : 0;
}

void afpacket_cut(struct afpacket_group *g)
{
	// None of these can fail for a reason that lets frames in.
	for (unsigned i = 0; i < g->count; i++)
		packet_socket_refuse(g->member[i]->fd);
	packet_fence_wait(g->fence_fd);
}

void afpacket_close(struct source *s)
{
	struct afpacket *a = (struct afpacket *)s;

	if (!a)
		return;
	if (a->ring)
		munmap(a->ring, (size_t)a->block_count * AFPACKET_BLOCK_BYTES);
	if (a->fd >= 0)
		close(a->fd);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	if (--a->group->left == 0) {
		if (a->group->fence_fd >= 0)
			close(a->group->fence_fd);
		free(a->group);
	}
	free(a);
}

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

static int find_linktype(struct afpacket *a, const char *name, unsigned direction, bool *ret_loopback, struct error *e)
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
	if (ioctl(a->fd, SIOCGIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "interface %s: its state cannot be read: %s", name, strerror(errno));
	if (!(ifr.ifr_flags & IFF_UP))
		return error_set(e, -ENETDOWN, "interface %s is down; bring it up: ip link set %s up", name, name);
	*ret_loopback = ifr.ifr_flags & IFF_LOOPBACK;
	if (*ret_loopback && direction == 2)
		return error_set(e, -ENOTSUP,
		        "interface %s: on loopback every frame is sent and received; it is recorded once, as received: "
		        "leave --direction out",
		        name);
	return 0;
}

// Flows do not spread evenly: several rings together have more than one alone.
static uint32_t ring_blocks(const struct source_live_config *c)
{
	uint32_t count = (c->ring_bytes ? c->ring_bytes : RING_BYTES_DEFAULT) / AFPACKET_BLOCK_BYTES;

	if (c->threads > 1) {
		count /= c->threads;
		if (count < BLOCKS_FANOUT_MIN)
			count = BLOCKS_FANOUT_MIN;
	}
	return count < BLOCKS_MIN ? BLOCKS_MIN : count;
}

static int set_up_ring(struct afpacket *a, const struct source_live_config *c, int block_ms, struct error *e)
{
	uint32_t count = ring_blocks(c);
	int r;

	for (;; count /= 2) {
		struct tpacket_req3 req = {
		        .tp_block_size = AFPACKET_BLOCK_BYTES,
		        .tp_block_nr = count,
		        .tp_frame_size = 2048, // without meaning in V3, but checked
		        .tp_frame_nr = count * (AFPACKET_BLOCK_BYTES / 2048),
		        .tp_retire_blk_tov = (unsigned)block_ms,
		};
		if (setsockopt(a->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) == 0)
			break;
		r = -errno;
		if (r != -ENOMEM || count / 2 < BLOCKS_MIN)
			return error_set(e, r, "interface %s: no kernel ring of %u MiB: %s; %s", c->interface, count,
			        strerror(-r), r == -ENOMEM ? "free some memory" : "this kernel needs TPACKET_V3");
	}
	a->ring = mmap(NULL, (size_t)count * AFPACKET_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (a->ring == MAP_FAILED) {
		r = -errno;
		a->ring = NULL;
		return error_set(e, r, "interface %s: mapping a ring of %u MiB: %s; free some memory", c->interface,
		        count, strerror(-r));
	}
	a->block_count = count;
	return 0;
}

static void describe(struct afpacket *a, const struct source_live_config *c, int block_ms)
{
	char offloads[120], fanout[48] = "";

	if (c->threads > 1)
		snprintf(fanout, sizeof(fanout), "%u rings by flow hash, each ", c->threads);
	packet_socket_offloads(a->fd, c->interface, offloads, sizeof(offloads));
	snprintf(a->source.detail, sizeof(a->source.detail),
	        "tpacket_v3, tap copy, %s time, %sring %" PRIu32 " MiB, block timeout %d ms, %s, %s",
	        c->nic_time ? "nic" : "kernel", fanout, a->block_count * (AFPACKET_BLOCK_BYTES >> 20), block_ms,
	        c->promiscuous ? "promiscuous" : "not promiscuous", offloads);
}

// Everything but the first frame: the socket is bound to nothing (protocol 0) and refuses what could come.
static int set_up(struct afpacket *a, const struct source_live_config *c, bool *ret_loopback, struct error *e)
{
	int block_ms = c->flush_ms < 1 || c->flush_ms > BLOCK_TIMEOUT_MAX_MS ? BLOCK_TIMEOUT_MAX_MS : c->flush_ms;
	int version = TPACKET_V3;
	int r;

	r = packet_socket_open(c->interface, &a->fd, e);
	if (r < 0)
		return r;
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	r = find_linktype(a, c->interface, c->direction, ret_loopback, e);
	if (r < 0)
		return r;
	if (setsockopt(a->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(e, -errno, "TPACKET_V3: %s; the kernel needs CONFIG_PACKET_MMAP", strerror(errno));
	if (c->nic_time) {
		int stamps = SOF_TIMESTAMPING_RAW_HARDWARE;

		r = nic_time_start(a->fd, c->interface, e);
		if (r < 0)
			return r;
		if (setsockopt(a->fd, SOL_PACKET, PACKET_TIMESTAMP, &stamps, sizeof(stamps)) < 0)
			return error_set(e, -errno, "interface %s: the NIC's time stamps: %s; use --time kernel",
			        c->interface, strerror(errno));
	}
	r = packet_socket_refuse(a->fd);
	if (r < 0)
		return error_set(e, r, "interface %s: socket filter: %s", c->interface, strerror(-r));
	r = set_up_ring(a, c, block_ms, e);
	if (r < 0)
		return r;
	if (c->promiscuous && a->group->count == 1) {
		struct packet_mreq mreq = {.mr_ifindex = a->group->ifindex, .mr_type = PACKET_MR_PROMISC};
		if (setsockopt(a->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0)
			return error_set(e, -errno, "interface %s: promiscuous mode: %s; try --no-promisc",
			        c->interface, strerror(errno));
	}
	describe(a, c, block_ms);
	return 0;
}

// The first member's group gets a number that the kernel chooses, so that it meets no other program's.
static int join(struct afpacket_group *g, unsigned i, int *id)
{
	int fd = g->member[i]->fd;
	socklen_t len = sizeof(*id);
	int arg = i == 0 ? (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID) << 16 : *id | PACKET_FANOUT_HASH << 16;

	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) < 0)
		return -errno;
	if (i == 0) {
		if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, id, &len) < 0)
			return -errno;
		*id &= 0xFFFF;
	}
	return 0;
}

// Bound, and as a group, while every ring still refuses all; opened at the end, so that no ring ever holds a flow that
// belongs into another one, and each is without a hole from its first frame on.
static int start(struct afpacket_group *g, const struct source_live_config *c, bool loopback, struct error *e)
{
	int id = 0, r = 0;

	for (unsigned i = 0; i < g->count && r == 0; i++)
		r = packet_socket_bind(g->member[i]->fd, g->ifindex, ETH_P_ALL);
	if (r < 0)
		return error_set(e, r, "interface %s: bind: %s; is it still there?", c->interface, strerror(-r));
	for (unsigned i = 0; i < g->count && g->count > 1 && r == 0; i++)
		r = join(g, i, &id);
	if (r < 0)
		return error_set(e, r, "interface %s: fanout over %u rings: %s; try --rx-threads 1", c->interface,
		        g->count, strerror(-r));
	for (unsigned i = 0; i < g->count && r == 0; i++)
		r = accept_from_now(g->member[i]->fd, c->snaplen, loopback);
	return r < 0 ? error_set(e, r, "interface %s: socket filter: %s", c->interface, strerror(-r)) : 0;
}

static int add_member(struct afpacket_group *g, const struct source_live_config *c, bool *ret_loopback, struct error *e)
{
	struct afpacket *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(e, -ENOMEM, "interface %s: out of memory", c->interface);
	g->member[g->count++] = a;
	g->left++;
	a->group = g;
	a->fd = a->wake_fd = -1;
	a->source.ops = &afpacket_ops;
	a->source.lanes = &a->lane;
	a->source.lane_count = 1;
	a->source.tells_direction = true;
	a->stats.mask = COUNTERS_DRIVER_RECEIVED | COUNTERS_DRIVER_DROPPED;
	a->nic_time = c->nic_time;
	a->lane.snaplen = c->snaplen;
	a->vlan_snaplen = c->snaplen ? c->snaplen - 4 : UINT32_MAX;
	snprintf(a->lane.interface, sizeof(a->lane.interface), "%s", c->interface);
	snprintf(a->source.name, sizeof(a->source.name), "%s", c->interface);
	return set_up(a, c, ret_loopback, e);
}

int source_afpacket_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	unsigned threads = config->threads ? config->threads : 1;
	struct afpacket_group *g;
	bool loopback = false;
	int ifindex = strlen(config->interface) < IFNAMSIZ ? (int)if_nametoindex(config->interface) : 0;
	int r;

	if (!ifindex)
		return no_such_interface(config->interface, e);
	if (config->snaplen && config->snaplen < SNAPLEN_MIN)
		return error_set(e, -EINVAL,
		        "snaplen %u cuts the Ethernet header; use %u or more, or 0 for whole frames", config->snaplen,
		        SNAPLEN_MIN);
	if (threads > SOURCES_PER_INTERFACE_MAX)
		return error_set(e, -EINVAL, "interface %s: at most %u RX threads", config->interface,
		        SOURCES_PER_INTERFACE_MAX);
	g = calloc(1, sizeof(*g));
	if (!g)
		return error_set(e, -ENOMEM, "interface %s: out of memory", config->interface);
	g->ifindex = ifindex;
	g->left = 1; // ours until all is well
	r = packet_fence_open(config->interface, &g->fence_fd, e);
	for (unsigned i = 0; i < threads && r == 0; i++)
		r = add_member(g, config, &loopback, e);
	if (r == 0)
		r = start(g, config, loopback, e);
	if (r == 0)
		for (unsigned i = 0; i < threads; i++)
			ret_sources[i] = &g->member[i]->source;
	else
		for (unsigned i = 0; i < g->count; i++)
			afpacket_close(&g->member[i]->source);
	if (--g->left == 0) {
		if (g->fence_fd >= 0)
			close(g->fence_fd);
		free(g);
	}
	return r < 0 ? r : (int)threads;
}

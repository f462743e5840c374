// SPDX-License-Identifier: Apache-2.0
// Opens an interface for the xdp driver: the program, and for each RX queue memory, rings and a socket. Recorder
// process, before the sandbox and before any thread.
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "sensor/sources/nic_time.h"
#include "sensor/sources/xdp.h"

#define LINKTYPE_ETHERNET 1
// Of all queues of an interface together.
// A chunk holds one frame of whatever size, so this is more than a ring needs that packs them.
#define RING_BYTES_DEFAULT (128u << 20)
#define QUEUE_BYTES_MIN (4u << 20)
// The kernel keeps this much free in front of every frame (XDP_PACKET_HEADROOM); the note lies in it.
#define CHUNK_HEADROOM 256u
// A rest of recv, and at most a quarter of what the ring covers at the rate of 64-byte frames at 10 Gbit/s (67 ns
// each).
#define REST_NS 300000L
#define FRAME_NS 64L
// linux/if_xdp.h of 6.6: a frame that a chunk does not hold comes as several descriptors.
#define USE_SG (1u << 4)
// Of busy poll: frames that one turn takes from the driver, and how long the kernel may look for them.
#define BUSY_POLL_BUDGET 64
#define BUSY_POLL_US 20
#define BUSY_TRIES 100
#define BUSY_WAIT_US 10000
#define SNAPLEN_MIN 16u // both MAC addresses and a restored VLAN tag

static void shared_release(struct xdp_shared *shared)
{
	if (!shared || --shared->users)
		return;
	xdp_program_detach(&shared->program);
	if (shared->packet_fd >= 0)
		close(shared->packet_fd);
	if (shared->wake_fd >= 0)
		close(shared->wake_fd);
	free(shared);
}

void xdp_source_close(struct source *s)
{
	struct xdp_source *x = (struct xdp_source *)s;

	if (!x)
		return;
	if (x->socket)
		xsk_socket__delete(x->socket);
	if (x->umem)
		xsk_umem__delete(x->umem);
	if (x->memory)
		munmap(x->memory, x->memory_bytes);
	free(x->scratch);
	shared_release(x->shared);
	free(x);
}

// Frames of the MTU with two VLAN tags. 0 when a page does not hold them: then they take several.
static uint32_t chunk_holds(unsigned mtu)
{
	unsigned frame = mtu + ETH_HLEN + 2 * 4;

	for (uint32_t chunk = 2048; chunk <= 4096; chunk *= 2)
		if (frame <= chunk - CHUNK_HEADROOM)
			return chunk;
	return 0;
}

static uint32_t power_of_two_below(uint64_t n)
{
	return 1u << (63 - __builtin_clzll(n));
}

static int set_up_memory(
        struct xdp_source *x, const struct source_live_config *c, const struct xdp_interface *i, struct error *e)
{
	uint64_t bytes = (c->ring_bytes ? c->ring_bytes : RING_BYTES_DEFAULT) / i->queues;
	struct xsk_umem_config config = {.frame_size = x->chunk_bytes, .comp_size = 64};
	uint32_t chunks, at;
	int r;

	if (bytes < QUEUE_BYTES_MIN)
		bytes = QUEUE_BYTES_MIN;
	chunks = power_of_two_below(bytes / x->chunk_bytes);
	// The kernel takes entries in runs and frees their places at the end of a run, of at most all chunks.
	config.fill_size = 2 * chunks;
	x->memory_bytes = (size_t)chunks * x->chunk_bytes;
	x->memory =
	        mmap(NULL, x->memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (x->memory == MAP_FAILED) {
		r = -errno;
		x->memory = NULL;
		return error_set(e, r, "interface %s: no memory for a ring of %zu MiB: %s; free some memory", i->name,
		        x->memory_bytes >> 20, strerror(-r));
	}
	r = xsk_umem__create(&x->umem, x->memory, x->memory_bytes, &x->fill, &x->completion, &config);
	if (r < 0)
		return error_set(e, r, "interface %s: AF_XDP memory of %zu MiB: %s; %s", i->name, x->memory_bytes >> 20,
		        strerror(-r),
		        r == -EPERM          ? "capture needs CAP_NET_RAW: run as root (sudo)"
		        : r == -EAFNOSUPPORT ? "the kernel needs CONFIG_XDP_SOCKETS; use --driver afpacket"
		                             : "free some memory, or raise the limit of locked memory (ulimit -l)");
	if (xsk_ring_prod__reserve(&x->fill, chunks, &at) != chunks)
		return error_set(
		        e, -ENOBUFS, "interface %s: the fill ring does not hold %" PRIu32 " chunks", i->name, chunks);
	for (uint32_t k = 0; k < chunks; k++)
		*xsk_ring_prod__fill_addr(&x->fill, at + k) = (uint64_t)k * x->chunk_bytes;
	xsk_ring_prod__submit(&x->fill, chunks);
	return (int)chunks;
}

static int set_up_socket(struct xdp_source *x, uint32_t chunks, const struct xdp_interface *i, struct error *e)
{
	struct xsk_socket_config config = {
	        .rx_size = chunks,
	        .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
	        // A driver's zero-copy queue would not feed a program in generic mode.
	        .bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (x->shared->program.native ? 0 : XDP_COPY) |
	                                 (x->shared->frags ? USE_SG : 0)),
	};
	int r, tries = 0;

	// The kernel lets go of a queue a moment after the socket there was closed, such as by the recorder before us.
	do
		r = xsk_socket__create(&x->socket, i->name, x->queue, x->umem, &x->rx, NULL, &config);
	while (r == -EBUSY && ++tries < BUSY_TRIES && usleep(BUSY_WAIT_US) == 0);
	if (r == -EINVAL && x->shared->frags)
		return error_set(e, -EMSGSIZE,
		        "interface %s: frames of MTU %u do not fit into a chunk of AF_XDP (MTU %u at most), and this "
		        "kernel does not give them in pieces (Linux 6.6 does); use --driver afpacket, or lower it: ip "
		        "link set %s mtu 1500",
		        i->name, i->mtu, 4096 - CHUNK_HEADROOM - ETH_HLEN - 2 * 4, i->name);
	if (r < 0)
		return error_set(e, r, "interface %s: AF_XDP socket on queue %u: %s%s", i->name, x->queue, strerror(-r),
		        r == -EBUSY ? "; another process has it, end that first (ss --xdp shows it)" : "");
	x->fd = xsk_socket__fd(x->socket);
	r = bpf_map_update_elem(x->shared->program.sockets_fd, &x->queue, &x->fd, BPF_ANY);
	return r < 0 ? error_set(e, r, "interface %s: queue %u: the socket does not go into the program's map: %s",
	                       i->name, x->queue, strerror(-r))
	             : 0;
}

static int set_up_busy_poll(struct xdp_source *x, const struct xdp_interface *i, struct error *e)
{
	int on = 1, us = BUSY_POLL_US, budget = BUSY_POLL_BUDGET;

	if (setsockopt(x->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) < 0 ||
	        setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us)) < 0 ||
	        setsockopt(x->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)) < 0)
		return error_set(e, -errno,
		        "interface %s: busy poll: %s; the kernel needs CONFIG_NET_RX_BUSY_POLL (Linux 5.11 or newer): "
		        "leave --busy-poll out",
		        i->name, strerror(errno));
	x->busy_poll = true;
	x->rest_ns = 0;
	return 0;
}

static int source_new(struct xdp_shared *shared, const struct source_live_config *c, const struct xdp_interface *i,
        unsigned queue, struct xdp_source **ret_source, struct error *e)
{
	struct xdp_source *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return error_set(e, -ENOMEM, "interface %s: out of memory", i->name);
	x->source.ops = &xdp_ops;
	x->source.lanes = &x->lane;
	x->source.lane_count = 1;
	x->source.tells_direction = true;
	x->lane.linktype = LINKTYPE_ETHERNET;
	x->lane.snaplen = c->snaplen;
	x->snaplen = c->snaplen ? c->snaplen : UINT32_MAX;
	x->chunk_bytes = shared->frags ? 4096 : chunk_holds(i->mtu);
	x->source.frame_max = shared->frags ? 0 : x->chunk_bytes - CHUNK_HEADROOM;
	x->source.own_queue = true;
	x->source.shunts = c->cutoff_bytes > 0;
	x->nic_time = c->nic_time;
	x->queue = queue;
	x->watches_link = queue == 0;
	x->shared = shared;
	shared->users++;
	memcpy(x->mac, i->mac, sizeof(x->mac));
	snprintf(x->lane.interface, sizeof(x->lane.interface), "%s", i->name);
	snprintf(x->source.name, sizeof(x->source.name), "%s", i->name);
	if (shared->frags)
		x->scratch = malloc(XDP_SCRATCH_BYTES);
	if (shared->frags && !x->scratch)
		r = error_set(e, -ENOMEM, "interface %s: out of memory", i->name);
	else
		r = set_up_memory(x, c, i, e);
	if (r >= 0)
		x->rest_ns = r * FRAME_NS / 4 < REST_NS ? r * FRAME_NS / 4 : REST_NS;
	if (r >= 0)
		r = set_up_socket(x, (uint32_t)r, i, e);
	if (r >= 0 && c->busy_poll)
		r = set_up_busy_poll(x, i, e);
	if (r < 0) {
		xdp_source_close(&x->source);
		return r;
	}
	*ret_source = x;
	return 0;
}

// Bound to a protocol that never comes off a wire: the socket is for events, promiscuous mode and the barrier.
static int set_up_packet_socket(struct xdp_shared *shared, const struct source_live_config *c, struct error *e)
{
	struct sockaddr_ll sll = {
	        .sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_DDCMP), .sll_ifindex = shared->index};
	struct packet_mreq mreq = {.mr_ifindex = shared->index, .mr_type = PACKET_MR_PROMISC};
	int r;

	shared->packet_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (shared->packet_fd < 0) {
		r = -errno;
		return error_set(e, r, "interface %s: no packet socket: %s; %s", c->interface, strerror(-r),
		        r == -EPERM ? "capture needs CAP_NET_RAW: run as root (sudo)"
		                    : "the kernel needs AF_PACKET (modprobe af_packet)");
	}
	if (c->promiscuous && setsockopt(shared->packet_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0)
		return error_set(e, -errno, "interface %s: promiscuous mode: %s; try --no-promisc", c->interface,
		        strerror(errno));
	if (bind(shared->packet_fd, (struct sockaddr *)&sll, sizeof(sll)) < 0)
		return error_set(
		        e, -errno, "interface %s: bind: %s; is it still there?", c->interface, strerror(errno));
	shared->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shared->wake_fd < 0 ? error_set(e, -errno, "eventfd: %s", strerror(errno)) : 0;
}

static bool is_zero_copy(const struct xdp_source *x)
{
	struct xdp_options options = {0};
	socklen_t len = sizeof(options);

	return getsockopt(x->fd, SOL_XDP, XDP_OPTIONS, &options, &len) == 0 && options.flags & XDP_OPTIONS_ZEROCOPY;
}

static long interface_number(const char *interface, const char *file)
{
	char path[96], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interface, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return text[0] ? strtol(text, NULL, 10) : -1;
}

// What the operator has set for it, and what the ring bridges when this thread gets no processor.
static void describe_busy_poll(const struct xdp_source *x, const struct xdp_interface *i, char *out, size_t size)
{
	uint64_t ns = (uint64_t)(x->memory_bytes / x->chunk_bytes) * FRAME_NS;

	if (x->busy_poll)
		snprintf(out, size,
		        ", busy poll (napi_defer_hard_irqs %ld, gro_flush_timeout %ld, ring holds %.1f ms of 64-byte "
		        "frames at 10 Gbit/s)",
		        interface_number(i->name, "napi_defer_hard_irqs"),
		        interface_number(i->name, "gro_flush_timeout"), (double)ns / 1e6);
}

static void describe(struct xdp_source *x, const struct source_live_config *c, const struct xdp_interface *i)
{
	const struct xdp_program *p = &x->shared->program;
	char mode[64] = "native", busy[128] = "";

	if (!p->native && p->native_error)
		snprintf(mode, sizeof(mode), "generic (native: %s)", strerror(p->native_error));
	else if (!p->native)
		snprintf(mode, sizeof(mode), "generic");
	describe_busy_poll(x, i, busy, sizeof(busy));
	snprintf(x->source.detail, sizeof(x->source.detail),
	        "driver %s, af_xdp %s, mode %s, %u queue%s of %zu x %" PRIu32
	        " B%s, tap take: takes received frames from the stack, %s time, %s, gro %s, rxvlan %s%s%s",
	        i->driver, is_zero_copy(x) ? "zero-copy" : "copy", mode, i->queues, i->queues > 1 ? "s" : "",
	        x->memory_bytes / x->chunk_bytes, x->chunk_bytes, x->scratch ? " (multi-buffer)" : "",
	        x->nic_time ? "nic" : "kernel", c->promiscuous ? "promiscuous" : "not promiscuous",
	        xdp_interface_feature(i, "rx-gro") ? "on" : "off",
	        p->tags                                        ? "restored"
	        : xdp_interface_feature(i, "rx-vlan-hw-parse") ? "on"
	                                                       : "off",
	        c->cutoff_bytes ? ", cutoff in the program" : "", busy);
}

static int check_config(const struct source_live_config *c, const struct xdp_interface *i, struct error *e)
{
	if (c->snaplen && c->snaplen < SNAPLEN_MIN)
		return error_set(e, -EINVAL,
		        "snaplen %u cuts the Ethernet header; use %u or more, or 0 for whole frames", c->snaplen,
		        SNAPLEN_MIN);
	if (c->direction == 2)
		return error_set(e, -ENOTSUP,
		        "interface %s: XDP sees no frame that this machine sends; use --driver afpacket", i->name);
	if (c->threads && c->threads != i->queues)
		return error_set(e, -EINVAL,
		        "interface %s: xdp takes one thread for each RX queue, here %u, and %u are asked for; leave "
		        "--rx-threads out, or change the queues: ethtool -L %s combined %u (or rx %u)",
		        i->name, i->queues, c->threads, i->name, c->threads, c->threads);
	return 0;
}

int source_xdp_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	struct xdp_shared *shared;
	struct xdp_interface i;
	unsigned n = 0;
	int r;

	libbpf_set_print(NULL);
	libxdp_set_print(NULL);
	r = xdp_interface_read(config->interface, &i, e);
	if (r >= 0)
		r = check_config(config, &i, e);
	if (r < 0)
		return r;
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return error_set(e, -ENOMEM, "interface %s: out of memory", i.name);
	shared->packet_fd = shared->wake_fd = shared->program.link_fd = -1;
	shared->index = i.index;
	shared->sources = i.queues;
	shared->frags = chunk_holds(i.mtu) == 0;
	shared->users = 1;
	r = set_up_packet_socket(shared, config, e);
	if (r >= 0 && config->nic_time)
		r = nic_time_start(shared->packet_fd, i.name, e);
	if (r >= 0)
		r = xdp_program_attach(&shared->program, &i, shared->frags, config, e);
	if (r >= 0)
		r = xdp_interface_check_offloads(&i, shared->program.native, shared->program.tags, e);
	while (r >= 0 && n < i.queues) {
		struct xdp_source *x = NULL;

		r = source_new(shared, config, &i, n, &x, e);
		if (r >= 0) {
			describe(x, config, &i);
			ret_sources[n++] = &x->source;
		}
	}
	if (r < 0) {
		while (n)
			xdp_source_close(ret_sources[--n]);
		shared_release(shared);
		return r;
	}
	// Release: every socket is in the map before the program gives the first frame away.
	__atomic_store_n(shared->program.taking, 1, __ATOMIC_RELEASE);
	shared_release(shared);
	return (int)n;
}

// SPDX-License-Identifier: Apache-2.0
// Inside of the xdp driver: what an interface is, the program on it, and one socket with its memory for each RX queue.
// Recorder process only.
#pragma once

#include <stdatomic.h>
#include <xdp/xsk.h>

#include "bpf/xdp_take.h"
#include "sealtap/source.h"

// What the kernel says of an interface, read once at open.
struct xdp_interface {
	char name[16];
	char kind[32]; // of a virtual interface: "veth", "bridge"; empty for hardware
	char driver[32];
	int index;
	int peer; // index of a veth's other end; 0 when that is in another network namespace
	unsigned mtu;
	unsigned queues;
	uint8_t mac[6];
};

// Reads and judges it: -ENODEV, -ENETDOWN, or -ENOTSUP for what XDP cannot record, with what to do instead.
int xdp_interface_read(const char *name, struct xdp_interface *ret_interface, struct error *e);
// True when the feature is on. Names as `ethtool -k` of the kernel's own list, such as "rx-vlan-hw-parse".
bool xdp_interface_feature(const struct xdp_interface *i, const char *feature);
// Refuses what would lose a VLAN tag, or in generic mode record merged frames. tags: the program restores them.
int xdp_interface_check_offloads(const struct xdp_interface *i, bool native, bool tags, struct error *e);

struct xdp_take;
struct xdp_take_tags;

// The program, loaded and attached by a BPF link: gone with the last descriptor of it, also after SIGKILL.
struct xdp_program {
	struct xdp_take *plain; // one of the two
	struct xdp_take_tags *with_tags;
	volatile __u32 *taking;
	struct xdp_take_slot *slots;
	volatile __u64 *named; // numbers of flows that are to be left out; NULL: it is not told
	int link_fd;
	int sockets_fd;
	int native_error; // why it is generic mode, 0 when native
	bool native;
	bool tags; // the program restores VLAN tags
};

// frags: the program shall get frames that lie in several buffers (Linux 5.18). nic_time: with the NIC's time stamps,
// or not at all. Of the config the cutoff counts, and whether it is told of which flows.
int xdp_program_attach(struct xdp_program *p, const struct xdp_interface *i, bool frags,
        const struct source_live_config *config, struct error *e);
void xdp_program_detach(struct xdp_program *p);

// Shared by the sources of an interface; freed with the last of them.
struct xdp_shared {
	struct xdp_program program;
	int packet_fd; // receives nothing: promiscuous mode, link events, and its bind as a barrier
	int wake_fd;   // readable once cut or gone
	int index;
	unsigned users;
	unsigned sources;
	bool frags;              // a frame may come as several descriptors
	atomic_bool interrupted; // the first interrupt does the work
	atomic_bool cut;         // no frame can enter a ring any more; pairs with the acquire in recv
	atomic_bool gone;        // the interface was removed: the rings drain, then -ENODEV
};

// Frames of several descriptors in one batch: as many bytes of them.
#define XDP_SCRATCH_BYTES (1u << 20)

struct xdp_source {
	struct source source;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	uint8_t *memory;
	uint32_t chunk_bytes;
	uint32_t loan_at; // ring index of the batch on loan
	uint32_t loan;    // descriptors on loan
	uint32_t snaplen; // UINT32_MAX: none
	long rest_ns;     // while the ring holds little
	bool nic_time;    // asked for
	bool busy_poll;   // no sleep: recv runs the driver's receive loop itself
	uint8_t *scratch; // where frames of several descriptors are put together; NULL: there are none
	uint32_t scratch_used;
	uint64_t real_minus_mono_ns;
	uint64_t offset_span_ns; // twice its error; 0: not read yet
	uint64_t offset_read_ns; // CLOCK_MONOTONIC
	uint64_t looked_ns;      // for events, when busy; CLOCK_MONOTONIC
	uint64_t delivered;
	uint8_t mac[6];
	bool watches_link; // the first source of an interface
	int fd;
	unsigned queue;
	int64_t drain_until_ns;
	struct xdp_shared *shared;
	struct xsk_socket *socket;
	struct xsk_umem *umem;
	struct xsk_ring_cons completion;
	size_t memory_bytes;
	struct source_lane lane;
};

extern const struct source_ops xdp_ops;
void xdp_source_close(struct source *s);

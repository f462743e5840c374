// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Takes every frame of an interface for the recorder: notes its time in front of it, counts it and redirects it to the
// AF_XDP socket of its queue. Kernel, softirq; in generic mode several CPUs may run it for one queue at once, hence the
// atomic additions. It reads no byte of a frame but, with a cutoff, the headers of TCP and UDP: what a flow sends
// beyond the cutoff it counts and takes, and gives to nobody. Compiled twice: with XDP_TAKE_TAGS it also asks the
// driver for the VLAN tag that is not in the frame, and for the NIC's time; the kernel (6.8) allows that in native mode
// only, to a program bound to a device.
#include "xdp_take.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Written by the driver before it loads: what is not asked for is cut out by the kernel's verifier.
const volatile __u64 cutoff_bytes;
const volatile __u32 only_named; // only flows of which the recorder says so are left out beyond the cutoff
const volatile __u32 has_frags;  // a frame may lie in several buffers (Linux 5.18)

// Written by the driver through its mapping. 0: every frame goes on to the stack, as if there were no program.
volatile __u32 taking;
struct xdp_take_slot slots[XDP_TAKE_SLOTS];

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_TAKE_QUEUES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} sockets SEC(".maps");

// The kernel forgets the flow longest unused for a new one: more is recorded then, never less.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHUNT_FLOWS);
	__uint(key_size, sizeof(struct shunt_key));
	__uint(value_size, sizeof(struct xdp_take_flow));
} flows SEC(".maps");

// With only_named: the numbers of flows that are to be left out, each in the place of its lowest bits. Written by the
// recorder through its mapping; one that another has taken the place of is recorded on.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHUNT_FLOWS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
} named SEC(".maps");

#ifdef XDP_TAKE_TAGS
// Written by the driver before it attaches.
volatile __u32 wants_nic_time;

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *ns) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *tpid_be, __u16 *tci) __ksym;
#endif

// What the driver knows beside the frame.
#ifdef XDP_TAKE_TAGS
static __always_inline void ask_driver(struct xdp_md *ctx, struct xdp_take_note *note)
{
	__be16 tpid_be = 0;
	__u16 tci = 0;
	__u64 ns = 0;

	if (wants_nic_time && bpf_xdp_metadata_rx_timestamp(ctx, &ns) == 0)
		note->nic_ns = ns;
	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid_be, &tci) == 0) {
		note->vlan_tpid = bpf_ntohs(tpid_be);
		note->vlan_tci = tci;
	}
}
#endif

// 64 random bits: no two flows get the same.
static __always_inline __u64 draw_number(void)
{
	return only_named ? (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32() : 0;
}

static __always_inline int is_named(__u64 number)
{
	__u32 index = (__u32)number % SHUNT_FLOWS;
	const volatile __u64 *is = bpf_map_lookup_elem(&named, &index);

	return is && number && *is == number;
}

// Adds the frame to its flow, or says 1: the flow has reached the cutoff. Two CPUs that meet in one flow may both
// record a frame where one would have been left out, and each byte that counts was given to the socket.
static __always_inline int is_beyond(struct xdp_md *ctx, struct xdp_take_note *note, __u64 bytes)
{
	const __u8 *at = (const __u8 *)(long)ctx->data, *end = (const __u8 *)(long)ctx->data_end;
	struct xdp_take_flow *flow, begun = {};
	struct shunt_frame frame;

	if (!shunt_read(at, end, note->vlan_tpid, note->vlan_tci, &frame))
		return 0;
	flow = bpf_map_lookup_elem(&flows, &frame.key);
	if (!flow) {
		begun.counted.bytes = bytes;
		begun.counted.last_ns = note->mono_ns;
		begun.number = note->flow = draw_number();
		bpf_map_update_elem(&flows, &frame.key, &begun, BPF_NOEXIST);
		return 0;
	}
	if (shunt_begins(&flow->counted, &frame, note->mono_ns)) {
		flow->counted.bytes = 0;
		flow->number = draw_number();
	}
	flow->counted.last_ns = note->mono_ns;
	note->flow = flow->number;
	if (shunt_beyond(&flow->counted, &frame, cutoff_bytes) && (!only_named || is_named(note->flow)))
		return 1;
	__sync_fetch_and_add(&flow->counted.bytes, bytes);
	return 0;
}

static __always_inline __u64 bytes_of(struct xdp_md *ctx, const struct xdp_take_note *note)
{
	__u64 bytes = has_frags ? bpf_xdp_get_buff_len(ctx) : ctx->data_end - ctx->data;

	return note->vlan_tpid ? bytes + SHUNT_TAG_BYTES : bytes; // as it would be recorded
}

static __always_inline int write_note(struct xdp_md *ctx, const struct xdp_take_note *note)
{
	struct xdp_take_note *to;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)) < 0)
		return -1;
	to = (void *)(long)ctx->data_meta;
	if ((void *)(to + 1) > (void *)(long)ctx->data)
		return -1;
	*to = *note;
	return 0;
}

SEC("xdp")
int xdp_take(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	__u32 index = queue < XDP_TAKE_QUEUES ? queue : XDP_TAKE_QUEUES;
	struct xdp_take_slot *slot = &slots[index];
	struct xdp_take_note note = {};
	__u64 bytes;
	int verdict;

	if (!taking)
		return XDP_PASS;
	verdict = bpf_redirect_map(&sockets, queue, XDP_PASS);
	if (verdict != XDP_REDIRECT) {
		__sync_fetch_and_add(&slot->missed, 1);
		return XDP_PASS;
	}
	note.mono_ns = bpf_ktime_get_ns();
#ifdef XDP_TAKE_TAGS
	ask_driver(ctx, &note);
#endif
	if (cutoff_bytes) {
		bytes = bytes_of(ctx, &note);
		if (is_beyond(ctx, &note, bytes)) {
			__sync_fetch_and_add(&slot->shunted_bytes, bytes);
			__sync_fetch_and_add(&slot->shunted, 1);
			return XDP_DROP;
		}
	}
	__sync_fetch_and_add(&slot->redirected, 1);
	if (write_note(ctx, &note) < 0)
		__sync_fetch_and_add(&slot->untimed, 1);
	return verdict;
}

char take_license[] SEC("license") = "Dual BSD/GPL";

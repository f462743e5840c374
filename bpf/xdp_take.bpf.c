// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Takes every frame of an interface for the recorder: notes its time in front of it, counts it and redirects it to the
// AF_XDP socket of its queue. Kernel, softirq; in generic mode several CPUs may run it for one queue at once, hence the
// atomic additions. It reads no byte of a frame. Compiled twice: with XDP_TAKE_TAGS it also asks the driver for the
// VLAN tag that is not in the frame, and for the NIC's time; the kernel (6.8) allows that in native mode only, to a
// program bound to a device.
#include "xdp_take.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Written by the driver through its mapping. 0: every frame goes on to the stack, as if there were no program.
volatile __u32 taking;
struct xdp_take_slot slots[XDP_TAKE_SLOTS];

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_TAKE_QUEUES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} sockets SEC(".maps");

#ifdef XDP_TAKE_TAGS
// Written by the driver before it attaches.
volatile __u32 wants_nic_time;

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *ns) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *tpid_be, __u16 *tci) __ksym;
#endif

static __always_inline int write_note(struct xdp_md *ctx)
{
	struct xdp_take_note note = {};
	struct xdp_take_note *to;

#ifdef XDP_TAKE_TAGS
	__be16 tpid_be = 0;
	__u16 tci = 0;
	__u64 ns = 0;

	if (wants_nic_time && bpf_xdp_metadata_rx_timestamp(ctx, &ns) == 0)
		note.nic_ns = ns;
	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &tpid_be, &tci) == 0) {
		note.vlan_tpid = bpf_ntohs(tpid_be);
		note.vlan_tci = tci;
	}
#endif
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(note)) < 0)
		return -1;
	to = (void *)(long)ctx->data_meta;
	if ((void *)(to + 1) > (void *)(long)ctx->data)
		return -1;
	note.mono_ns = bpf_ktime_get_ns();
	*to = note;
	return 0;
}

SEC("xdp")
int xdp_take(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	__u32 index = queue < XDP_TAKE_QUEUES ? queue : XDP_TAKE_QUEUES;
	struct xdp_take_slot *slot = &slots[index];
	int verdict;

	if (!taking)
		return XDP_PASS;
	verdict = bpf_redirect_map(&sockets, queue, XDP_PASS);
	if (verdict != XDP_REDIRECT) {
		__sync_fetch_and_add(&slot->missed, 1);
		return XDP_PASS;
	}
	__sync_fetch_and_add(&slot->redirected, 1);
	if (write_note(ctx) < 0)
		__sync_fetch_and_add(&slot->untimed, 1);
	return verdict;
}

char take_license[] SEC("license") = "Dual BSD/GPL";

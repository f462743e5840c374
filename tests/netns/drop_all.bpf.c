// SPDX-License-Identifier: Apache-2.0
// An XDP program of somebody else that takes every frame: the interface counts them, and no packet socket sees one.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int drop_all(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char drop_license[] SEC("license") = "Apache-2.0";

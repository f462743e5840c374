// SPDX-License-Identifier: Apache-2.0
// For the egress of a veth: gives every frame an 802.1Q tag beside it, as a VLAN interface does for hardware that
// inserts tags. The frame itself stays as it is.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int push_tag(struct __sk_buff *skb)
{
	return bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 0x2007) < 0 ? TC_ACT_SHOT : TC_ACT_OK;
}

char push_license[] SEC("license") = "Apache-2.0";

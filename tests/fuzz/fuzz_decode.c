// SPDX-License-Identifier: Apache-2.0
// Any bytes as one packet of any link type: what decode says of it lies within the packet and agrees with itself.
// The first two bytes are the link type, the next the bytes that were on the wire but not captured.
#include "analyzers/decode.h"
#include "tests/fuzz/fuzz.h"

static void check_flow(const struct decoded *d, unsigned i, const uint8_t *data, size_t size)
{
	const struct decoded_flow *f = &d->flows[i];

	MUST(f->l3 >= data && f->l3 + f->l3_len <= data + size);
	MUST(f->l3_len > 0 && f->l3_len <= f->ip_bytes && f->ip_bytes <= f->bytes);
	MUST(f->ip_version == 4 || f->ip_version == 6);
	MUST(f->vlan_count <= FLOW_VLANS_MAX);
	MUST(f->fragment || !f->fragment_first);
	MUST(!f->fragment || f->fragment_first || !f->has_ports);
	MUST(f->has_ports || (f->src_port == 0 && f->dest_port == 0));
	MUST(f->tunnel.kind < FLOW_TUNNEL_KINDS && f->tunnel.depth == i);
	MUST(i == 0 || f->l3 > d->flows[i - 1].l3);
	MUST((f->tunnel.kind == FLOW_TUNNEL_NONE) == (i == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoded d, again;
	uint32_t linktype, more;

	if (size < 3)
		return 0;
	linktype = data[0] | (uint32_t)data[1] << 8;
	more = data[2] * 16u;
	data += 3;
	size -= 3;
	decode_packet(linktype, data, (uint32_t)size, (uint32_t)size + more, &d);
	MUST(d.count <= DECODE_FLOWS_MAX && (d.count > 0) == (d.end == DECODE_IP));
	MUST(d.count > 0 || !d.inner_malformed);
	for (unsigned i = 0; i < d.count; i++)
		check_flow(&d, i, data, size);
	// A packet that was cut has no flow that the whole one does not have.
	decode_packet(linktype, data, (uint32_t)(size / 2), (uint32_t)size + more, &again);
	MUST(again.count <= d.count);
	return 0;
}

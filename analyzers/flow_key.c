// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_key.h"

#include <string.h>

#define PROTO_ICMP 1
#define PROTO_ICMPV6 58

struct icmp_pair {
	uint8_t type, answer;
};

// RFC 792, 950, 1256; RFC 4443, 2710, 4861, 4620, 4068.
static const struct icmp_pair pairs_v4[] = {
        {8, 0}, {0, 8}, {13, 14}, {14, 13}, {15, 16}, {16, 15}, {10, 9}, {9, 10}, {17, 18}, {18, 17}};
static const struct icmp_pair pairs_v6[] = {{128, 129}, {129, 128}, {133, 134}, {134, 133}, {135, 136}, {136, 135},
        {130, 131}, {131, 130}, {144, 145}, {145, 144}, {139, 140}, {140, 139}};

bool icmp_ports(uint8_t ip_version, uint8_t type, uint8_t code, uint16_t *ret_src, uint16_t *ret_dest)
{
	const struct icmp_pair *pairs = ip_version == 4 ? pairs_v4 : pairs_v6;
	const size_t count = ip_version == 4 ? sizeof(pairs_v4) / sizeof(*pairs) : sizeof(pairs_v6) / sizeof(*pairs);

	*ret_src = type;
	*ret_dest = code;
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].type == type) {
			*ret_dest = pairs[i].answer;
			return false;
		}
	}
	return true;
}

unsigned flow_key_make(const struct decoded_flow *p, struct flow_key *ret_key)
{
	struct flow_key *k = ret_key;
	uint16_t from = p->src_port, to = p->dest_port;
	unsigned src = 0;
	int order;

	memset(k, 0, sizeof(*k));
	if (p->has_ports && (p->proto == PROTO_ICMP || p->proto == PROTO_ICMPV6))
		k->one_way = icmp_ports(p->proto == PROTO_ICMP ? 4 : 6, p->icmp_type, p->icmp_code, &from, &to);
	order = memcmp(p->src, p->dest, FLOW_ADDR_LEN);
	if (!k->one_way && (order > 0 || (order == 0 && from > to)))
		src = 1;
	memcpy(k->addr[src], p->src, FLOW_ADDR_LEN);
	memcpy(k->addr[!src], p->dest, FLOW_ADDR_LEN);
	k->port[src] = from;
	k->port[!src] = to;
	memcpy(k->vlan, p->vlan, sizeof(k->vlan));
	if (p->tunnel.kind == FLOW_TUNNEL_VXLAN || p->tunnel.kind == FLOW_TUNNEL_GENEVE)
		k->tunnel_id = p->tunnel.id;
	k->tunnel = (uint8_t)(p->tunnel.kind | p->tunnel.depth << 4);
	k->proto = p->proto;
	k->ip_version = p->ip_version;
	return src;
}

void flow_key_of_record(const struct flow_record *r, struct flow_key *ret_key)
{
	struct decoded_flow p = {.src_port = r->src_port,
	        .dest_port = r->dest_port,
	        .vlan_count = r->vlan_count,
	        .ip_version = r->ip_version,
	        .proto = r->proto,
	        .icmp_type = r->icmp_type,
	        .icmp_code = r->icmp_code,
	        .has_ports = r->groups & (FLOW_GROUP_PORTS | FLOW_GROUP_ICMP),
	        .tunnel = r->tunnel};

	memcpy(p.src, r->src, FLOW_ADDR_LEN);
	memcpy(p.dest, r->dest, FLOW_ADDR_LEN);
	memcpy(p.vlan, r->vlan, sizeof(p.vlan));
	flow_key_make(&p, ret_key);
}

// 64 by 64 bits to 128, folded: each bit of the input reaches each bit of the output. The seed is secret, so that
// nobody can send packets that all fall into one bucket.
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t flow_key_hash(const struct flow_key *key, uint64_t seed)
{
	uint64_t w[6], h;

	memcpy(w, key, sizeof(w));
	h = fold(w[0] ^ seed, w[1] ^ 0x9e3779b97f4a7c15ull);
	h = fold(h ^ w[2], w[3] ^ seed ^ 0xbf58476d1ce4e5b9ull);
	h = fold(h ^ w[4], w[5] ^ 0x94d049bb133111ebull);
	h = fold(h ^ seed, 0xd6e8feb86659fd93ull);
	return (uint32_t)h ^ (uint32_t)(h >> 32);
}

bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

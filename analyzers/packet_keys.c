// SPDX-License-Identifier: Apache-2.0
#include "analyzers/packet_keys.h"

#include <string.h>

#include "sealtap/cursor.h"

#define LINKTYPE_ETHERNET 1
#define ETHERTYPE_IP 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_RARP 0x8035
#define ETHERTYPE_IPV6 0x86dd
#define ETHER_BYTES 14u
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_DCCP 33
#define PROTO_SCTP 132
#define PROTO_UDPLITE 136

enum { KIND_HOST = 2, KIND_PORT, KIND_CONVERSATION, KIND_COMMUNITY_ID };

// 64 by 64 bits to 128, folded. Not secret: whoever fills the filters of a block costs its reader time, and no packet.
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xbf58476d1ce4e5b9u);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t key(unsigned kind, uint64_t value)
{
	return mix(mix(value, kind), 0x94d049bb133111ebu) | 1; // never 0
}

static uint64_t host(uint8_t ip_version, const uint8_t addr[FLOW_ADDR_LEN])
{
	uint64_t half[2];

	memcpy(half, addr, sizeof(half));
	return mix(half[0] ^ ip_version, half[1]);
}

uint64_t key_of_host(uint8_t ip_version, const uint8_t addr[FLOW_ADDR_LEN])
{
	return key(KIND_HOST, host(ip_version, addr));
}

uint64_t key_of_port(uint16_t port)
{
	return key(KIND_PORT, port);
}

uint64_t key_of_conversation(uint8_t ip_version, const uint8_t a[FLOW_ADDR_LEN], const uint8_t b[FLOW_ADDR_LEN],
        uint16_t port_a, uint16_t port_b)
{
	const uint32_t low = port_a < port_b ? port_a : port_b, high = port_a < port_b ? port_b : port_a;

	return key(KIND_CONVERSATION, mix(host(ip_version, a) + host(ip_version, b), low << 16 | high));
}

uint64_t key_of_community_id(const char *id)
{
	uint64_t h = 0;

	for (size_t i = 0; id[i] != '\0'; i++)
		h = mix(h, (uint8_t)id[i]);
	return key(KIND_COMMUNITY_ID, h);
}

static void add(struct packet_keys *keys, uint64_t value)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (keys->key[i] == value)
			return;
	keys->key[keys->count++] = value;
}

static void add_ends(
        struct packet_keys *keys, uint8_t ip_version, const uint8_t *src, const uint8_t *dest, const uint8_t *ports)
{
	uint16_t from, to;

	add(keys, key_of_host(ip_version, src));
	add(keys, key_of_host(ip_version, dest));
	if (!ports)
		return;
	from = (uint16_t)(ports[0] << 8 | ports[1]);
	to = (uint16_t)(ports[2] << 8 | ports[3]);
	add(keys, key_of_port(from));
	add(keys, key_of_port(to));
	add(keys, key_of_conversation(ip_version, src, dest, from, to));
}

bool key_has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP || proto == PROTO_DCCP ||
	       proto == PROTO_UDPLITE;
}

static bool pcap_reads_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

// An address of len bytes at offset, widened. NULL when it is not there.
static const uint8_t *address(
        const uint8_t *data, uint32_t caplen, uint32_t offset, uint32_t len, uint8_t out[FLOW_ADDR_LEN])
{
	if (offset + len > caplen)
		return NULL;
	memset(out, 0, FLOW_ADDR_LEN);
	return memcpy(out, data + offset, len);
}

// Both ports, as far as they were captured: a source port alone can match.
static const uint8_t *ports_at(const uint8_t *data, uint32_t caplen, uint32_t offset, uint8_t out[4])
{
	if (offset + 2 > caplen)
		return NULL;
	memset(out, 0, 4);
	return memcpy(out, data + offset, offset + 4 <= caplen ? 4 : 2);
}

// Where libpcap's code for Ethernet looks, which checks neither versions nor lengths.
static void add_as_pcap_reads(struct packet_keys *keys, const uint8_t *data, uint32_t caplen)
{
	uint8_t src[FLOW_ADDR_LEN], dest[FLOW_ADDR_LEN], both[4];
	const uint8_t *ports = NULL;
	unsigned ethertype;

	if (caplen < ETHER_BYTES)
		return;
	ethertype = (unsigned)(data[12] << 8 | data[13]);
	if (ethertype == ETHERTYPE_IP) {
		if (!address(data, caplen, ETHER_BYTES + 12, 4, src))
			return;
		if (!address(data, caplen, ETHER_BYTES + 16, 4, dest))
			memset(dest, 0, sizeof(dest));
		if (pcap_reads_ports(data[ETHER_BYTES + 9]) &&
		        ((data[ETHER_BYTES + 6] & 0x1f) | data[ETHER_BYTES + 7]) == 0)
			ports = ports_at(data, caplen, ETHER_BYTES + (data[ETHER_BYTES] & 15u) * 4, both);
		add_ends(keys, 4, src, dest, ports);
	} else if (ethertype == ETHERTYPE_IPV6) {
		if (!address(data, caplen, ETHER_BYTES + 8, 16, src))
			return;
		if (!address(data, caplen, ETHER_BYTES + 24, 16, dest))
			memset(dest, 0, sizeof(dest));
		if (pcap_reads_ports(data[ETHER_BYTES + 6]))
			ports = ports_at(data, caplen, ETHER_BYTES + 40, both);
		add_ends(keys, 6, src, dest, ports);
	} else if (ethertype == ETHERTYPE_ARP || ethertype == ETHERTYPE_RARP) {
		if (!address(data, caplen, ETHER_BYTES + 14, 4, src))
			return;
		if (!address(data, caplen, ETHER_BYTES + 24, 4, dest))
			memset(dest, 0, sizeof(dest));
		add_ends(keys, 4, src, dest, NULL);
	}
}

// Ports that decode could not read may still be where libpcap looks.
static bool lacks_ports(const struct decoded_flow *f)
{
	return pcap_reads_ports(f->proto) && !f->has_ports && (!f->fragment || f->fragment_first);
}

void packet_keys_make(
        uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen, struct packet_keys *ret_keys)
{
	struct packet_keys *keys = ret_keys;

	keys->count = 0;
	decode_packet(linktype, data, caplen, origlen, &keys->decoded);
	if (linktype == LINKTYPE_ETHERNET)
		add_as_pcap_reads(keys, data, caplen);
	else if (keys->decoded.end != DECODE_IP || lacks_ports(&keys->decoded.flows[0]))
		add(keys, KEY_OF_ANYTHING);
	for (unsigned i = 0; i < keys->decoded.count; i++) {
		const struct decoded_flow *f = &keys->decoded.flows[i];
		const uint8_t ports[4] = {(uint8_t)(f->src_port >> 8), (uint8_t)f->src_port,
		        (uint8_t)(f->dest_port >> 8), (uint8_t)f->dest_port};

		add_ends(keys, f->ip_version, f->src, f->dest, f->has_ports && key_has_ports(f->proto) ? ports : NULL);
		if (f->fragment && !f->fragment_first)
			add(keys, KEY_OF_FRAGMENT);
	}
}

// SPDX-License-Identifier: Apache-2.0
// Any bytes as a packet: a host or port that libpcap finds in it must be among its keys, or the packet must be one that
// can be anything. The first byte picks the link type.
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <string.h>

#include "analyzers/packet_keys.h"
#include "tests/fuzz/fuzz.h"

static const struct {
	uint32_t linktype;
	int dlt;
} links[] = {{1, DLT_EN10MB}, {101, DLT_RAW}, {113, DLT_LINUX_SLL}, {276, DLT_LINUX_SLL2}, {0, DLT_NULL}};

static bool accepts(int dlt, const char *expression, const uint8_t *data, uint32_t len)
{
	pcap_t *dead = pcap_open_dead(dlt, 262144);
	struct bpf_program program;
	bool accepted;

	MUST(dead && pcap_compile(dead, &program, expression, 1, PCAP_NETMASK_UNKNOWN) == 0);
	accepted = bpf_filter(program.bf_insns, data, len, len) != 0;
	pcap_freecode(&program);
	pcap_close(dead);
	return accepted;
}

static bool has(const struct packet_keys *keys, uint64_t key)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (keys->key[i] == key || keys->key[i] == KEY_OF_ANYTHING)
			return true;
	return false;
}

static void try_host(
        const struct packet_keys *keys, int dlt, const uint8_t *data, uint32_t len, uint32_t at, int version)
{
	const uint32_t addr_len = version == 4 ? 4 : 16;
	char text[INET6_ADDRSTRLEN], expression[80];
	uint8_t addr[FLOW_ADDR_LEN] = {0};

	if (at + addr_len > len)
		return;
	memcpy(addr, data + at, addr_len);
	inet_ntop(version == 4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	snprintf(expression, sizeof(expression), "host %s", text);
	if (accepts(dlt, expression, data, len))
		MUST(has(keys, key_of_host((uint8_t)version, addr)));
}

static void try_port(const struct packet_keys *keys, int dlt, const uint8_t *data, uint32_t len, uint32_t at)
{
	char expression[32];
	uint16_t port;

	if (at + 2 > len)
		return;
	port = (uint16_t)(data[at] << 8 | data[at + 1]);
	snprintf(expression, sizeof(expression), "port %u", port);
	if (accepts(dlt, expression, data, len))
		MUST(has(keys, key_of_port(port)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t link_bytes[] = {14, 0, 16, 20, 4};
	struct packet_keys keys;
	uint32_t len, link, l3;

	if (size < 2 || size > 4096)
		return 0;
	link = data[0] % (sizeof(links) / sizeof(*links));
	len = (uint32_t)size - 1;
	l3 = link_bytes[link];
	data++;
	packet_keys_make(links[link].linktype, data, len, len, &keys);
	MUST(keys.count <= sizeof(keys.key) / sizeof(*keys.key));
	// Where IPv4, ARP and IPv6 have their addresses, and TCP and UDP behind them their ports.
	for (unsigned i = 12; i <= 28; i += 4)
		try_host(&keys, links[link].dlt, data, len, l3 + i, 4);
	try_host(&keys, links[link].dlt, data, len, l3 + 14, 4);
	try_host(&keys, links[link].dlt, data, len, l3 + 8, 6);
	try_host(&keys, links[link].dlt, data, len, l3 + 24, 6);
	for (unsigned i = 0; i <= 60; i += 4) {
		try_port(&keys, links[link].dlt, data, len, l3 + i);
		try_port(&keys, links[link].dlt, data, len, l3 + i + 2);
	}
	return 0;
}

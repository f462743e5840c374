// SPDX-License-Identifier: Apache-2.0
// What the two halves of the libpcap source share: pcap_open.c sets the handle up before the sandbox closes,
// source_pcap.c moves packets.
#pragma once

#include <pcap/pcap.h>
#include <stdatomic.h>

#include "sealtap/source.h"

#define LINKTYPE_LINUX_SLL 113
#define LINKTYPE_LINUX_SLL2 276

// libpcap's own limit; the buffer holds a batch, and behind its limit one packet more.
#define PCAP_DRIVER_SNAPLEN_MAX 262144u
#define PCAP_DRIVER_BUFFER_BYTES (4u << 20)

struct pcap_driver {
	struct source source;
	pcap_t *pcap;
	uint8_t *buffer;
	uint32_t used;
	unsigned time_unit_ns; // of tv_usec: 1 or 1000
	struct packet *batch;  // of the recv under way
	unsigned max, count;
	bool on_loan;
	bool packet_socket; // libpcap reads an AF_PACKET socket: it can be cut in the kernel, and its counters add up
	bool gone;          // the interface was removed: what came is delivered, then -ENODEV
	int fd;             // libpcap's
	int fence_fd;       // see packet_socket.h
	int wake_fd;
	int ifindex;
	uint64_t delivered;
	uint64_t received, dropped; // of libpcap, in 64 bits
	uint32_t last_received, last_dropped;
	int64_t drain_until_ns;
	uint64_t cut_at_ns;
	struct source_lane lane;
	atomic_bool interrupted; // the first interrupt does the work
	atomic_bool cut;         // pairs with the acquire in recv
};

extern const struct source_ops pcap_driver_ops;

// A difference modulo 2^32 survives a wrap, as long as fewer than 2^32 frames come between two readings.
static inline void pcap_driver_count(uint64_t *sum, uint32_t *last, uint32_t now)
{
	*sum += (uint32_t)(now - *last);
	*last = now;
}

void pcap_driver_close(struct source *s);

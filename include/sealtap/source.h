// SPDX-License-Identifier: Apache-2.0
// The contract of packet sources. One indirect call per batch; a batch is on loan from recv until release.
// A source is opened before the sandbox closes and before any thread exists; recv, release and stats are then called
// by one RX thread only; interrupt may be called by any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"

struct packet {
	const uint8_t *data; // caplen bytes
	uint64_t ts_ns;      // since 1970-01-01 UTC
	uint32_t caplen;
	uint32_t origlen;
	uint32_t flags;     // epb_flags word of pcapng: bits 0-1 direction (1 in, 2 out), 0 when unknown
	uint32_t lane;      // index into this source's lanes
	uint16_t vlan_tpid; // host order; not 0: a tag the kernel took out, to be put back behind the MAC addresses
	uint16_t vlan_tci;  // host order
	uint64_t flow;      // of a driver that shunts what it is told: its number of the flow; 0: none
};

// A stream of packets of one interface and link type. Fixed once it is visible.
struct source_lane {
	char interface[256]; // UTF-8, empty when the source gives no name
	uint16_t linktype;   // LINKTYPE_ value
	uint32_t snaplen;    // 0: no limit stated
};

struct source_stats {
	uint64_t received; // as the driver counts, cumulative
	uint64_t dropped;
	uint64_t xsk[XSK_COUNTERS];
	unsigned mask; // COUNTERS_DRIVER_*, COUNTERS_XDP: absent is not zero
};

// Frames that the driver left out because their flow had reached the cutoff: cumulative. They never came by recv.
struct source_shunted {
	uint64_t frames;
	uint64_t bytes; // on the wire
};

// How an input file ended. Valid after recv returned -ENODATA.
struct source_end {
	bool ended; // false: reading broke off, and nothing below but the format is known
	char format[64];
	uint64_t bytes; // as stored
	uint8_t sha256[DIGEST_LEN];
	uint64_t packets;
	uint64_t ts_truncated;    // times that had more digits than nanoseconds
	uint64_t ts_out_of_range; // times before 1970 or beyond 2^64-1 ns: the nearest of these stands in their place
	bool damaged;
	uint64_t damage_offset;
	char damage_reason[200];
	uint64_t extra_lines; // lines written to the extra file; 0: there is none
};

struct source;

struct source_ops {
	// Up to max packets into batch. Returns their number; 0 when timeout_ms passed or interrupt was called;
	// -ENODATA at the end of the input, also when the input is damaged; another errno when the source broke.
	int (*recv)(struct source *s, struct packet *batch, unsigned max, int timeout_ms);
	// Gives the batch of the last recv back.
	void (*release)(struct source *s);
	// Statistics of one lane; -ENOTSUP when the source has none.
	int (*stats)(struct source *s, unsigned lane, struct source_stats *ret_stats);
	// What the driver has left out of one lane; NULL or -ENOTSUP: it leaves nothing out. No system call.
	int (*shunted)(struct source *s, unsigned lane, struct source_shunted *ret_shunted);
	// Of a driver that shunts what it is told: from now on it leaves out what this flow sends beyond the cutoff. No
	// system call.
	void (*shunt)(struct source *s, uint64_t flow);
	// Stops intake: after it, recv returns what had already arrived and then -ENODATA. Any thread.
	void (*interrupt)(struct source *s);
	// Closes and frees.
	void (*close)(struct source *s);
	const char *kind; // "file", "afpacket": as in the ledger's `open`
	bool live;        // a live source drops when the pool is empty, a file waits
};

// Embedded as the first member of every driver's own struct.
struct source {
	const struct source_ops *ops;
	struct source_lane *lanes; // grows during recv only, and only at the end
	unsigned lane_count;
	char name[1024];  // path or interface
	char detail[384]; // driver, offloads, mode: for the ledger
	struct source_end end;
	bool tells_direction; // of every packet, in packet.flags
	bool shunts;          // it does leave out what flows send beyond the cutoff, and numbers flows where it must be
	                      // told of which: the recorder need not
	bool own_queue;       // takes one queue of the interface: frames of a queue without a source go past all
	uint64_t kernel_times; // frames that have the kernel's time though the NIC's was asked for; written by recv
	uint32_t frame_max;    // longest frame that the driver can take; 0: no limit
};

struct source_file_config {
	int fd;           // of the input, positioned at 0; the source owns it
	const char *name; // as the operator wrote it
	int extra_fd;     // an empty file for what the segments do not keep, or -1
};

// What capture does to the machine's own traffic: leaves every frame to the network stack, or takes it from there.
enum tap { TAP_COPY = 1, TAP_TAKE = 2 };

// What a live driver is asked for. It answers with one source per RX thread: one per queue or ring.
struct source_live_config {
	const char *interface;
	const char *driver_args; // in the driver's own words; NULL: none
	bool promiscuous;
	unsigned ring_bytes;   // of the driver's ring, 0: its default
	unsigned snaplen;      // 0: whole frames
	int flush_ms;          // how long a frame may wait in the driver
	unsigned threads;      // RX threads wanted; 0: 1, or what the driver finds right
	unsigned tap;          // enum tap, 0: whatever the driver does
	bool busy_poll;        // never sleep
	bool nic_time;         // the NIC's time stamps, or a refusal
	uint64_t cutoff_bytes; // the driver may leave out what flows send beyond (bpf/shunt.h); 0: it must not ...
	bool cutoff_told;      // ... but of flows that it is told; it numbers them all
	unsigned direction;    // 1 in, 2 out: the recorder will refuse the others by packet.flags; 0: both
};
#define SOURCES_PER_INTERFACE_MAX 64u

int source_file_open(const struct source_file_config *config, struct source **ret_source, struct error *e);
// The number of sources, 1 to SOURCES_PER_INTERFACE_MAX, or a negative errno with none of them open.
int source_afpacket_open(const struct source_live_config *config, struct source **ret_sources, struct error *e);
// The interface is a PCI address, a virtual device such as "net_pcap0,rx_pcap=FILE", or a port's name; driver_args are
// options of DPDK's environment, used by the first call of a process.
int source_dpdk_open(const struct source_live_config *config, struct source **ret_sources, struct error *e);
int source_pcap_open(const struct source_live_config *config, struct source **ret_sources, struct error *e);
int source_xdp_open(const struct source_live_config *config, struct source **ret_sources, struct error *e);

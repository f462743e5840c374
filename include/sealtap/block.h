// SPDX-License-Identifier: Apache-2.0
// Blocks: the only thing that moves. 1 MiB of ready Enhanced Packet Blocks in memory that outlives the recorder, so
// that its successor can adopt what was not yet on the disk. Ownership is linear: free -> RX -> sealer -> writer ->
// free.
//
// The pool, one memfd made by the supervisor:
//
//   struct pool_shared            lanes and their counters
//   struct block [blocks]         headers
//   uint8_t [blocks][BLOCK_BYTES] EPBs
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sealtap/evidence.h"
#include "sealtap/source.h"

#define BLOCK_BYTES FRAME_RAW_MAX
#define BLOCK_NONE UINT32_MAX
#define BLOCK_SEGMENT_END 1u // the segment is complete after this block
#define BLOCK_LANE_END 2u    // and so is the lane

enum block_state { BLOCK_FREE, BLOCK_FILLING, BLOCK_PUBLISHED };

struct block_loss {
	uint64_t t_first; // of the frames dropped since the block before, valid when the counter grew
	uint64_t t_last;
};

// Frames of the lane that --cutoff left out: their bytes on the wire, running, and the times of those since the block
// before, valid when the counter grew.
struct block_shunt {
	uint64_t bytes;
	uint64_t t_first;
	uint64_t t_last;
};

struct block {
	_Atomic uint64_t fill; // packets << 32 | bytes: one store, so that a successor reads both or neither
	_Atomic uint32_t state;
	uint32_t lane;
	uint64_t seq; // counts the lane's blocks, empty ones too
	uint32_t segment;
	uint32_t flags;
	uint64_t first_packet; // number in the segment of the block's first packet
	uint64_t ts_min;
	uint64_t ts_max;
	struct counters counters; // RX's part (all but recorded and dropped.disk) at the end of the block
	struct block_loss loss[DROP_CAUSES];
	struct block_shunt shunt;
};
_Static_assert(sizeof(struct block) % 64 == 0, "headers of two owners share no cache line");

struct pool_lane {
	char interface[256];
	uint32_t source;      // of the job
	uint32_t opened;      // of those the recorder opened
	uint32_t source_lane; // lane of that source
	uint32_t linktype;
	uint32_t snaplen;
	uint64_t next_seq;
	uint32_t segment; // the one under way
	uint32_t reserved;
	struct counters rx; // RX's part, running
	uint64_t recorded;  // the writer's part, running
	uint64_t dropped_disk;
	uint64_t losses[DROP_CAUSES]; // stated in the ledger before this recorder started
	struct block_loss loss[DROP_CAUSES];
	uint64_t shunted, shunted_bytes; // stated in the ledger, likewise
	struct block_shunt shunt;
};

#define POOL_MAGIC 0x316c6f6f70617473ULL // "stapool1"
struct pool_shared {
	uint64_t magic;
	uint32_t blocks;
	uint32_t generation; // how many recorders there were before
	_Atomic uint32_t lane_count;
	uint32_t reserved[11];
	struct pool_lane lane[LANES_MAX];
};

static inline uint32_t block_packets(const struct block *b)
{
	return (uint32_t)(atomic_load_explicit(&b->fill, memory_order_acquire) >> 32);
}

static inline uint32_t block_bytes(const struct block *b)
{
	return (uint32_t)atomic_load_explicit(&b->fill, memory_order_acquire);
}

#define EPB_FIXED 28u // type, total, interface, time (8), caplen, origlen
#define EPB_FLAGS 12u // epb_flags and opt_endofopt

static inline uint32_t epb_bytes(uint32_t caplen, uint32_t flags)
{
	return EPB_FIXED + ((caplen + 3) & ~3u) + (flags ? EPB_FLAGS : 0) + 4;
}

static inline void epb_put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, 4); // pcapng in the machine's order: little-endian, checked at build time
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "segments are little-endian");

// Writes one EPB at `at`, where epb_bytes(caplen, flags) bytes are free. With vlan_tpid the tag goes back to its place
// behind the two MAC addresses; caplen and origlen then include its four bytes, and caplen is at least 16.
static inline void epb_write(uint8_t *at, const struct packet *p, uint32_t caplen, uint32_t origlen)
{
	uint32_t total = epb_bytes(caplen, p->flags);
	uint8_t *data = at + EPB_FIXED;

	epb_put32(at, 6);
	epb_put32(at + 4, total);
	epb_put32(at + 8, 0);
	epb_put32(at + 12, (uint32_t)(p->ts_ns >> 32));
	epb_put32(at + 16, (uint32_t)p->ts_ns);
	epb_put32(at + 20, caplen);
	epb_put32(at + 24, origlen);
	epb_put32(at + EPB_FIXED + (caplen & ~3u), 0); // padding; overwritten as far as there is data
	if (p->vlan_tpid) {
		const uint8_t tag[4] = {(uint8_t)(p->vlan_tpid >> 8), (uint8_t)p->vlan_tpid,
		        (uint8_t)(p->vlan_tci >> 8), (uint8_t)p->vlan_tci};

		memcpy(data, p->data, 12);
		memcpy(data + 12, tag, 4);
		memcpy(data + 16, p->data + 12, caplen - 16);
	} else {
		memcpy(data, p->data, caplen);
	}
	if (p->flags) {
		epb_put32(at + total - 16, 2 | 4u << 16); // epb_flags, 4 bytes
		epb_put32(at + total - 12, p->flags);
		epb_put32(at + total - 8, 0);
	}
	epb_put32(at + total - 4, total);
}

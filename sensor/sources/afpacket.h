// SPDX-License-Identifier: Apache-2.0
// What the two halves of the AF_PACKET source share: afpacket_open.c sets rings up before the sandbox closes,
// source_afpacket.c moves frames. The rings of one interface are a group: it starts and is cut as one.
#pragma once

#include <linux/if_packet.h>
#include <stdatomic.h>

#include "sealtap/source.h"

// The kernel cuts a frame to what one block holds: 1 MiB is above the largest GSO frame (8 * 64 KiB, BIG TCP).
#define AFPACKET_BLOCK_BYTES (1u << 20)

struct afpacket;

// Freed with its last member.
struct afpacket_group {
	struct afpacket *member[SOURCES_PER_INTERFACE_MAX];
	unsigned count;
	unsigned left; // members that are not closed
	int ifindex;
	int fence_fd;            // see afpacket_cut
	atomic_bool interrupted; // the first interrupt of any member does the work for all
};

struct afpacket {
	struct source source;
	struct tpacket3_hdr *next; // next frame of the block held
	uint32_t left;             // frames of the block held that recv has not given out
	uint32_t block;            // index of the block held, or of the one to come
	bool holding;              // the block is ours
	bool on_loan;
	bool ether;            // has MAC addresses, so a VLAN tag has a place
	bool gone;             // the interface was removed: the ring drains, then -ENODEV
	bool nic_time;         // the NIC's stamps were asked for
	uint32_t vlan_snaplen; // caplen limit of a frame whose tag is put back
	uint64_t delivered;
	struct source_stats stats;
	uint8_t *ring;
	uint32_t block_count;
	int fd;
	int wake_fd;
	int64_t drain_until_ns;
	struct source_lane lane;
	struct afpacket_group *group;
	atomic_bool cut; // no frame can enter the ring any more; pairs with the acquire in recv
};

extern const struct source_ops afpacket_ops;

// Refuses every frame from now on, for all rings of the group, and returns when those that had been let in are in their
// rings. Any thread; system calls: setsockopt, bind.
void afpacket_cut(struct afpacket_group *g);
void afpacket_close(struct source *s);

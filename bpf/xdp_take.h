/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
// What the XDP program and the driver share: per-queue counters and the note in front of every frame.
#pragma once

#include "shunt.h"

// Queues that the program tells apart; frames of any further one are counted in the last slot.
#define XDP_TAKE_QUEUES 64
#define XDP_TAKE_SLOTS (XDP_TAKE_QUEUES + 1)

// One cache line for each queue. Written by the program only, read through a mapping.
struct xdp_take_slot {
	__u64 redirected;    // given to the queue's socket: it is in its ring, or among its drops
	__u64 missed;        // no socket for it: went on to the stack
	__u64 untimed;       // of redirected: the driver has no metadata area, so the frame has no note
	__u64 shunted;       // left out: its flow has reached the cutoff
	__u64 shunted_bytes; // of these, as they would have been recorded
	__u64 reserved[3];
} __attribute__((aligned(64)));

// Of a flow, with a cutoff. The key is struct shunt_key.
struct xdp_take_flow {
	struct shunt_flow counted;
	__u64 number; // drawn when it begins, so that no other has it; 0: nobody asks for it
};

// Stands in the metadata area, directly before the frame. At most 32 bytes and a multiple of 4.
struct xdp_take_note {
	__u64 mono_ns;   // CLOCK_MONOTONIC when the program saw the frame; never 0
	__u16 vlan_tpid; // host order; 0: no tag was taken out
	__u16 vlan_tci;  // host order
	__u32 reserved;
	__u64 nic_ns; // the NIC's time; 0: not asked for, or the driver gave none
	__u64 flow;   // its number; 0: it takes no part in a cutoff, or that needs no word about flows
};

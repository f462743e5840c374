// SPDX-License-Identifier: Apache-2.0
// Loans: the memory by which the recorder lends sealed blocks to the inspector. Two memfds, made by the supervisor:
//
//   struct loans       written by the recorder, `inspector` and `ending` also by the supervisor; the inspector has it
//                      read-only
//   struct loan_reply  written by the inspector, which parses hostile bytes: nothing in it is believed
//
// Loans are entries of a ring, in the order of their numbers; each worker of the inspector goes through all of them and
// says how far it has come. So no block comes back but by a number, and that is either within what is on loan or a lie.
// What is on loan, and to whom, stands in the recorder's own memory (recorder/lender.c).
//
// With a cutoff for some applications, each worker also claims which flows are of one of these, in a ring of its own.
// The recorder holds that against what it has counted itself (recorder/shunt_table.h).
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/shunt.h"
#include "sealtap/error.h"

#define LOANS_MAX 4096u // on loan at once; a power of two
#define LOAN_WORKERS_MAX 16u
#define LOAN_CLAIMS 256u      // of a worker, that the recorder has not heard; a power of two
#define LOAN_NOBODY 0u        // no inspector at present
#define LOAN_NEVER UINT32_MAX // nor will there be one

enum loan_kind {
	LOAN_BLOCK,
	LOAN_TICK, // of a live capture: no packet before `ns` will come
};

struct loan {
	uint32_t kind;
	uint32_t block; // of the pool
	uint32_t lane, segment, frame;
	uint32_t linktype;
	uint32_t bytes; // of its EPBs
	uint32_t packets;
	uint64_t ns;
};

enum loan_ending {
	LOAN_GOES_ON,
	LOAN_ENDS_BEHIND, // no more loans: when all are through, flows end, and so does the inspector
	LOAN_ENDS_NOW,    // blocks may be written over: not even what is on loan
};

struct loans {
	_Atomic uint32_t inspector; // which one shall borrow, counted from 1; LOAN_NOBODY, LOAN_NEVER
	_Atomic uint32_t attached;  // which one the recorder lends to ...
	_Atomic uint32_t first;     // ... from this number on
	_Atomic uint32_t refused;   // which one has lied
	_Atomic uint32_t ending;    // enum loan_ending
	// For the status. Every block is one or the other.
	_Atomic uint64_t lent_blocks, lent_packets;
	_Atomic uint64_t shed_blocks, shed_packets;
	_Alignas(64) _Atomic uint32_t tail;       // number behind the newest; release, pairs with loan_wait's acquire
	_Atomic uint32_t bell;                    // grows with each thing to be seen above; a futex
	_Atomic uint32_t heard[LOAN_WORKERS_MAX]; // claims of each worker; release, pairs with worker_claim's acquire
	_Alignas(64) struct loan ring[LOANS_MAX];
};

struct loan_worker {
	_Alignas(64) _Atomic uint32_t done; // number behind the last that it is through with; release
	// For the status.
	_Atomic uint64_t packets, records, records_lost;
	_Atomic uint64_t flows, flows_forced;
	_Atomic uint64_t acked_bytes, missed_bytes; // analyzers/tcp_gap.h
};

// A flow is of an application with a cutoff. The recorder knows by LOAN_CLAIM_NS when a flow began: by a packet that
// came sooner after its first one it would not be told from the one before.
#define LOAN_CLAIM_NS (1ULL << 20)

struct loan_claim {
	struct shunt_key key;
	uint32_t zero;
	uint64_t ns; // of the packet by which that is known
};

struct loan_claims {
	_Alignas(64) _Atomic uint32_t told; // so many so far; release
	struct loan_claim ring[LOAN_CLAIMS];
};

struct loan_reply {
	_Atomic uint32_t inspector; // which one this is: written by the supervisor before its start
	_Atomic uint32_t ready;     // which one has begun to look
	struct loan_worker worker[LOAN_WORKERS_MAX];
	struct loan_claims claims[LOAN_WORKERS_MAX];
};

// Supervisor. Descriptors of the two, and of struct loans one that permits no writing.
int loans_create(int *ret_loans_fd, int *ret_loans_readonly_fd, int *ret_reply_fd, struct error *e);
int loans_map(int fd, bool writable, struct loans **ret_loans, struct error *e);
int loan_reply_map(int fd, bool writable, struct loan_reply **ret_reply, struct error *e);
// A descriptor of the same memory that permits no writing, for a process that cannot open files.
int memory_readonly(int fd);

void loans_ring(struct loans *l); // after the change has been made visible
// Inspector. Read before looking; waits until something has changed since, at most timeout_ms.
uint32_t loans_bell(const struct loans *l);
void loans_wait(const struct loans *l, uint32_t seen, int timeout_ms);

// SPDX-License-Identifier: Apache-2.0
// Lends blocks to the inspector once their frames are in the file. A block belongs to the lender from lender_lend until
// lender_returned gives it back. What is on loan stands in this process's memory; of the inspector nothing is believed
// but a number that lies within it, and claims (claims.h). Live, at most a quarter of each RX thread's blocks is on
// loan, and beyond that blocks are shed: not inspected, and counted. A file waits for the inspector instead.
//
// Whether an inspector is alive, and makes headway, is the supervisor's concern: it puts the number of the next one, or
// of none, into struct loans, and all that was on loan comes back.
//
// Writer threads, and at the end the recorder's first thread; under a mutex, which is taken once per block.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/loan.h"

struct lender;
struct claims;

struct lender_config {
	struct loans *loans;
	const struct loan_reply *reply;
	uint32_t workers;      // of the inspector
	uint32_t blocks;       // of the pool
	uint32_t rx_count;     // RX threads that they belong to ...
	uint32_t share;        // ... and how many to each
	bool lossless;         // wait instead of shedding
	struct claims *claims; // NULL: the inspector is not asked for any
};

int lender_new(const struct lender_config *config, struct lender **ret_lender); // 0 or -ENOMEM
void lender_free(struct lender *l);
// A block of RX thread `rx`. False: it was shed, and is the caller's. scarce: that thread is about to run out of
// blocks, and packets are dearer than flows.
bool lender_lend(struct lender *l, const struct loan *loan, uint32_t rx, bool scarce);
// A block that has come back, and is the caller's.
bool lender_returned(struct lender *l, uint32_t *ret_block);
void lender_tick(struct lender *l, uint64_t ns);
bool lender_has_loans(struct lender *l);
// Lossless: blocks that still wait to be lent.
bool lender_waits(struct lender *l);
// No more loans will follow.
void lender_end(struct lender *l);

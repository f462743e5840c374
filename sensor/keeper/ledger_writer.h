// SPDX-License-Identifier: Apache-2.0
// Appends lines to ledger.jsonl and keeps the hash chain and the tree. Keeper process, its one thread.
// Space is reserved ahead of the end, so that a full disk can still be recorded. Must not read the ledger back.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/evidence/merkle.h"

struct ledger_writer {
	int fd;
	uint64_t bytes;
	uint64_t reserved; // space allocated up to here
	uint8_t head[DIGEST_LEN];
	struct merkle tree; // tree.size is the seq of the next line
};

int ledger_writer_open(struct ledger_writer *w, int dir_fd, struct error *e);
// Adds the six common keys before fields (whose reference it takes) and appends the line. Not synced.
int ledger_writer_append(struct ledger_writer *w, const char *type, uint64_t real_ns, uint64_t boot_ns, json_t *fields);
int ledger_writer_sync(struct ledger_writer *w);
void ledger_writer_close(struct ledger_writer *w); // gives the unused reserve back

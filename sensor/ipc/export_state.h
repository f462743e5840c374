// SPDX-License-Identifier: Apache-2.0
// How far an exporter is with each of its targets: shared memory that the supervisor makes, reads, and hands to the
// next exporter when one has died, which goes on from there. The exporter alone writes. What it writes is believed by
// nobody but its successor, which checks a position by reading from there.
//
// A slot has two copies; `turn` says which one holds, and is stored last: a writer that dies leaves the old one.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sensor/evidence/reader/flow_file.h"
#include "sensor/ipc/job.h"

#define EXPORT_ERROR_MAX 200u

struct export_progress {
	struct flow_position position; // in the flow files: all before it is settled
	uint64_t delivered;            // acknowledged, as far as the protocol can tell
	uint64_t dropped;              // not delivered: there was no room, or the target was too far behind
	uint64_t refused;              // by the other side, for good
	uint64_t malformed;            // lines that are no records, and files that end in something else
	uint64_t breaks;               // times that deliveries stopped
	uint64_t waiting;              // read, and not settled
	uint64_t behind_bytes;         // of flow files, not yet read
	uint32_t broken;               // 1: deliveries stand still at present
	uint32_t reserved;
	char error[EXPORT_ERROR_MAX]; // the last one; empty: none
};

struct export_slot {
	_Atomic uint32_t turn;
	struct export_progress copy[2];
};

struct export_state {
	_Atomic uint64_t beats; // grows while the exporter lives
	struct export_slot slot[JOB_EXPORTS_MAX];
};

int export_state_make(int *ret_fd); // a memfd of that size, which stays as long as it is
// Read-only for the supervisor. NULL: it cannot be mapped.
struct export_state *export_state_map(int fd, bool write);
void export_state_put(struct export_slot *slot, const struct export_progress *progress);
// Texts end, whatever the writer has written.
void export_state_get(const struct export_slot *slot, struct export_progress *ret_progress);

// SPDX-License-Identifier: Apache-2.0
// The packets of a recording, all or chosen, as one pcapng: one interface per lane, in the order of lane_merge. One
// thread.
#pragma once

#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/evidence/reader/verify.h"

struct merge_result {
	struct verify_report *report; // what does not hold in the ledger, in stored bytes, in roots
	uint64_t packets;
	uint64_t frames;    // that were read for them
	bool beyond_signed; // packets were written that nobody signed yet
};

// Writes to fd; choice may be NULL: every packet. 0 and a result; or a negative errno of writing or memory, and a
// result whose report may be NULL.
int packet_merge(
        const struct recording_dir *dir, int fd, const struct packet_choice *choice, struct merge_result *ret_result);

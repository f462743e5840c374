// SPDX-License-Identifier: Apache-2.0
// The lanes and segments of a recording as its signed ledger lists them, for readers of packets.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensor/evidence/reader/verify.h"

struct listed_segment {
	uint64_t bytes;  // sealed: of the file; else of the newest progress
	uint64_t frames; // the same
	uint64_t packets;
	uint64_t ts_min, ts_max;    // sealed, when there are packets
	uint8_t sha256[DIGEST_LEN]; // sealed
	uint8_t root[DIGEST_LEN];
	bool sealed;
	bool retired; // a `retire` gave it up: its file may be missing
};

struct listed_lane {
	uint32_t number;
	uint64_t source;
	char interface[256];
	uint32_t linktype, snaplen;
	struct listed_segment *segments;
	size_t count, cap;
};

// A sealed flow file (section 9).
struct listed_flows {
	uint32_t number;
	char path[40];
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t inspected, lost, malformed;
	bool retired; // a `retire_flows` gave it up
};

struct segment_list {
	struct listed_lane *lanes[LANES_MAX];
	size_t lane_count;
	size_t segment_count;
	struct listed_flows *flows; // ascending numbers
	size_t flows_count, flows_cap;
	uint8_t recording_id[DIGEST_LEN];
	uint8_t salts[SALTS_KEY_LEN];
	bool salts_known;
	bool closed;
};

// Passes over the ledger, checks all of it but the segments, and lists them. *ret_report says what does not hold.
int segment_list_read(
        const struct recording_dir *dir, struct segment_list **ret_list, struct verify_report **ret_report);
void segment_list_free(struct segment_list *list);

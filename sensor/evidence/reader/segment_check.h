// SPDX-License-Identifier: Apache-2.0
// Checks 8 and 9 of section 7: one segment file against what the ledger says about it, in a single read.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/evidence/reader/frame_pool.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/evidence/reader/stored_reader.h"

// What a progress said about a segment.
struct segment_point {
	uint64_t frames, bytes, packets;
	uint8_t root[DIGEST_LEN];
};

struct segment_checker {
	const struct recording_dir *dir;
	struct frame_pool *pool;
	struct stored_reader reader;
	struct verify_report *report;
	void (*progress)(void *user, uint64_t bytes);
	void *user;
	uint64_t bytes_total;
};

struct segment_task {
	uint32_t lane;
	uint32_t number;
	struct frame_segment segment;
	const struct segment_point *points; // frames never decrease
	size_t point_count;
	const struct ledger_segment *sealed; // NULL: no `segment` line
	bool salts_known;                    // otherwise roots mean nothing and are not compared
	bool may_be_absent;                  // a missing file is no finding: -ENOENT
	bool whole;                          // not sealed: go on behind the signed part as far as frames are whole
};

struct segment_found {
	bool present;
	uint64_t file_bytes;
	uint8_t file_sha256[DIGEST_LEN]; // sealed or whole
	uint64_t frames, packets, bytes; // whole and well-formed, from the start
	uint8_t root[DIGEST_LEN];        // over these frames
	uint64_t ts_min, ts_max;
};

int segment_checker_init(
        struct segment_checker *s, const struct recording_dir *dir, unsigned threads, struct verify_report *report);
void segment_checker_release(struct segment_checker *s);
// Adds findings to the report. 0, or a negative errno when our own means fail (also a finding then).
int segment_check(struct segment_checker *s, const struct segment_task *task, struct segment_found *ret_found);

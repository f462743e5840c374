// SPDX-License-Identifier: Apache-2.0
// Reads the packets of one lane in order, segment after segment, holding one decompressed frame. Checks on the way what
// the ledger says about stored bytes and roots. One thread; files are opened only while a frame is fetched when there
// are many.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/evidence/merkle.h"
#include "sensor/evidence/reader/frame_pool.h"
#include "sensor/evidence/reader/packet_choice.h"
#include "sensor/evidence/reader/segment_list.h"

// Shared by all lanes of one reading.
struct lane_tools {
	const struct recording_dir *dir;
	bool keep_open; // false: more lanes than descriptors
	struct ZSTD_DCtx_s *dctx;
	struct commit *commit;
	uint8_t *stored; // FRAME_STORED_MAX bytes
	const struct segment_list *list;
	const struct packet_choice *choice; // NULL: every packet
	struct verify_report *report;       // what failed
	uint64_t frames;                    // read so far
	bool may_be_newer;                  // a live recording: its ledger may have gone on
	struct segment_list *newer;         // read when a file was missing, or NULL
};

// Makes them for so many lanes; list and report are borrowed. 0 or a negative errno; to be released in either case.
int lane_tools_init(struct lane_tools *t, const struct recording_dir *dir, const struct segment_list *list,
        size_t lanes, struct verify_report *report);
void lane_tools_release(struct lane_tools *t);

struct lane_reader {
	struct lane_tools *tools;
	const struct listed_lane *lane;
	size_t next_segment;                  // index into lane->segments
	const struct listed_segment *segment; // under way, or NULL
	struct frame_segment frame_segment;
	int fd;
	uint64_t offset, frames, packets;
	struct merkle roots;
	struct digest *digest;
	bool tail_seen, signed_part_held;
	bool failed;                   // something of the segment under way does not hold
	const struct frame_plan *plan; // of it; NULL: all of it is read
	size_t planned;                // frames of the plan that have been taken
	uint8_t *content;              // FRAME_RAW_MAX bytes
	struct cursor at;              // in content
	struct segment_packet head;    // the packet that is next
	bool has_head;
	bool beyond_signed; // packets were handed out that no progress signed
};

int lane_reader_init(struct lane_reader *r, struct lane_tools *tools, const struct listed_lane *lane);
void lane_reader_release(struct lane_reader *r);
// Puts the next packet of what is read into head, or has_head = false at the end of the lane. 0 or -ENOMEM; what is
// wrong with the recording is added to the report and the lane goes on with its next segment.
int lane_reader_next(struct lane_reader *r);

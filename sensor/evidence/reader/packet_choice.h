// SPDX-License-Identifier: Apache-2.0
// What a reader of packets wants out of a recording, and what it wants to be told while it is read: asked by
// lane_reader for every segment and frame, and by packet_merge for every packet. Every function may be NULL. One
// thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/reader/segment_blocks.h"
#include "sensor/evidence/reader/segment_list.h"

// Where a frame is, by an index whose frame roots have the segment's signed root. What is read there is held against
// root.
struct planned_frame {
	uint64_t offset; // in the file
	uint64_t number; // of the frame in the segment
	uint64_t first;  // number of its first packet in the segment
	uint8_t root[DIGEST_LEN];
};

struct frame_plan {
	const struct planned_frame *frames;
	size_t count;
};

// A frame of a segment that is read whole.
struct frame_seen {
	const struct listed_lane *lane;
	uint32_t segment;
	uint64_t number, offset, stored;
	uint64_t first, packets, ts_min, ts_max;
	const uint8_t *root;
	const uint8_t *content;
	uint32_t content_len; // EPBs; 0 for the first and the last frame
};

struct packet_choice {
	// Called once, before anything is read. 0, or -ECANCELED: nothing is read.
	int (*begin)(void *user, const struct segment_list *list);
	// The frames of a segment to be read, NULL: all of it. Of one that is not sealed, no plan or an empty one.
	// Borrowed until the lane's next call.
	const struct frame_plan *(*plan)(void *user, const struct listed_lane *lane, uint32_t segment);
	void (*frame)(void *user, const struct frame_seen *frame);
	// A sealed segment has been read whole, and all of it holds.
	void (*segment)(void *user, const struct listed_lane *lane, uint32_t segment);
	// In the order of lane_merge.
	bool (*wants)(void *user, const struct listed_lane *lane, const struct segment_packet *packet);
	void *user;
};

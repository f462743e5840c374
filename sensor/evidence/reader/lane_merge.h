// SPDX-License-Identifier: Apache-2.0
// The packets of all lanes of a recording, one after the other: always the earliest of the lanes' next packets (the
// lower lane first when equal), order within a lane kept. Holds one frame per lane. One thread.
#pragma once

#include "sensor/evidence/reader/lane_reader.h"

struct lane_merge {
	struct lane_tools tools;
	struct lane_reader *lanes;
	size_t lane_count;
	uint32_t *heap; // lanes with a packet; heap[0] is the one whose packet is next
	size_t heap_count;
	bool handed_out; // heap[0]'s packet
};

// All is borrowed; choice may be NULL: everything is read. 0 or a negative errno; to be released in either case.
int lane_merge_init(struct lane_merge *m, const struct recording_dir *dir, const struct segment_list *list,
        const struct packet_choice *choice, struct verify_report *report);
void lane_merge_release(struct lane_merge *m);
// The lane whose head is the next packet, valid until the next call; NULL at the end. 0 or -ENOMEM.
int lane_merge_next(struct lane_merge *m, const struct lane_reader **ret_lane);
// After somebody went on in single lanes by lane_reader_next: their next packets are what is merged from here on.
void lane_merge_again(struct lane_merge *m);
// Whether packets were handed out that nobody signed yet.
bool lane_merge_beyond_signed(const struct lane_merge *m);

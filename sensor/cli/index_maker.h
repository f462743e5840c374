// SPDX-License-Identifier: Apache-2.0
// Makes the indexes of the segments that somebody reads whole, keeps them in the cache, and tells of one that is there
// whether it may be used. One thread.
#pragma once

#include "sensor/cli/index_cache.h"
#include "sensor/evidence/reader/packet_choice.h"

struct index_maker_lane;

struct index_maker {
	struct index_cache cache;
	struct index_maker_lane *lanes; // NULL: none are made
	size_t lane_count;
	uint64_t made, bytes; // indexes kept, and how long they are together
	int error;            // the last reason why one was not, a negative errno
};

// 0, or why none will be used or made: -ENOKEY without the salts, for then no root can be checked and an index leans on
// nothing else; -E2BIG for too many lanes; -ENOMEM; or an errno of the cache directory. To be released in any case.
int index_maker_init(struct index_maker *m, const struct segment_list *list);
void index_maker_release(struct index_maker *m);
// Of each frame that was read, in order; and when the last one of a sealed segment was, and all of it holds.
void index_maker_frame(struct index_maker *m, const struct frame_seen *seen);
void index_maker_segment(struct index_maker *m, const struct listed_lane *lane, uint32_t number);

// The index of a sealed segment, frame after frame to `each`. True when it is of that segment, whole, and its roots
// have the segment's root: false can come after calls of `each`.
bool index_maker_walk(struct index_maker *m, const struct listed_lane *lane, uint32_t number,
        bool (*each)(void *user, uint32_t frames, uint32_t frame, const struct indexed_frame *indexed), void *user);

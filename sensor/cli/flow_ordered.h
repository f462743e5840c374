// SPDX-License-Identifier: Apache-2.0
// The packets of a recording in the order in which its flow files say that frames were inspected (section 9 of the
// format), so that whoever meters them comes to the records that were made then. Frames that were not inspected come
// too, where their lane has them. The order decides nothing but what comes first: it needs no check. One thread.
#pragma once

#include "sensor/evidence/reader/lane_merge.h"

struct flow_ordered {
	int (*packet)(void *user, const struct lane_reader *lane);
	void (*tick)(void *user, uint64_t ns);
	int (*begin)(void *user, uint32_t threads, uint64_t seed); // all flows end here, and an inspection begins
	void (*end)(void *user);                                   // all flows end here; more may follow
	void *user;
	// What was found.
	uint64_t entries;  // of the order
	uint64_t skipped;  // frames that the order does not name
	uint64_t lost;     // records that were not kept
	bool order_broken; // it could not be read to its end
};

// 1: all packets were handed out; 0: there is no order, and nothing was; or a negative errno.
int flow_ordered_run(struct flow_ordered *o, struct lane_merge *merge, int recording_fd);

// SPDX-License-Identifier: Apache-2.0
// Retention: which complete segments there are, oldest first, and which of them is to go under the job's policy. The
// recorder only asks and removes: what it cannot decide, whoever takes it over cannot either. Keeper's one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"
#include "sensor/ipc/job.h"

struct sealed_segment {
	uint32_t lane;
	uint32_t number;
	uint64_t bytes;
	uint64_t packets;
	uint64_t boot_ns; // t_boot of its `segment` line
	uint64_t order;   // of that line among all
	uint8_t sha256[DIGEST_LEN];
};

// Of one disk.
struct sealed_queue {
	struct sealed_segment *sealed; // in the order of their `segment` lines; empty without a policy
	size_t first, count, cap;
	bool removing; // the recorder has not said yet that this one is gone
	uint32_t lane, number;
};

struct sealed_flows {
	uint32_t number;
	uint64_t bytes;
	uint64_t order; // segments that were sealed before
	uint8_t sha256[DIGEST_LEN];
};

struct retention {
	struct sealed_queue place[JOB_PLACES_MAX];
	uint64_t sealed_bytes;      // of all of them
	uint64_t sealed_count;      // so far
	struct sealed_flows *flows; // in the order of their lines; empty without a policy
	size_t flows_first, flows_count, flows_cap;
	uint32_t flows_gone; // all files below this number were given up
};

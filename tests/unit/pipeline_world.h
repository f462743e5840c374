// SPDX-License-Identifier: Apache-2.0
// What the recorder's threads meet in test_pipeline: disks that fail when they are told to, sources in memory, a keeper
// that holds the recorder to the protocol, and a reader of what came of it that shares no code with the recorder. All
// of one run, in globals; the keeper has a thread of its own, the rest is the main thread's and the recorder's.
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sensor/ipc/roles.h"
#include "sensor/recorder/run.h"

#define LANES_EACH 3u // of a source
#define SOURCES_MAX 4u
#define LANES_ALL (LANES_EACH * SOURCES_MAX)
#define PACKET_MAX 9000u
#define SEGMENTS_MAX 4096u

// From the n-th call on (0: never) the calls that the recorder makes fail.
struct disks {
	_Atomic long fallocates_left, syncs_left;
	_Atomic bool only_second;   // with several disks: only for files of the second,
	_Atomic bool second_stands; // which may also stand still at a sync
	unsigned count;             // of the run; 0 is 1
	char directory[64];         // empty: there is none
};
extern struct disks disks;

struct memory_plan {
	uint64_t packets; // of each lane; 0: without end
	bool live;
	unsigned queues; // sources of each interface; set by run
	bool single;     // one lane each; set by run
};
extern struct memory_plan plan;

// A packet is a function of source, lane and number. The length.
uint32_t packet_make(uint32_t source, uint32_t lane, uint64_t number, uint8_t *out);

struct told_segment {
	struct wire_seal seal;
	struct wire_segment_state progress;
	bool sealed;
};

struct told_lane {
	struct wire_begin is;
	uint32_t begun;
	uint32_t sealed;
	uint64_t losses[DROP_CAUSES];
	struct told_segment segment[SEGMENTS_MAX];
};

struct told {
	int fd;
	pthread_t thread;
	unsigned requests_max; // then it goes away
	unsigned requests;
	unsigned lane_count;
	unsigned incidents;
	char incident[32];
	const char *wrong;
	bool keep; // under a retention policy: when the disk is full the segment sealed first goes
	unsigned sealed, retired;
	uint32_t order[SEGMENTS_MAX][2]; // lanes and numbers of the sealed ones
	struct wire_retire removing;
	struct told_lane lane[LANES_ALL];
};
extern struct told told;

void *keeper_main(void *arg);
bool lawful(const struct counters *c);
// The lane's counters at the end of its last sealed segment.
const struct counters *told_end(uint32_t lane);

struct shape {
	unsigned interfaces;
	unsigned queues;
	unsigned sealers;
	unsigned blocks;
	uint64_t segment_bytes;
	unsigned flush_ms;
	bool keep;
	unsigned disks;                                  // each source then has one lane
	void (*tick)(struct recorder *r, void *stop_at); // NULL: looks at the counters, and stops there
};

// Runs and returns what recorder_run gave; *ret_stop is the reason for which it ended. stop_at: NULL, or the packets
// that are enough.
int run(const struct shape *shape, unsigned requests_max, uint64_t *stop_at, int *ret_stop);
void clean(void);

// The lane's sealed segments, each packet held against what its source made; with holes, numbers may be left out, but
// not come back. Returns the packets.
uint64_t read_lane_back(uint32_t id, bool holes);
// All lanes, of which every segment that began must be sealed.
uint64_t read_back(bool holes);

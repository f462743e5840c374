// SPDX-License-Identifier: Apache-2.0
// The recorder's threads and what passes between them. Data's path: source -> RX -> sealer -> writer (-> lender)
// -> (block free) RX, and beside it writer -> notary -> keeper. Each struct says which thread owns it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sealtap/block.h"
#include "sealtap/source.h"
#include "sensor/evidence/commit.h"
#include "sensor/evidence/merkle.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/wire.h"
#include "sensor/recorder/cores.h"
#include "sensor/recorder/link_watch.h"
#include "sensor/recorder/pool.h"
#include "sensor/recorder/retention.h"
#include "sensor/recorder/ring.h"
#include "sensor/recorder/shunt_table.h"

#define RESULT_SLOTS 8u // compressed frames that one sealer may have under way per RX thread
#define RESULT_BYTES (FRAME_RAW_MAX + (FRAME_RAW_MAX >> 8) + 1024u) // at least ZSTD_compressBound(FRAME_RAW_MAX)

// A sealed block: owned by the sealer until pushed to `out`, then by the writer until its slot is pushed to `spare`.
struct result {
	uint32_t block;
	uint32_t bytes; // of the compressed frame; 0 for a block without packets, or without a segment
	uint8_t root[DIGEST_LEN];
	uint8_t *frame;
};

// One per pair of RX thread and sealer, so that every ring has one producer and one consumer. Results wait for their
// turn in the lane; as slots are per RX thread, no RX thread can use up those of another.
struct channel {
	struct ring in;    // RX -> sealer: blocks
	struct ring out;   // sealer -> writer: result slots
	struct ring spare; // writer -> sealer: result slots
	struct result slot[RESULT_SLOTS];
};

// Segments that have begun, with their salt keys. Any sealer begins them; the notary ends them. Under a mutex: it is
// taken once per block, not per packet.
struct segment_table;
int segment_table_new(struct segment_table **ret_table, int keeper_fd, pthread_mutex_t *keeper_mutex,
        const struct pool *pool, unsigned places);
void segment_table_free(struct segment_table *t);
void segment_table_resume(struct segment_table *t, uint32_t lane, uint32_t next_number); // after adoption
// -EAGAIN: when an older segment of the lane has ended, which the sealers' bells tell.
int segment_table_get(struct segment_table *t, uint32_t lane, uint32_t number, struct commit_segment *ret_segment);
void segment_table_ended(struct segment_table *t, uint32_t lane, uint32_t number);
// A disk takes no more: from now on _get gives -ENOSPC for segments of its lanes that have not begun. broken: nor can
// what has begun be sealed.
void segment_table_stop(struct segment_table *t, unsigned place, bool broken);
// Then: the number behind the last segment that has begun, which is more than at_least; begins one if need be. -ENOSPC
// when nothing can be sealed.
int segment_table_begun(struct segment_table *t, uint32_t lane, uint32_t at_least, uint32_t *ret_next);

struct recorder;
struct writer;
struct notary;
struct lender;
struct claims;

// A disk that segments lie on, and its threads: when it stalls or is full, that is in the way of its own lanes only.
struct place {
	unsigned index;
	int fd; // directory of lanes
	struct writer *writer;
	struct notary *notary;
	pthread_t writer_thread;
	pthread_t notary_thread;
	struct retention retention; // notary
	_Atomic bool lost;          // takes nothing any more
	_Atomic bool ends;          // ... and with that the recording ends, for which there is room
};
#define NO_PLACE UINT32_MAX

struct rx_lane {        // RX thread
	uint32_t id;    // in the recording
	uint32_t block; // BLOCK_NONE: none under way
	uint64_t block_since_ns;
	uint64_t segment_bytes;
	uint64_t segment_packets;
	uint64_t segment_since_ns;
	uint64_t stats_at_ns;
	uint64_t driver_received; // counted by the drivers of earlier recorders: each counts from 0
	uint64_t driver_dropped;
	uint64_t xsk[XSK_COUNTERS];
	uint64_t nic[NIC_COUNTERS]; // of the interface, likewise
	uint64_t shunted;           // by the driver: as it counted at the last look
	uint64_t shunted_bytes;     // likewise
	uint64_t looked_ns;         // when that was; wall clock
	bool tells_nic;             // the first lane of an interface that is watched
	bool dirty;                 // counters changed since the last block was published
	bool ended;
	struct pool_lane *shared;
};

struct rx {
	struct recorder *recorder;
	pthread_t thread;
	unsigned index;
	uint32_t first_source; // sources read one after the other
	uint32_t source_count;
	struct ring returned[JOB_PLACES_MAX]; // writer of each disk -> RX: blocks
	_Atomic uint32_t place;               // whose writer has its lanes' blocks; before the first of them NO_PLACE
	struct doorbell bell;                 // rung when a block comes back
	uint32_t *stack;                      // free blocks, the one used last on top: it is still in the cache
	uint32_t stack_size;
	_Atomic uint32_t stacked;  // the same, for those who watch the pool's fill
	uint32_t share;            // blocks of this thread
	struct rx_lane *lane;      // of the source under way
	struct shunt_table *shunt; // flows and what of each was recorded; NULL: no cutoff, or the driver sees to it
	bool driver_shunts; // what it has reached the cutoff of; it is told by number of which flows, in the table
	unsigned lane_count;
	_Atomic uint64_t raw_bytes; // for the status
	_Atomic uint64_t taken;     // blocks, for the status
	_Atomic uint64_t turns;     // of the receive loop: one that stands still has stalled
	int result;
	_Atomic bool done;
	struct placement placement;
};

struct sealer {
	struct recorder *recorder;
	pthread_t thread;
	unsigned index;
	bool dense; // the block before did not compress
	struct placement placement;
	struct doorbell bell;
};

enum stop_reason {
	STOP_NONE,
	STOP_END,
	STOP_SIGNAL,
	STOP_DURATION,
	STOP_PACKETS,
	STOP_DISK_FULL,
	STOP_DISK_ERROR,
	STOP_SUPERVISOR,
	STOP_SOURCE,
	STOP_FAILED
};

struct recorder {
	const struct job *job;
	struct pool pool;
	struct source **source; // a file each, or what the drivers made of the interfaces
	uint32_t *job_source;   // which of the job's sources each belongs to
	unsigned source_count;
	int *extra_fd; // of an ingest: what each source has kept besides, without a name yet; -1 otherwise
	struct filter *filter;
	struct link_watch *links;
	uint8_t recording_id[DIGEST_LEN];

	struct rx *rx;
	unsigned rx_count;
	struct sealer *sealer;
	unsigned sealer_count;
	struct channel *channel; // [rx][sealer]
	struct place place[JOB_PLACES_MAX];
	unsigned place_count;
	_Atomic unsigned places_lost;
	struct segment_table *segments;
	struct lender *lender; // NULL: nobody inspects
	struct claims *claims; // NULL: a cutoff is for all flows, or there is none

	pthread_mutex_t keeper_mutex; // one request and its answer at a time
	pthread_mutex_t lanes_mutex;  // numbering of new lanes
	_Atomic int level;            // zstd
	_Atomic uint64_t packets;     // appended to blocks, for --packets
	_Atomic int stop;             // enum stop_reason, the first one stays
	uint64_t link_mbit;           // of all interfaces together; 0: one is not told
	bool rx_raised;               // receiving threads have a higher priority than others
	int usual_nice;               // of the others
	_Atomic bool rx_gone;         // no RX thread will publish any more
	_Atomic bool sealers_gone;
};

static inline struct channel *channel_of(struct recorder *r, unsigned rx, unsigned sealer)
{
	return &r->channel[rx * r->sealer_count + sealer];
}

static inline struct place *place_of(struct recorder *r, uint32_t lane)
{
	return &r->place[lane % r->place_count];
}

// Blocks that have come back and that the RX thread has not taken yet, as its watchers see it.
static inline uint32_t rx_returned(const struct rx *rx)
{
	int32_t sum = 0;

	for (unsigned i = 0; i < rx->recorder->place_count; i++)
		sum += (int32_t)ring_backlog(&rx->returned[i]);
	return sum > 0 ? (uint32_t)sum : 0;
}

// Asks all sources to end; the first reason is kept. Any thread.
void recorder_stop(struct recorder *r, enum stop_reason reason);
// A disk takes nothing any more, for `what`, which is told. When the ledger is on it, or no other is left, the
// recording ends; else frames of its lanes are counted as dropped. Any thread. 0 or a negative errno of the keeper.
int recorder_place_lost(struct place *p, struct recorder *r, enum stop_reason reason, const char *what);

// One request to the keeper and its answer. Any thread. 0 or a negative errno; then the recorder must end.
int keeper_call(struct recorder *r, enum wire_type type, void *request, size_t len, size_t answer_len,
        union wire_message *answer);
int keeper_incident(struct recorder *r, const char *kind, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

void *rx_main(void *rx);
void *sealer_main(void *sealer);

int writer_new(struct recorder *r, struct place *place, struct writer **ret_writer);
void writer_free(struct writer *w);
void *writer_main(void *writer);
struct doorbell *writer_bell(struct writer *w);
// Any thread. Adds what is in segments; of a lane false when nothing of it has been written yet.
void writer_status(struct writer *w, struct wire_status *status);
bool writer_lane(struct writer *w, uint32_t id, struct wire_lane *ret_lane);

int adopt(struct recorder *r, struct error *e); // before threads

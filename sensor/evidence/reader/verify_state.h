// SPDX-License-Identifier: Apache-2.0
// What the checks of one verification share. Each file handles its checks; verify.c calls them in order.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/merkle.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/recording_walk.h"
#include "sensor/evidence/reader/segment_check.h"

// A segment that is not complete, or a run of complete ones behind such a segment.
struct waiting_segment {
	struct waiting_segment *next; // of the lane, ascending numbers
	uint32_t number;              // of a run: its first
	bool sealed;
	struct segment_point *points;
	size_t point_count, point_cap;
	uint64_t signed_bytes; // by the newest progress
	bool has_counters;     // a progress gave some
	struct counters first, newest;
	struct counters begin, end; // sealed: of the first and the last of the run
};

// Segments of a lane that `retire` lines gave up.
struct retired_segments {
	uint64_t count, packets, bytes, first, last; // the last two are numbers
};

// Complete segments of a place in the order of their `segment` lines, when `open` states a retention; those before
// first were given up.
struct kept_segment;
struct kept_queue {
	struct kept_segment *list;
	size_t first, count, cap;
};
struct kept_segments {
	struct kept_queue place[PLACES_MAX]; // a lane's segments are in that of its number modulo `places`
	uint64_t listed;                     // in all of them, given up or not
	size_t absent;                       // kept ones whose file is missing: a `retire` may follow
	unsigned __int128 bytes;             // of the kept ones
};

// Files that `flows` lines name; those before first were given up.
struct named_flows;
struct flow_files {
	struct named_flows *list;
	size_t first, count, cap;
	size_t absent;    // not given up, and their file is missing: a `retire_flows` may follow
	bool ended_early; // an `incident` says that a file may have been left unsealed
};

struct lane {
	uint64_t begun; // the next segment's number
	uint64_t source;
	char *interface;
	uint32_t linktype, snaplen;
	struct waiting_segment *head, **tail;
	uint64_t waiting;
	bool chained;           // a complete segment stands before head
	struct counters chain;  // its counters_end
	struct counters newest; // for totals
	uint64_t sealed;        // segments that are complete
	uint32_t last_number;   // the greatest of them
	struct counters last_end;
	struct retired_segments retired, retired_present; // without their file, and with it
};

// Told by the ledger pass about every segment, for readers that want the list and not the check.
struct segment_listener {
	int (*begun)(void *user, const struct ledger_begin *begin);
	int (*sealed)(void *user, const struct ledger_segment *segment);
	int (*progressed)(void *user, const struct ledger_progress_entry *entry);
	int (*retired)(void *user, const struct ledger_retire *line);
	int (*flows)(void *user, const struct ledger_flows *line); // or NULL
	int (*flows_retired)(void *user, const struct ledger_retire_flows *line);
	void *user;
};

// Told about every segment without a `segment` line after all of its file was read, for recovery_scan.
struct unsealed_listener {
	int (*unsealed)(void *user, uint64_t lane, uint64_t number, const struct segment_point *newest,
	        const struct segment_found *found);
	void *user;
};

struct named_key;

struct epochs {
	uint64_t lasted_ns; // the one under way, without the steps to `gap` lines
	bool told_long;
	struct named_key *key;
	size_t count, room;
};

struct verify {
	const struct recording_dir *dir;
	int dirfd; // of it
	const struct verify_options *options;
	struct verify_report *report;
	struct recording_walk *walk;
	const struct segment_listener *listener; // not NULL: segments are listed, not read

	const struct unsealed_listener *unsealed; // not NULL: unsealed segments and the ledger are hashed to their end

	bool has_checkpoint; // the file parses
	struct checkpoint checkpoint;
	uint64_t size; // lines to read: what the checkpoint covers

	struct merkle tree;
	uint64_t lines;                    // passed so far
	uint8_t line_hash[DIGEST_LEN];     // of the last one
	uint8_t ledger_sha256[DIGEST_LEN]; // of the whole file, when recovery.json must know
	uint64_t ledger_bytes;
	// Ledger or checkpoint could not be read (not: is missing): nothing is known of the files that lines would
	// name.
	bool signed_unknown;
	bool ledger_unread; // its end was not reached for lack of permission, memory or a good disk: what it would name
	                    // is unknown

	// line_check.c
	char *boot_id;
	bool has_clock, has_boot_time;
	uint64_t clock_offset, clock_tolerance, last_boot;
	bool unsigned_lines;
	uint64_t unsigned_keys;

	// key_check.c
	uint64_t epoch; // last one named
	uint64_t epoch_line;
	uint8_t epoch_key[ED25519_KEY_LEN], epoch_key_before[ED25519_KEY_LEN];
	bool chain_broken; // from the origin key to the newest checkpoint

	struct epochs epochs; // epoch_check.c

	// lane_check.c
	struct lane *lanes[LANES_MAX];
	uint64_t lane_count;
	uint64_t points_waiting, segments_waiting;
	uint64_t loss[LANES_MAX][DROP_CAUSES];
	bool loss_overflow;
	struct segment_checker checker;
	uint64_t sealed_packets;

	// retire_check.c
	bool has_retention;
	struct ledger_retention retention;
	struct kept_segments kept;
	unsigned __int128 unsealed_bytes; // signed ones, of segments that are not complete

	// shunt_check.c
	bool shunts; // `open` states a cutoff
	uint64_t shunted[LANES_MAX];

	// flow_check.c
	struct flow_files flows;

	// source_check.c
	uint8_t salts[SALTS_KEY_LEN];
	bool salts_read, salts_known;
	bool ingest_only;
	bool *source_has_extra;

	// for `complete`
	bool incomplete;
	bool doubtful; // whether it is complete cannot be told
};

const char *line_where(struct note *n, uint64_t line);
#define LINE_WHERE(v) line_where(&(struct note){{0}}, (v)->lines)

// line_check.c: checks 3 and 12, everything that every line has. line is with its LF.
void line_check(struct verify *v, const char *line, size_t len);
void line_check_unsigned(struct verify *v, const char *line, size_t len);

// key_check.c: checks 2, 4, 5, 6, 7 (keys); epoch_check.c
void checkpoint_read(struct verify *v);
// A live recording has gone on: takes a newer checkpoint, if there is one, as the end of what is signed.
bool checkpoint_renew(struct verify *v);
bool checkpoint_renewed(struct verify *v); // whether there is one
void key_line(struct verify *v, const struct ledger_key *key);
void key_finish(struct verify *v);
void epoch_time(struct verify *v, uint64_t step_ns, bool gap);
void epoch_begin(struct verify *v, const uint8_t key[ED25519_KEY_LEN]);
void epochs_finish(struct verify *v);

// held_check.c: check 16. After every signed line; after the last.
void held_line(struct verify *v);
void held_finish(struct verify *v);

// lane_check.c: checks 8, 9, 10
void lane_begin(struct verify *v, const struct ledger_begin *begin);
void lane_progress(struct verify *v, const struct ledger_progress *progress);
void lane_segment(struct verify *v, const struct ledger_segment *segment);
void lane_loss(struct verify *v, const struct ledger_loss *loss);
void lanes_free(struct verify *v);
// Compares counters where two complete segments meet.
void lane_chain(struct verify *v, struct lane *lane, const char *where);
void lane_task(struct verify *v, uint64_t lane_number, const struct waiting_segment *s, struct segment_task *ret_task);
// lane_finish.c
void lanes_finish(struct verify *v);

// retire_check.c
void retire_open(struct verify *v, const struct ledger_open *open);
void retire_sealed(struct verify *v, const struct ledger_segment *line, bool absent); // right after its `segment` line
void retire_line(struct verify *v, const struct ledger_retire *line);
void retire_finish(struct verify *v);
void retire_free(struct verify *v);
// Of the segments of a place that have not been given up, the number among all of the one complete for longest;
// UINT64_MAX: there is none.
uint64_t retire_oldest(const struct verify *v, unsigned place);

// flow_check.c: check 17
void flows_line(struct verify *v, const struct ledger_flows *line);
void retire_flows_line(struct verify *v, const struct ledger_retire_flows *line);
void flows_finish(struct verify *v);
void flows_free(struct verify *v);

// shunt_check.c
void shunt_open(struct verify *v, const struct ledger_open *open);
void shunt_line(struct verify *v, const struct ledger_shunt *line);
void shunt_check(struct verify *v, uint64_t lane); // of a closed recording

// counters_check.c
bool counters_lawful(const struct counters *c, bool shunts);
bool counters_equal(const struct counters *a, const struct counters *b);
bool counters_zero(const struct counters *c);
// The name of a counter that is less in b than in a, or NULL.
const char *counters_decrease(const struct counters *a, const struct counters *b);
void counters_add(struct counters *sum, const struct counters *c);

// source_check.c: open, salts, checks 7 (salts), 11
void source_open(struct verify *v, const struct ledger_open *open);
void source_line(struct verify *v, const struct ledger_source *source);
void source_finish(struct verify *v);
// Hashes a file below the recording; of one with more than `enough` bytes only tells the size. 0 or a negative errno.
int verify_hash_file(struct verify *v, const char *path, uint64_t enough, uint64_t *ret_bytes, uint8_t out[DIGEST_LEN]);

// recovery_check.c: check 14. Begin before lanes_finish, which then calls recovery_segment for every unsealed segment.
// found is NULL when the segment's file could not be read.
struct recovery_check;
int recovery_begin(struct verify *v, struct recovery_check **ret_check);
void recovery_segment_check(struct verify *v, struct recovery_check *check, uint64_t lane, uint64_t number,
        const struct segment_point *newest, const struct segment_found *found);
void recovery_finish(struct verify *v, struct recovery_check *check);

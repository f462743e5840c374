// SPDX-License-Identifier: Apache-2.0
// Verification of a recording by docs/evidence-format.md section 7, as data: nothing here prints.
// One thread calls; the frames of a segment are checked on all cores. Memory is bounded on any input (limits.h).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"
#include "sensor/evidence/reader/recording_dir.h"

// The numbers are those of section 7 and of enum cli_exit. Precedence: invalid, unreadable, incomplete, valid.
enum verdict { VERDICT_VALID = 0, VERDICT_INVALID = 1, VERDICT_UNREADABLE = 3, VERDICT_INCOMPLETE = 4 };

#define FINDINGS_KEPT_MAX 1000

// All text is printable UTF-8: controls and the like that came from outside are escaped when it is added.
struct finding {
	enum verdict verdict;
	char code[40]; // kebab-case, stable
	char *where;
	char *expected;
	char *actual;
};

enum authenticated { AUTHENTICATED_NO, AUTHENTICATED_SELF, AUTHENTICATED_YES };
enum complete { COMPLETE_UNKNOWN, COMPLETE_NO, COMPLETE_YES };

struct report_source {
	char *kind, *name;
	bool read; // a `source` line stands for it
	bool damaged;
	uint64_t bytes, packets, ts_truncated, ts_out_of_range, damage_offset;
	uint8_t sha256[DIGEST_LEN];
};

// A file that was given with --input and is what a `source` line describes.
struct report_input {
	char *path;
	size_t source;
	bool compared;    // packet by packet
	uint64_t packets; // read from it
	char *note;       // why only its size and SHA-256 were compared, or NULL
};

struct verify_report {
	struct finding *findings; // the first FINDINGS_KEPT_MAX
	size_t finding_count;
	uint64_t finding_total;
	uint64_t by_verdict[5]; // all findings, kept or not

	enum authenticated authenticated;
	enum complete complete;
	bool has_checkpoint;  // the newest checkpoint's signature holds
	bool signatures_hold; // origin key -> epoch keys -> newest checkpoint, without a break
	bool has_open;
	bool closed, recovered;

	// From signed lines; empty or zero when there are none.
	char *sensor, *authority_kind, *authority_reference, *authority_operator, *mode, *build, *close_reason, *filter;
	char *cutoff_apps; // that `cutoff_bytes` is for; NULL: all flows
	uint8_t recording_id[DIGEST_LEN], origin_key[ED25519_KEY_LEN], origin_prev[DIGEST_LEN];
	uint64_t origin_seq;
	uint64_t places; // on so many disks the segments were written
	uint64_t lines, covered_until_ns, opened_ns;
	uint64_t lanes, epochs, segments, segments_sealed, packets, stored_bytes;
	uint64_t flow_files, flow_records;          // that `flows` lines name
	uint64_t segments_retired, packets_retired; // of the sealed ones
	uint64_t gaps, incidents, marks;
	uint64_t cutoff_bytes, shunted_bytes; // what `open` allows of each flow, 0: all; left out beyond, saturating
	struct counters totals;               // newest counters of all lanes, summed; saturating
	struct report_source *sources;
	size_t source_count;
	struct report_input *inputs;
	size_t input_count;
	uint8_t checkpoint_sha256[DIGEST_LEN];
};

struct checkpoint;

struct verify_options {
	const uint8_t *origin; // if not NULL, only this key authenticates
	const char *data_dir;  // trust store and this machine's own key; NULL: none
	unsigned threads;      // 0: one per core
	// Checkpoints held outside, checkpoint_parse'd: those of this recording must be reached and say the same.
	const struct checkpoint *held;
	size_t held_count;
	// Called now and then with the bytes read so far; may be NULL.
	void (*progress)(void *user, uint64_t bytes);
	void *user;
};

// Verifies the recording in dir (borrowed). 0 and a report, whatever it says; a negative errno
// only when there is no report (-ENOMEM, -ENOTSUP). Free it with verify_report_free.
int verify_recording(
        const struct recording_dir *dir, const struct verify_options *options, struct verify_report **ret_report);
// The report on what recording_open could not open: it says why.
int verify_unopened(const char *path, int error, struct verify_report **ret_report);
void verify_report_free(struct verify_report *r);

enum verdict verify_report_verdict(const struct verify_report *r);
const char *verdict_word(enum verdict v);
const char *authenticated_word(enum authenticated a);
const char *complete_word(enum complete c);

// `--input`: reads a file again as `ingest` did and compares size, SHA-256, packets and damage with what the recording
// in dir, which r is about, holds of it. Adds findings and what was compared to r. fd is borrowed and read from its
// start where it has one; negative: the errno of opening it.
void verify_input(struct verify_report *r, const struct recording_dir *dir, const char *path, int fd);

struct series_member {
	const char *path;
	struct recording_dir dir;
	struct verify_report *report;
};

// Several recordings of one origin key: sorts members by key and origin_seq; adds findings about numbers that are
// missing or used twice and about previous checkpoints that nobody has.
void verify_series(struct series_member *members, size_t count);

// After verification with options.held: adds a finding for a held checkpoint of which none of the recordings is.
void verify_held(struct series_member *members, size_t count, const struct checkpoint *held, size_t held_count);

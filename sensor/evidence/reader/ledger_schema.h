// SPDX-License-Identifier: Apache-2.0
// Section 2.2 as one table: types of ledger lines, their keys in order, and the structs they become. Also
// recovery.json. Texts and arrays are borrowed from the JSON object.
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/reader/fields.h"
#include "sensor/evidence/reader/recording_dir.h"

enum line_type {
	LINE_OPEN,
	LINE_KEY,
	LINE_BEGIN,
	LINE_PROGRESS,
	LINE_SEGMENT,
	LINE_LOSS,
	LINE_SHUNT,
	LINE_CLOCK,
	LINE_GAP,
	LINE_MARK,
	LINE_INCIDENT,
	LINE_HEARTBEAT,
	LINE_SOURCE,
	LINE_FLOWS,
	LINE_RETIRE,
	LINE_RETIRE_FLOWS,
	LINE_CLOSE,
	LINE_TYPES
};
extern const char *const line_type_names[LINE_TYPES + 1];

struct ledger_authority {
	uint64_t kind; // index into authority_kind_names
	const char *reference;
	const char *operator;
};
extern const char *const authority_kind_names[];
#define AUTHORITY_INGEST 1

struct ledger_source_entry {
	uint64_t kind; // index into source_kind_names
	const char *name;
	const char *detail;
};
extern const char *const source_kind_names[];
#define SOURCE_KIND_FILE 0
extern const struct field source_entry_fields[];

// `retention` of `open`.
struct ledger_retention {
	uint64_t keep_bytes, keep_time, min_free;
	uint64_t has; // RETENTION_*: one of them
};
#define RETENTION_BYTES 1u
#define RETENTION_TIME 2u

struct ledger_open {
	uint64_t format;
	const char *sensor;
	uint8_t origin_key[ED25519_KEY_LEN];
	uint64_t origin_seq;
	uint8_t origin_prev[DIGEST_LEN];
	struct ledger_authority authority;
	uint64_t mode;
	json_t *sources;
	const char *filter;
	const char *build;
	uint8_t config_sha256[DIGEST_LEN];
	const char *host_name, *host_kernel, *host_machine, *boot_id;
	uint64_t time_source;
	uint64_t flush_ms;
	uint8_t salts_sha256[DIGEST_LEN];
	struct ledger_retention retention;
	uint64_t has_retention;
	uint64_t places, has_places;
	uint64_t cutoff_bytes, has_cutoff;
	const char *cutoff_apps;
	uint64_t has_cutoff_apps;
};

struct ledger_key {
	uint64_t epoch;
	uint8_t public_key[ED25519_KEY_LEN];
	uint8_t origin_signature[ED25519_SIG_LEN];
	uint64_t has_signature;
};

struct ledger_begin {
	uint64_t lane, number, source;
	const char *interface;
	uint64_t linktype, snaplen;
};

struct ledger_progress_entry {
	uint64_t lane, number, frames, bytes, packets;
	uint8_t root[DIGEST_LEN];
	struct counters counters;
};
extern const struct field progress_entry_fields[];

struct ledger_progress {
	json_t *segments;
	uint64_t sync_ns_max;
};

struct ledger_segment {
	uint64_t lane, number;
	const char *path;
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t frames, packets;
	uint8_t root[DIGEST_LEN];
	uint64_t ts_min, ts_max;
	uint64_t mode, sealed;
	struct counters counters_begin, counters_end;
};

struct ledger_loss {
	uint64_t lane, cause, frames, t_first, t_last;
};

struct ledger_shunt {
	uint64_t lane, frames, bytes, t_first, t_last;
};

struct ledger_clock {
	const char *boot_id;
	uint64_t offset, tolerance, synchronised, max_error_ns;
};

#define GAP_PAUSE 0
struct ledger_gap {
	uint64_t cause, length;
};

struct ledger_incident {
	uint64_t kind;
	const char *detail;
};
#define INCIDENT_RECORDER_DIED 0
#define INCIDENT_SUPERVISOR_DIED 5
#define INCIDENT_FLOWLOG_DIED 24
#define INCIDENT_FLOWS_ENDED 26
#define INCIDENT_INTERFACE_REMOVED 16 // from here to STARVED: frames may have passed the recorder by
#define INCIDENT_STARVED 20

struct ledger_source {
	uint64_t index;
	const char *name;
	const char *format;
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t packets, ts_truncated, ts_out_of_range;
	uint64_t has; // SOURCE_HAS_*
	uint64_t damage_offset;
	const char *damage_reason;
	const char *extra_path;
	uint64_t extra_bytes;
	uint8_t extra_sha256[DIGEST_LEN];
	uint64_t extra_lines;
};
#define SOURCE_HAS_DAMAGE 1u
#define SOURCE_HAS_EXTRA 2u

struct ledger_flows {
	uint64_t number;
	const char *path;
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t frames, raw_bytes, records, inspected, lost, malformed;
};

struct ledger_retire_flows {
	uint64_t number, bytes;
	uint8_t sha256[DIGEST_LEN];
};

struct ledger_retire {
	uint64_t lane, number, bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t packets;
	uint64_t reason; // RETIRE_*
	uint64_t free, has_free;
};
enum { RETIRE_KEEP_SIZE, RETIRE_KEEP_TIME, RETIRE_MIN_FREE };
extern const char *const retire_reason_names[];

struct ledger_close {
	uint64_t reason, segments, packets;
};
extern const char *const close_reason_names[];

struct ledger_line {
	uint64_t seq;
	uint8_t prev[DIGEST_LEN];
	uint64_t type; // enum line_type
	uint64_t t_real, t_boot;
	uint8_t nonce[16];
	union {
		struct ledger_open open;
		struct ledger_key key;
		struct ledger_begin begin;
		struct ledger_progress progress;
		struct ledger_segment segment;
		struct ledger_loss loss;
		struct ledger_shunt shunt;
		struct ledger_clock clock;
		struct ledger_gap gap;
		struct ledger_incident incident;
		struct ledger_source source;
		struct ledger_flows flows;
		struct ledger_retire retire;
		struct ledger_retire_flows retire_flows;
		struct ledger_close close;
		const char *texts[2];
	};
};

// A canonical object (ledger_line_parse) to a line: 0 or -EBADMSG with the fault.
int ledger_line_take(json_t *object, struct ledger_line *ret_line, struct field_fault *ret_fault);

struct recovery_segment {
	uint64_t lane, number, file_bytes;
	uint8_t file_sha256[DIGEST_LEN];
	uint64_t signed_frames, signed_packets, frames, packets, bytes;
	uint8_t root[DIGEST_LEN];
};

struct recovery {
	uint64_t format;
	uint8_t recording[DIGEST_LEN];
	uint64_t t_real, ledger_bytes;
	uint8_t ledger_sha256[DIGEST_LEN];
	uint64_t checkpoint_size;
	uint8_t checkpoint_sha256[DIGEST_LEN];
	json_t *segments;
	uint8_t origin_signature[ED25519_SIG_LEN];
	uint64_t has_signature;
};
extern const struct field recovery_fields[], recovery_segment_fields[];

// SPDX-License-Identifier: Apache-2.0
// Between a running capture and the verbs `status` and `mark`: one AF_UNIX SOCK_SEQPACKET socket per run, owned by the
// supervisor. A connection asks once and is answered: STATUS by one RUN and then a LANE for each of run.lanes, MARK by
// MARKED, and either by REFUSED. Fixed structs with the length in front, as in wire.h; both sides are outside to each
// other.
//
//   /run/sealtap/<pid>-<8 hex>.sock                root's runs
//   $XDG_RUNTIME_DIR/sealtap/<pid>-<8 hex>.sock    those of other users
//
// Mode 0600, owned by the run's owner. While it is made the name begins with a dot.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/ipc/export_state.h"
#include "sensor/ipc/wire.h"

#define CONTROL_MAGIC 0x316c7463u // "ctl1": both sides are of the same version
#define CONTROL_ROOT_DIR "/run/sealtap"
#define CONTROL_NAME_MAX 64u

enum control_type {
	CONTROL_STATUS = 1,
	CONTROL_MARK,
	CONTROL_RUN,
	CONTROL_LANE,
	CONTROL_MARKED,
	CONTROL_REFUSED,
};

struct control_header {
	uint32_t magic;
	uint32_t type;
	uint32_t len; // of the whole message
	uint32_t reserved;
};

struct control_status {
	struct control_header h;
};

struct control_mark {
	struct control_header h;
	char text[MARK_TEXT_MAX];
};

union control_request {
	struct control_header h;
	struct control_status status;
	struct control_mark mark;
};

enum control_state { CONTROL_STARTING = 1, CONTROL_CAPTURING, CONTROL_RESTARTING, CONTROL_ENDING };

// Of flows. From `packets` on it is the inspector's own word.
enum inspection_state {
	INSPECTION_OFF,
	INSPECTION_RUNNING,
	INSPECTION_RESTARTING,
	INSPECTION_GIVEN_UP,
	INSPECTION_STATES
};
struct control_inspection {
	uint32_t state;  // enum inspection_state
	uint32_t deaths; // inspectors that ended otherwise than well
	uint64_t lent_packets;
	uint64_t shed_packets; // recorded without being inspected
	uint64_t packets;      // inspected
	uint64_t flows;        // in the table now
	uint64_t flows_forced; // ended early because the table was full
	uint64_t records;      // given to the flow log
	uint64_t records_lost; // that it did not take in time
	uint64_t acked_bytes;  // TCP payload that its receivers acknowledged ...
	uint64_t missed_bytes; // ... and that never came by here; goes back when it comes late
};

// Of one target of flow records.
struct control_export {
	char target[328];
	uint32_t running; // 1: the exporter lives
	uint32_t reserved;
	struct export_progress progress; // by the exporter's word
};

struct control_run {
	struct control_header h;
	uint32_t state;
	uint32_t kind; // enum job_kind
	uint32_t pid;  // of the supervisor: SIGTERM ends the run
	uint32_t lanes;
	uint64_t dir_device; // of the recording's directory
	uint64_t dir_inode;
	uint64_t since_ns; // CLOCK_REALTIME; 0: not yet capturing
	uint64_t elapsed_ns;
	uint64_t packets_per_second;
	uint64_t bytes_per_second;
	struct counters counters;  // summed over lanes
	struct wire_status status; // summed over recorders
	struct wire_ledger ledger;
	struct control_inspection inspection;
	int32_t level_ceiling;
	uint32_t restarts;
	uint64_t incident_ns;          // when the newest was heard of
	struct wire_incident incident; // the newest, when ledger.incidents is not 0
	uint8_t recording_id[DIGEST_LEN];
	char recording[1024];
	char sensor[256];
	char reference[512];
	char operator_name[256];
	char driver[16];
	uint32_t exporter_deaths;
	uint32_t exports;
	struct control_export export[JOB_EXPORTS_MAX];
};

struct control_lane {
	struct control_header h;
	struct wire_lane lane;
	char source[1024]; // as the operator named it
};

struct control_marked {
	struct control_header h;
	struct wire_mark_answer answer;
	char by[MARK_BY_MAX];
};

enum control_refusal {
	CONTROL_NOT_YOURS = 1, // the peer is neither root nor the run's owner
	CONTROL_MALFORMED,     // no such request, or of another version
	CONTROL_NOT_RECORDING, // the ledger is not open yet, or is being closed: nothing was written
	CONTROL_NO_ANSWER, // the keeper has not answered in time, or died: whether the mark was written is not known
};

struct control_refused {
	struct control_header h;
	uint32_t reason; // enum control_refusal
	uint32_t reserved;
};

union control_answer {
	struct control_header h;
	struct control_run run;
	struct control_lane lane;
	struct control_marked marked;
	struct control_refused refused;
};

// What a client has sent: its type, or -EBADMSG. The text of a mark is then one line of UTF-8 that ends.
int control_request_check(const union control_request *m, size_t len);
// What a supervisor has answered: its type, or -EBADMSG. Texts end, numbers are in their range.
int control_answer_check(const union control_answer *m, size_t len);

// The directory of sockets of this user's own runs, made when it is not there. A descriptor and its path, or a negative
// errno with e. Nobody else may be able to write there.
int control_dir_make(char *ret_path, size_t size, struct error *e);
// That of some other, for looking: a descriptor, or a negative errno. *ret_owner is whose runs it holds.
int control_dir_look(const char *path, uint32_t *ret_owner);
bool control_name_ok(const char *name);
// Connects, waiting at most timeout_ms where it is not 0: a descriptor, or a negative errno. -ECONNREFUSED: the run
// behind it is dead.
int control_connect(int dir_fd, const char *name, unsigned timeout_ms);
// Removes the sockets of dead runs.
void control_dir_clean(int dir_fd);

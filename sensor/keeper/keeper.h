// SPDX-License-Identifier: Apache-2.0
// The keeper's state: ledger, epoch key, what has been begun and not sealed. One process, one thread, no packets.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/evidence/keys.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/wire.h"
#include "sensor/keeper/ballast.h"
#include "sensor/keeper/clock_watch.h"
#include "sensor/keeper/ledger_writer.h"
#include "sensor/keeper/retention.h"

#define KEEPER_OPEN_SEGMENTS 4u // per lane: a segment may begin before the one before it is sealed

struct keeper_segment {
	uint32_t number;
	struct wire_segment_state progress; // as last signed
};

struct keeper_lane {
	struct wire_begin is; // interface, link type, source: the same for all its segments
	uint32_t next_number;
	unsigned open_count;
	struct keeper_segment open[KEEPER_OPEN_SEGMENTS]; // oldest first
	struct counters end;                              // counters_end of the segment sealed last
	uint64_t losses[DROP_CAUSES];                     // stated so far
	uint64_t shunted, shunted_bytes;                  // likewise
};

struct keeper {
	const struct job *job;
	int dir_fd;
	int origin_fd; // the log of recordings made with this origin key
	int signer_fd;
	uint8_t origin[ED25519_KEY_LEN];
	uint64_t origin_at;         // offset of this recording's line in it
	char (*details)[WIRE_TEXT]; // of the sources, before `open`
	bool *stated;               // of the sources: has a `source` line
	bool opened;
	bool closed;
	bool finished; // the recorder said that there will be no more segments

	struct ledger_writer ledger;
	struct ballast ballast;
	struct clock_watch clock;
	uint8_t recording_id[DIGEST_LEN];
	uint8_t salts_key[SALTS_KEY_LEN];
	struct secret_key *key;
	uint64_t epoch;
	uint64_t epoch_since_ns; // boot time
	char boot_id[CLOCK_BOOT_ID_MAX];

	struct keeper_lane *lanes;
	unsigned lane_count;
	struct retention retention;
	uint32_t flows_next; // number after that of the newest `flows` line
	uint64_t segments;   // begun
	uint64_t packets;    // of sealed segments

	int tell_fd;               // the supervisor's socket, for words that it did not ask for; -1: it is gone
	struct wire_ledger status; // for its operator
	struct wire_ledger told;   // as sent last
	uint64_t told_ns;          // boot time
};

// records.c: one line of each kind. They append; the caller makes the checkpoint.
int keeper_append(struct keeper *k, const char *type, json_t *fields); // with gap and clock lines where due
int keeper_record_open(struct keeper *k, uint64_t origin_seq, const uint8_t origin_prev[DIGEST_LEN]);
int keeper_record_clock(struct keeper *k);
int keeper_record_begin(struct keeper *k, const struct wire_begin *b);
int keeper_record_progress(struct keeper *k, const struct wire_progress *p);
int keeper_record_segment(struct keeper *k, const struct keeper_lane *lane, const struct wire_seal *s);
int keeper_record_loss(struct keeper *k, const struct wire_loss *l);
int keeper_record_shunt(struct keeper *k, const struct wire_shunt *s);
int keeper_record_source(struct keeper *k, const struct wire_source *s);
int keeper_record_flows(struct keeper *k, const struct wire_flows *f);
int keeper_record_retire_flows(struct keeper *k, const struct sealed_flows *f);
int keeper_record_retire(struct keeper *k, const struct sealed_segment *s, const char *reason, uint64_t free_bytes);
int keeper_record_incident(struct keeper *k, const char *kind, const char *detail);
int keeper_record_mark(struct keeper *k, const struct wire_mark *m);
int keeper_record_close(struct keeper *k, const char *reason);

// epoch.c: keys and checkpoints.
// Learns the origin public key and opens the log of its recordings below origins_fd. Before the sandbox closes.
int keeper_meet_signer(struct keeper *k, int origins_fd, struct error *e);
int keeper_open(struct keeper *k, struct error *e); // lines 0 to 2 and the first checkpoint
int keeper_checkpoint(struct keeper *k, bool durable);
int keeper_rotate_if_due(struct keeper *k);

// retention.c: what goes under the policy of the job.
int keeper_retention_sealed(struct keeper *k, const struct wire_seal *s); // a `segment` line was made just now
void keeper_retention_free(struct keeper *k);
int keeper_retention_flows(struct keeper *k, const struct wire_flows *f); // a `flows` line was made just now
// Gives up flow files whose packets have gone: signed and on the disk before it returns.
int keeper_retire_flows(struct keeper *k);
int keeper_retire(struct keeper *k, int fd, const union wire_message *m);

// requests.c: what the other processes ask for. 0, or a negative errno that ends the sender.
int keeper_recorder_request(struct keeper *k, int fd, const union wire_message *m, struct error *e);
int keeper_flowlog_request(struct keeper *k, int fd, const union wire_message *m, struct error *e); // flows.c
bool counters_law_holds(const struct counters *c, bool shunts);

// tell.c: the supervisor's operator. Nothing here waits for the supervisor.
void keeper_tell_incident(struct keeper *k, const char *kind, const char *detail);
void keeper_tell(struct keeper *k, bool at_once); // how the ledger stands, once a second when that has changed
// An operator's mark: on the disk and under a signed checkpoint before it is answered. Negative: the ledger cannot be
// written.
int keeper_mark(struct keeper *k, const struct wire_mark *m);

// SPDX-License-Identifier: Apache-2.0
// Messages between the processes of a run: fixed structs over SOCK_SEQPACKET, one struct per datagram, no pointers.
// The receiver checks type and length before anything else; what the state does not permit ends the sender.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

#define MARK_BY_MAX 256u    // bytes, with the NUL
#define MARK_TEXT_MAX 1024u // the same

enum wire_type {
	// recorder -> keeper; each is answered by one message with the same type
	WIRE_DETAIL = 1, // of one source, before START
	WIRE_START,      // all sources are open: the keeper opens the ledger; again after a restart of the recorder
	WIRE_ADOPT,      // after a restart: what a lane has that is not sealed
	WIRE_BEGIN,
	WIRE_PROGRESS,
	WIRE_SEAL,
	WIRE_LOSS,
	WIRE_SOURCE,
	WIRE_INCIDENT,
	WIRE_FINISHED, // no more segments: the recorder will exit
	WIRE_RETIRE,   // is a segment to go under the retention policy, or has the disk no room left?
	WIRE_SHUNT,
	// flow log -> keeper; answered likewise. INCIDENT too
	WIRE_FLOWS_START, // when the ledger is open: answered by struct wire_flows_answer
	WIRE_FLOWS,       // a file of flow records is complete; the answer: files below `number` were given up
	// supervisor -> keeper
	WIRE_FLOWLOG_DIED,  // with the socket of its successor as SCM_RIGHTS when there will be one
	WIRE_RECORDER_DIED, // with the socket of its successor as SCM_RIGHTS when there will be one
	WIRE_MARK,          // answered by one message with the same type, when the line is signed
	WIRE_CLOSE,         // and INCIDENT, of inspector, flow log and exporter: not answered
	// keeper -> supervisor; INCIDENT too, of what has been written
	WIRE_OPENED,
	WIRE_LEDGER,
	WIRE_CLOSED,
	// recorder -> supervisor
	WIRE_CAPTURING,
	WIRE_LANES,
	WIRE_STATUS,
	WIRE_FAILED,
	WIRE_DONE,
	// supervisor -> recorder
	WIRE_STOP,
	// signer
	WIRE_ORIGIN, // signer -> keeper: the origin public key, unasked, first
	WIRE_SIGN,   // keeper -> signer, once
	WIRE_SIGNATURE,
};

struct wire_header {
	uint32_t type;
	uint32_t len; // of the whole message
};

#define WIRE_TEXT 512u
struct wire_plain { // DETAIL, BEGIN .. FINISHED answered: only this; START, CLOSE, STOP, CAPTURING, DONE
	struct wire_header h;
	int32_t result; // answers: 0 or a negative errno
	uint32_t number;
	char text[WIRE_TEXT]; // CLOSE, DONE: the reason as in the ledger; DETAIL: text
};

struct wire_begin {
	struct wire_header h;
	uint32_t lane;
	uint32_t number;
	uint32_t source;
	uint32_t linktype;
	uint32_t snaplen;
	uint32_t reserved;
	char interface[256];
};

struct wire_begin_answer {
	struct wire_header h;
	uint8_t recording_id[DIGEST_LEN];
	uint8_t salt_key[DIGEST_LEN];
};

struct wire_segment_state {
	uint32_t lane;
	uint32_t number;
	uint64_t frames;
	uint64_t bytes;
	uint64_t packets;
	uint8_t root[DIGEST_LEN];
	struct counters counters;
};

#define WIRE_PROGRESS_SEGMENTS 64u
struct wire_progress {
	struct wire_header h;
	uint32_t count;
	uint32_t reserved;
	uint64_t sync_ns_max;
	struct wire_segment_state segment[WIRE_PROGRESS_SEGMENTS];
};

struct wire_seal {
	struct wire_header h;
	struct wire_segment_state state;
	uint8_t sha256[DIGEST_LEN];
	uint64_t ts_min;
	uint64_t ts_max;
	uint32_t adopted;
	uint32_t reserved;
};

// Answer to ADOPT, which names a lane in plain.number. progress is what the ledger has signed about the open segment.
struct wire_adopt {
	struct wire_header h;
	uint32_t next_number; // of the lane's next segment
	uint32_t open;        // 1: begin, secret and progress speak of its oldest segment that is not sealed
	uint32_t last;        // 1: and there is no younger one
	uint32_t reserved;
	struct wire_begin begin;
	struct wire_begin_answer secret;
	struct wire_segment_state progress;
	struct counters counters_begin;
	uint64_t losses[DROP_CAUSES];    // stated in `loss` lines so far
	uint64_t shunted, shunted_bytes; // stated in `shunt` lines so far
};

struct wire_loss {
	struct wire_header h;
	uint32_t lane;
	uint32_t cause;
	uint64_t frames;
	uint64_t t_first;
	uint64_t t_last;
};

struct wire_shunt {
	struct wire_header h;
	uint32_t lane;
	uint32_t reserved;
	uint64_t frames;
	uint64_t bytes;
	uint64_t t_first;
	uint64_t t_last;
};

// Request: what is NOTHING, or REMOVE when the segment that the last answer named is gone. Answer: with REMOVE the
// `retire` line about the segment is signed and on the disk.
enum wire_retire_what { WIRE_RETIRE_NOTHING, WIRE_RETIRE_REMOVE, WIRE_RETIRE_NO_ROOM };
struct wire_retire {
	struct wire_header h;
	uint32_t what;
	uint32_t lane;
	uint32_t number;
	uint32_t soon;  // of an answer: 1 when it makes sense to ask again at once
	uint64_t free;  // of the file system
	uint32_t place; // of a request: the disk that it is about
	uint32_t reserved;
};

struct wire_flows {
	struct wire_header h;
	uint32_t number;
	uint32_t reserved;
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t frames;    // zstd
	uint64_t raw_bytes; // decompressed
	uint64_t records;
	uint64_t inspected; // frames of segments that its order lines name
	uint64_t lost;      // records that the inspector could not tell or that could not be written
	uint64_t malformed; // messages that were not understood
};

struct wire_flows_answer { // to FLOWS_START
	struct wire_header h;
	uint8_t recording_id[DIGEST_LEN];
	uint32_t next_number; // no file of this number or a higher one has been sealed
	uint32_t reserved;
};

struct wire_source {
	struct wire_header h;
	uint32_t index;
	uint32_t damaged;
	char format[64];
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
	uint64_t packets;
	uint64_t ts_truncated;
	uint64_t ts_out_of_range;
	uint64_t damage_offset;
	char damage_reason[200];
	uint64_t extra_lines; // 0: no extra file
	uint64_t extra_bytes;
	uint8_t extra_sha256[DIGEST_LEN];
};

struct wire_incident {
	struct wire_header h;
	char kind[32];
	char detail[480];
};

// recorder -> supervisor, once a second: the lanes, some in each message, and then the rest.
struct wire_lane {
	uint32_t lane;
	uint32_t source;               // of the job
	uint64_t last_ns;              // greatest time of a packet in a segment; 0: there is none
	uint64_t dropped[DROP_CAUSES]; // up to this moment; the counters follow when the next block is written
	struct counters counters;      // at the end of the block written last
	char interface[256];
};

#define WIRE_LANES_MAX 16u
struct wire_lanes {
	struct wire_header h;
	uint32_t count;
	uint32_t reserved;
	struct wire_lane lane[WIRE_LANES_MAX];
};

#define WIRE_STALL_UNKNOWN UINT64_MAX
struct wire_status { // of this recorder, not of those before it
	struct wire_header h;
	uint64_t raw_bytes;
	uint64_t stored_bytes;
	uint64_t stall_ms; // how long the disk may stand still at the present rate; WIRE_STALL_UNKNOWN: nothing comes
	uint32_t segments;
	uint32_t pool_blocks;
	uint32_t pool_free;
	int32_t level; // zstd, at present
};

struct wire_mark { // supervisor -> keeper
	struct wire_header h;
	uint32_t number; // comes back in the answer
	uint32_t reserved;
	char by[MARK_BY_MAX];
	char text[MARK_TEXT_MAX];
};

struct wire_mark_answer {
	struct wire_header h;
	int32_t result; // 0: the line is on the disk and under a signed checkpoint
	uint32_t number;
	uint64_t seq; // of the line
	uint64_t t_real;
	uint64_t size; // of that checkpoint
};

struct wire_ledger { // keeper -> supervisor, at most once a second
	struct wire_header h;
	uint64_t size;      // lines that the newest checkpoint covers
	uint64_t signed_ns; // t_real of the newest of them
	uint64_t marks;
	uint64_t incidents;
	uint64_t sync_ns_max; // since the start
	uint64_t retired_segments;
	uint64_t retired_packets;
};

struct wire_sign {
	struct wire_header h;
	uint8_t recording_id[DIGEST_LEN];
	uint8_t subject[DIGEST_LEN]; // epoch 1 public key, or the hash of a recovery statement
	uint32_t purpose;            // enum wire_purpose
	uint32_t reserved;
};
enum wire_purpose { WIRE_PURPOSE_EPOCH1 = 1, WIRE_PURPOSE_RECOVERY = 2 };

struct wire_origin {
	struct wire_header h;
	uint8_t public_key[ED25519_KEY_LEN];
};

struct wire_signature {
	struct wire_header h;
	uint8_t signature[ED25519_SIG_LEN];
};

union wire_message {
	struct wire_header h;
	struct wire_plain plain;
	struct wire_begin begin;
	struct wire_begin_answer begin_answer;
	struct wire_progress progress;
	struct wire_seal seal;
	struct wire_adopt adopt;
	struct wire_loss loss;
	struct wire_shunt shunt;
	struct wire_source source;
	struct wire_flows flows;
	struct wire_flows_answer flows_answer;
	struct wire_incident incident;
	struct wire_retire retire;
	struct wire_lanes lanes;
	struct wire_status status;
	struct wire_mark mark;
	struct wire_mark_answer mark_answer;
	struct wire_ledger ledger;
	struct wire_sign sign;
	struct wire_origin origin;
	struct wire_signature signature;
};

int wire_pair(int ret_fds[2]); // two connected ends, close-on-exec
// Sends one message; fills header len. pass_fd is -1 or a descriptor to hand over. 0, -EPIPE when the peer is gone.
int wire_send(int fd, enum wire_type type, void *message, size_t len, int pass_fd);
// The same, but -EAGAIN when the peer does not take it now: for what may be left out.
int wire_try_send(int fd, enum wire_type type, void *message, size_t len);
int wire_send_plain(int fd, enum wire_type type, int result, unsigned number, const char *text);
// Receives one message whose header length equals the datagram's. Returns its type; 0 at end of stream;
// -EBADMSG when it is malformed. *ret_fd (may be NULL) is a descriptor handed over, or -1.
int wire_recv(int fd, union wire_message *message, int *ret_fd);
// Receives and insists on one type and size: 0, -EPIPE, -EBADMSG.
int wire_expect(int fd, enum wire_type type, size_t len, union wire_message *message);
// Text fields from another process: NUL-terminated within size.
bool wire_text_ok(const char *text, size_t size);

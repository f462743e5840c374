// SPDX-License-Identifier: Apache-2.0
// Packet commitments, tiles and frame roots: docs/evidence-format.md section 4. Used by sealers and by the verifier.
// A struct commit belongs to one thread. Bytes given in are well-formed EPBs (segment_format.h checks them first).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

void segment_id(const uint8_t recording_id[DIGEST_LEN], uint32_t lane, uint32_t number, uint8_t out[SEGMENT_ID_LEN]);
int segment_salt_key(const uint8_t salts_key[SALTS_KEY_LEN], const uint8_t id[SEGMENT_ID_LEN], uint8_t out[DIGEST_LEN]);

// What makes commitments of one segment different from those of every other.
struct commit_segment {
	uint8_t id[SEGMENT_ID_LEN];
	uint8_t salt_key[DIGEST_LEN]; // K
	uint32_t lane;
	uint32_t linktype;
};

struct commit_packet {
	const uint8_t *data;
	uint64_t ts_ns;
	uint32_t caplen;
	uint32_t origlen;
	uint32_t flags;
};

struct commit;

int commit_new(struct commit **ret_commit); // -ENOMEM, -ENOTSUP
void commit_free(struct commit *c);
const char *commit_engine(const struct commit *c); // which SHA-256 it uses, for the bench and doctor

// Starts a frame whose first packet has the number `first` in its segment.
int commit_begin(struct commit *c, const struct commit_segment *segment, uint64_t first);
// packet->data stays valid and unchanged until commit_end.
int commit_add(struct commit *c, const struct commit_packet *packet);
// Writes the frame root; the frame is over.
int commit_end(struct commit *c, uint8_t out_root[DIGEST_LEN]);

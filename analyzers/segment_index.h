// SPDX-License-Identifier: Apache-2.0
// Where in a segment the packets of a host, port, conversation or flow can be: for each zstd frame its place, its
// times, its root, and a filter over the keys of its packets. An index is derived, never evidence and never trusted:
// what is read by it is held against the frame roots, and these against the segment's signed root.
//
// File, little-endian:
//   header   "sealtap index v2", SHA-256 of the segment file, u64 its bytes, u32 frames, u32 zero
//   frames   u64 offset, u64 first packet, u64 ts_min, u64 ts_max, u32 packets, u32 filter bytes, root[32]: 72 bytes
//   each filters  one behind the other; a frame with packets and without one can hold anything SHA-256 of all before
//
// Budget: the filters up to each frame take at most 1 % of the bytes stored so far; 64 bytes are always free.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzers/packet_keys.h"

#define INDEX_FRAMES_MAX (1u << 20)
#define INDEX_HASH_LEN 32u

struct indexed_frame {
	uint64_t offset, first, ts_min, ts_max;
	uint32_t packets, filter_bytes;
	const uint8_t *root;
	const uint8_t *filter;
};

// --- making; one thread

struct index_builder;

struct index_builder *index_builder_new(void); // NULL: no memory
void index_builder_free(struct index_builder *b);
void index_builder_start(struct index_builder *b); // a segment begins
// Between two frames: the packets of the next one.
void index_builder_packet(
        struct index_builder *b, uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen);
// The frame they are in; offset, packets, times and root are taken. 0 or -ENOMEM.
int index_builder_frame(struct index_builder *b, const struct indexed_frame *frame, uint64_t stored);
// The file, valid until the next call. NULL: no memory.
const uint8_t *index_builder_finish(
        struct index_builder *b, const uint8_t segment_sha256[INDEX_HASH_LEN], uint64_t segment_bytes, size_t *ret_len);

// --- reading; any thread

struct segment_index {
	const uint8_t *data;
	uint32_t frames;
	const uint8_t *filters;
	size_t filters_len;
	size_t filter_at; // of the next frame
	uint32_t next;
};

// data is borrowed. 0; -ESTALE when it is of another segment file; -EBADMSG when it is no index or damaged.
int segment_index_open(struct segment_index *i, const uint8_t *data, size_t len,
        const uint8_t segment_sha256[INDEX_HASH_LEN], uint64_t segment_bytes);
// Frame after frame. 1 and a frame, 0 at the end, -EBADMSG.
int segment_index_next(struct segment_index *i, struct indexed_frame *ret_frame);
// False when no packet of the frame has the key.
bool indexed_frame_may_have(const struct indexed_frame *f, uint64_t key);

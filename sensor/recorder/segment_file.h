// SPDX-License-Identifier: Apache-2.0
// One segment file: header frame, packet frames, last frame; O_DIRECT in aligned pieces with buffered writes as
// fallback; space reserved ahead, so that a full disk is met before a frame and never in the middle of one. Writer
// thread (or adopt.c before threads). Must not talk to the keeper.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/merkle.h"

#define STAGE_WRITE (4u << 20)                 // written in pieces of this size
#define STAGE_BYTES (STAGE_WRITE + (2u << 20)) // and one frame more
#define STAGE_ALIGN 4096u

// Aligned buffers shared by all segments of one writer: memory does not grow with the number of lanes.
#define STAGES 4u
struct stages {
	uint8_t *buffer[STAGES];
	struct segment_file *owner[STAGES];
	unsigned next; // round robin victim
};

int stages_init(struct stages *s);
void stages_free(struct stages *s);

struct segment_file {
	int fd;
	bool direct;
	uint32_t lane;
	uint32_t number;
	uint64_t bytes;    // of all frames appended
	uint64_t written;  // bytes that are in the file (page cache or disk)
	uint64_t reserved; // allocated up to here
	uint64_t frames;
	uint64_t packets;
	uint64_t ts_min;
	uint64_t ts_max;
	struct digest *digest;
	struct merkle roots;
	struct stages *stages;
	int stage;         // index of the buffer held, or -1
	uint64_t stage_at; // file offset of its first byte, aligned
	uint32_t stage_used;
	uint8_t tail[STAGE_ALIGN]; // bytes beyond the last aligned offset while no buffer is held
};

struct segment_info { // what frame 0 states
	uint16_t linktype;
	uint32_t snaplen;
	const char *interface;
};

// Makes segments/<lane>/<number>.pcapng.zst below dir_fd, with frame 0. -EEXIST when there is such a file.
int segment_file_create(int dir_fd, uint32_t lane, uint32_t number, const struct segment_info *info,
        struct stages *stages, struct segment_file **ret_file);
// Takes an existing file over behind its first `bytes` bytes (the rest is cut off). The caller fills digest, roots,
// frames, packets and times for what is kept.
int segment_file_resume(int dir_fd, uint32_t lane, uint32_t number, uint64_t bytes, struct stages *stages,
        struct segment_file **ret_file);
void segment_file_free(struct segment_file *f); // closes; writes nothing

// Appends one frame, whose root is given (H("") for none). -ENOSPC: nothing was appended and the file is as before.
int segment_file_append(struct segment_file *f, const void *frame, uint32_t len, const uint8_t root[DIGEST_LEN]);
// Everything appended is in the file after it; durable only after the caller's fdatasync.
int segment_file_flush(struct segment_file *f);
// Appends the last frame (statistics) and flushes and cuts the file to its size.
int segment_file_finish(struct segment_file *f, uint64_t now_ns, const struct counters *c);
void segment_file_root(const struct segment_file *f, uint8_t out[DIGEST_LEN]);

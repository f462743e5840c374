// SPDX-License-Identifier: Apache-2.0
// Reads a segment file once, from the start to the end: hands out its zstd frames and hashes every byte on the way.
// One thread; one large buffer that serves segment after segment.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/zstd_frame.h"

struct stored_reader {
	uint8_t *buffer;
	size_t from, until; // bytes read and not handed out
	struct digest *digest;
	int fd;
	bool eof;
	uint64_t bytes;     // read and hashed so far
	const char *reason; // after -EBADMSG
};

int stored_reader_init(struct stored_reader *s); // -ENOMEM
void stored_reader_release(struct stored_reader *s);
void stored_reader_start(struct stored_reader *s, int fd); // fd is borrowed
// 1 and a frame, valid until the next call; 0 at a clean end; -ENODATA when the file ends inside a frame; -EBADMSG;
// another errno of read().
int stored_reader_next(struct stored_reader *s, const uint8_t **ret_data, struct zstd_frame *ret_frame);
// Reads and hashes what is left, but no further than behind the first `enough` bytes; eof says whether that was all.
// 0 or an errno of read().
int stored_reader_finish(struct stored_reader *s, uint64_t enough, uint8_t out_sha256[DIGEST_LEN]);

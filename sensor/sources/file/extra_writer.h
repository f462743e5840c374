// SPDX-License-Identifier: Apache-2.0
// Owns the text of the extra file (section 5 of the format): JSON lines with hex data, one zstd frame. Bounded memory.
// One thread: RX of the recorder, or the verifier. The descriptor stays the caller's; nothing is written before the
// first line. Must not interpret the blocks that it keeps.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EXTRA_LINE_BYTES (1u << 20) // of a block, before another line begins
#define EXTRA_NO_PACKET UINT64_MAX

struct extra_writer;

int extra_writer_new(int fd, struct extra_writer **ret_writer);
void extra_writer_free(struct extra_writer *w); // does not finish the file

// All return 0 or the negative errno of the write that failed. A block's data may come in pieces.
int extra_writer_begin(struct extra_writer *w, uint64_t offset, uint32_t block, uint64_t packet);
int extra_writer_data(struct extra_writer *w, const void *data, size_t len);
int extra_writer_end(struct extra_writer *w);
// Ends an open line and the zstd frame. A writer without lines leaves the file empty.
int extra_writer_finish(struct extra_writer *w);
uint64_t extra_writer_lines(const struct extra_writer *w);

// SPDX-License-Identifier: Apache-2.0
// Writes flow files: lines gather in memory, become a zstd frame, and frames a file, until that is sealed. What a
// reader finds is whole frames of whole lines at any time, but for a crash while one is written. One thread; it blocks
// in writing and syncing only.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/wire.h"

struct flow_writer;

// dir_fd: the directory of the files, borrowed. The first file has this number, or the next that is free. 0 or -ENOMEM.
int flow_writer_new(int dir_fd, uint32_t number, struct flow_writer **ret_writer);
void flow_writer_free(struct flow_writer *w);

// What is counted in the file, with the lines that it is about.
struct flow_writer_counts {
	uint64_t records, inspected, lost, malformed;
};

// Adds a line. 0; -EMSGSIZE: longer than a line may be, and not added; else the file could not be written
// (flow_writer_abandon is next).
int flow_writer_line(struct flow_writer *w, const json_t *line, const struct flow_writer_counts *counts);
// Counts what has no line of its own: it stands in the file that is under way, or the next.
void flow_writer_count(struct flow_writer *w, const struct flow_writer_counts *counts);
// Whether something is counted that no file says yet.
bool flow_writer_counted(const struct flow_writer *w);
// Writes the lines that have gathered. 0, or a negative errno as above.
int flow_writer_flush(struct flow_writer *w);
// Bytes of lines that have gathered, and those of the whole file under way, these included.
uint64_t flow_writer_gathered(const struct flow_writer *w);
uint64_t flow_writer_raw_bytes(const struct flow_writer *w);
// Flushes and completes the file on the disk. 1 and what the ledger is to say; 0 when there is no file; a negative
// errno as above.
int flow_writer_seal(struct flow_writer *w, struct wire_flows *ret_sealed);
// After an error of writing: what could not be written is given up, and a torn frame cut off. As flow_writer_seal.
int flow_writer_abandon(struct flow_writer *w, struct wire_flows *ret_sealed);

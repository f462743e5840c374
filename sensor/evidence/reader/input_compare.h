// SPDX-License-Identifier: Apache-2.0
// Reads an ingested file again by the reader that `ingest` used, and compares every packet with the lanes of its
// source. One pass over the file, which is hashed on the way, and one over the lanes, whose commitments are checked on
// the way. One thread; holds one frame per lane and the file reader's window. Must not look beyond the first
// difference.
#pragma once

#include "sealtap/source.h"
#include "sensor/evidence/reader/verify.h"

// fd is consumed. r is the recording's report; findings are added to found, which mean something only when the caller
// sees in *ret_end that the file is the one that was read. 0; -EPROTONOSUPPORT or -ENODATA when the file is no capture;
// another negative errno, with what could not be done in e.
int input_compare(const struct recording_dir *dir, int fd, const char *path, size_t source,
        const struct verify_report *r, struct verify_report *found, struct source_end *ret_end, struct error *e);

// SPDX-License-Identifier: Apache-2.0
// The first and the last zstd frame of a segment (docs/evidence-format.md section 3). Pure functions of their
// arguments, but for the nonce.
#pragma once

#include <stdint.h>

#include "sensor/recorder/segment_file.h"

#define SMALL_FRAME_MAX 1024u

int segment_frame_first(const struct segment_info *info, uint8_t out[SMALL_FRAME_MAX]); // length or negative errno
int segment_frame_last(uint64_t now_ns, const struct counters *c, uint8_t out[SMALL_FRAME_MAX]);

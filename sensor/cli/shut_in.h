// SPDX-License-Identifier: Apache-2.0
// A recording may be hostile: before a process parses it, it gives up everything but reading it, and what is open.
#pragma once

#include <stddef.h>

#include "sealtap/error.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/sandbox/sandbox.h"

// For the rest of the process: reading these recordings, and what s says besides. s names a reader's role and has no
// read_dirs yet; its uid stays. Has libraries open before what they would open later. 0, or a negative errno with e.
int shut_in(const struct sandbox *s, const struct recording_dir *const *dirs, size_t count, struct error *e);

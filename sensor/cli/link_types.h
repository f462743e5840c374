// SPDX-License-Identifier: Apache-2.0
// The link types of a recording's lanes, for what has to be prepared for each before packets are read. Its ledger is
// read in a process of its own (apart.h).
#pragma once

#include <stdint.h>

#include "sensor/evidence/reader/recording_dir.h"

#define LINK_TYPES_MAX 64u

// How many different ones; none when the ledger cannot be read, which those who read packets tell. Negative after
// saying why.
int link_types_of(const char *verb, const struct recording_dir *dir, uint32_t ret_linktypes[LINK_TYPES_MAX]);

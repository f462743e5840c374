// SPDX-License-Identifier: Apache-2.0
// What the recorder says about itself at the start. Main thread, when everything is open.
#pragma once

#include "sensor/recorder/recorder.h"

// Adds to the detail of one of the job's sources what is to stand in the ledger.
void announce_to_ledger(const struct recorder *r, unsigned source, char *out, size_t size);
void announce_to_operator(const struct recorder *r);

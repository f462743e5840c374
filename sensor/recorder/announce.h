// SPDX-License-Identifier: Apache-2.0
// What the recorder says about itself at the start. Main thread, when everything is open.
#pragma once

#include "sensor/recorder/recorder.h"

void announce_to_ledger(struct recorder *r, int segments_fd); // as part of the sources' detail; before it is sent
void announce_to_operator(const struct recorder *r);

// SPDX-License-Identifier: Apache-2.0
// What the recorder tells the supervisor once a second, for its operator: counters of each lane, fill of the pool,
// level. Main thread. It reads what the other threads publish, changes nothing of theirs, and waits for nobody: a
// supervisor that does not read gets the rest later.
#pragma once

#include "sensor/recorder/recorder.h"

struct status;

int status_new(const struct recorder *r, uint64_t now_ns, struct status **ret_status);
void status_free(struct status *s);
void status_tick(struct recorder *r, struct status *s, uint64_t now_ns);
void status_last(struct recorder *r, struct status *s, uint64_t now_ns); // all of it, when the threads have ended

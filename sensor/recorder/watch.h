// SPDX-License-Identifier: Apache-2.0
// What the recorder's main thread does while the others move packets: orders of the supervisor, the limit of time, the
// status once a second, the compression level under pressure, threads that stand still.
#pragma once

#include "sensor/recorder/recorder.h"

struct watch;

int watch_new(const struct recorder *r, struct watch **ret_watch);
void watch_free(struct watch *w);
void watch_tick(struct recorder *r, void *watch);    // for recorder_run; waits some milliseconds
void watch_end(struct recorder *r, struct watch *w); // the last status to the supervisor

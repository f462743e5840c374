// SPDX-License-Identifier: Apache-2.0
// The recorder as a whole, for its main program. Main thread.
#pragma once

#include "sealtap/error.h"
#include "sensor/recorder/recorder.h"

int recorder_open(struct recorder *r, const struct job *job, struct error *e);
void recorder_free(struct recorder *r);
// Runs until all sources have ended and everything is sealed. tick is called all the while and waits a little itself.
int recorder_run(struct recorder *r, void (*tick)(struct recorder *r, void *context), void *context, struct error *e);

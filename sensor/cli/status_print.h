// SPDX-License-Identifier: Apache-2.0
// What `status` prints of a run: for people, and as JSON. Texts come from another process: made safe for a terminal.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "sensor/cli/runs.h"

#define TIME_FOR_PEOPLE 48
// "2026-11-21 20:58:01.123 UTC"
const char *time_for_people(uint64_t ns, char out[TIME_FOR_PEOPLE]);
void status_print_line(FILE *out, const struct run_seen *run); // one line, to tell runs apart
void status_print(const struct run_seen *run);
json_t *status_json(const struct run_seen *run);

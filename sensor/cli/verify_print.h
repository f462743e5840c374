// SPDX-License-Identifier: Apache-2.0
// The words of `sealtap verify` for people and for programs.
#pragma once

#include <jansson.h>

#include "sensor/evidence/reader/verify.h"

void verify_print_human(const struct series_member *m);
json_t *verify_json(const struct series_member *m);

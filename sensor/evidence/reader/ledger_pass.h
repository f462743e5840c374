// SPDX-License-Identifier: Apache-2.0
// The pass over a recording's statements, shared by `verify` and by readers that want its list of segments.
#pragma once

#include "sensor/evidence/reader/verify_state.h"

int verify_new(const struct recording_dir *dir, const struct verify_options *options, struct verify **ret_verify);
// Everything of section 7 but authentication. With a listener, segments are listed and not read.
int ledger_pass_run(struct verify *v);
// Frees v and hands the report over.
struct verify_report *verify_end(struct verify *v);

// SPDX-License-Identifier: Apache-2.0
// Flow records on standard output: lines for people, JSON or CSV.
#pragma once

#include "analyzers/flow_meter.h"

enum flow_output { FLOW_OUTPUT_NONE, FLOW_OUTPUT_TABLE, FLOW_OUTPUT_JSON, FLOW_OUTPUT_CSV };

void flow_print_header(enum flow_output output);
// 0, or -ENOMEM. Whether it could be written is asked of stdout at the end.
int flow_print(enum flow_output output, const struct flow_record *record);
// What the flow files of a recording said, on standard error.
struct flow_stored;
void flow_print_stored_summary(const struct flow_stored *stored, const struct tcp_gap_stats *gap, bool complete,
        uint64_t shown, const char *result, bool json);
// What became of all packets: lines for people or an object, on standard error. complete: the recording lost nothing.
void flow_print_summary(const struct flow_meter_stats *stats, uint64_t shown, bool complete, bool beyond_signed,
        const char *result, bool json);

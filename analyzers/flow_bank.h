// SPDX-License-Identifier: Apache-2.0
// Several flow meters that share the packets as the threads of an inspector do (flow_share.h), in one thread: what they
// found together is found again, record for record. One thread.
#pragma once

#include "analyzers/flow_meter.h"

struct flow_bank;

// config.flows_max is of all together.
int flow_bank_new(const struct flow_meter_config *config, uint32_t meters, struct flow_bank **ret_bank);
void flow_bank_free(struct flow_bank *b);
// As of a flow meter.
void flow_bank_cutoff(struct flow_bank *b, const struct flow_cutoff *cutoff);
void flow_bank_packet(struct flow_bank *b, const struct metered_packet *packet);
void flow_bank_tick(struct flow_bank *b, uint64_t ts_ns);
void flow_bank_end(struct flow_bank *b);
void flow_bank_stats(const struct flow_bank *b, struct flow_meter_stats *ret_stats);
struct dpi *flow_bank_dpi(struct flow_bank *b);

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_bank.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/flow_share.h"

struct flow_bank {
	uint32_t count;
	uint64_t seed;
	struct decoded decoded;
	struct flow_meter *meter[];
};

int flow_bank_new(const struct flow_meter_config *config, uint32_t meters, struct flow_bank **ret_bank)
{
	struct flow_bank *b = calloc(1, sizeof(*b) + meters * sizeof(b->meter[0]));
	struct flow_meter_config each = *config;
	int r = b ? 0 : -ENOMEM;

	if (!b)
		return r;
	b->seed = config->seed;
	each.flows_max = config->flows_max / meters;
	for (; r == 0 && b->count < meters; b->count++)
		r = flow_meter_new(&each, &b->meter[b->count]);
	if (r < 0) {
		flow_bank_free(b);
		return r;
	}
	*ret_bank = b;
	return 0;
}

void flow_bank_free(struct flow_bank *b)
{
	for (uint32_t i = 0; b && i < b->count; i++)
		flow_meter_free(b->meter[i]);
	free(b);
}

void flow_bank_cutoff(struct flow_bank *b, const struct flow_cutoff *cutoff)
{
	for (uint32_t i = 0; i < b->count; i++)
		flow_meter_cutoff(b->meter[i], cutoff);
}

void flow_bank_packet(struct flow_bank *b, const struct metered_packet *p)
{
	decode_packet(p->linktype, p->data, p->caplen, p->origlen, &b->decoded);
	flow_meter_decoded(b->meter[flow_share(&b->decoded, b->count, b->seed)], p, &b->decoded);
}

void flow_bank_tick(struct flow_bank *b, uint64_t ts_ns)
{
	for (uint32_t i = 0; i < b->count; i++)
		flow_meter_tick(b->meter[i], ts_ns);
}

void flow_bank_end(struct flow_bank *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		flow_meter_end(b->meter[i]);
}

struct dpi *flow_bank_dpi(struct flow_bank *b)
{
	return flow_meter_dpi(b->meter[0]);
}

// Every member is a sum.
void flow_bank_stats(const struct flow_bank *b, struct flow_meter_stats *ret_stats)
{
	flow_meter_stats(b->meter[0], ret_stats);
	for (uint32_t i = 1; i < b->count; i++) {
		struct flow_meter_stats s;

		flow_meter_stats(b->meter[i], &s);
		flow_meter_stats_add(ret_stats, &s);
	}
}

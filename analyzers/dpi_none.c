// SPDX-License-Identifier: Apache-2.0
// Built in place of dpi_ndpi.c where there is no nDPI: flows have no application.
#include <errno.h>

#include "analyzers/dpi.h"

const char *dpi_library(void)
{
	return NULL;
}

int dpi_new(const struct dpi_config *config, struct dpi **ret_dpi)
{
	return -ENOTSUP;
}

void dpi_free(struct dpi *d)
{
}

void dpi_packet(struct dpi *d, struct flow *flow, const uint8_t *l3, uint32_t l3_len, uint64_t ts_ns)
{
}

void dpi_describe(struct dpi *d, struct flow *flow, struct flow_record *record)
{
}

void dpi_finish(struct dpi *d, struct flow *flow)
{
}

void dpi_forget(struct dpi *d, struct flow *flow)
{
}

void dpi_stats(const struct dpi *d, struct dpi_stats *ret_stats)
{
}

const char *dpi_app_name(struct dpi *d, unsigned i)
{
	return NULL;
}

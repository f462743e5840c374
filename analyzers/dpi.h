// SPDX-License-Identifier: Apache-2.0
// What an application library says about flows: one interface, whatever version of nDPI is below it, or none. One per
// thread; made one after another, before the sandbox closes. It looks at the first packets of a flow only, and holds
// the library's state of a flow no longer than that; there are at most states_max such states, and when one more is
// needed the flow that has waited longest is given up (counted).
#pragma once

#include "analyzers/flow_table.h"

#define DPI_STATES_MAX 32768u
#define DPI_STATES_BYTES_MAX (24u << 20) // of the library's states: a newer one's are larger, and there are fewer
#define DPI_PACKETS_TCP 24u
#define DPI_PACKETS_UDP 8u              // and everything else
#define DPI_TEXTS_BYTES_MAX (24u << 20) // of all flows in the table: beyond, flows keep no names (counted)

struct dpi_config {
	unsigned packets_tcp, packets_udp; // 0: the above
	uint32_t states_max;               // flows looked into at once; 0: what both of the above allow
};

struct dpi_stats {
	uint64_t packets;        // that the library was given
	uint64_t given_up_early; // for want of states
	uint64_t texts_dropped;  // flows whose names did not fit
	uint64_t detected, guessed, unknown;
};

struct dpi;

// The library's name and version, or NULL when it was not built in.
const char *dpi_library(void);
int dpi_new(const struct dpi_config *config, struct dpi **ret_dpi); // 0, -ENOMEM, -ENOTSUP without a library
void dpi_free(struct dpi *d);
// A packet of the flow, from its IP header on. Does nothing once the flow is done.
void dpi_packet(struct dpi *d, struct flow *flow, const uint8_t *l3, uint32_t l3_len, uint64_t ts_ns);
// Fills in what is known, before the record of a flow is written.
void dpi_describe(struct dpi *d, struct flow *flow, struct flow_record *record);
// Decides what is not decided yet: before the last record of a flow.
void dpi_finish(struct dpi *d, struct flow *flow);
// Frees what the flow holds.
void dpi_forget(struct dpi *d, struct flow *flow);
void dpi_stats(const struct dpi *d, struct dpi_stats *ret_stats);
// The names that describe gives, one by one for i below DPI_APPS_MAX; NULL: that number has none.
#define DPI_APPS_MAX 2048u
const char *dpi_app_name(struct dpi *d, unsigned i);

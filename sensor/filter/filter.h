// SPDX-License-Identifier: Apache-2.0
// A pcap filter expression, compiled once per link type and run over the frame as it is recorded. The recorder
// compiles it before the sandbox closes where the link types are known (live), else when a lane appears.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"

struct filter;

int filter_new(
        const char *expression, struct filter **ret_filter, struct error *e); // *ret_filter NULL when it is empty
void filter_free(struct filter *f);
// One RX thread at a time per filter. 0, or -EINVAL when the expression makes no sense for this link type.
int filter_prepare(struct filter *f, uint16_t linktype, struct error *e);
bool filter_accepts(const struct filter *f, uint16_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen);

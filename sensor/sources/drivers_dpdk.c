// SPDX-License-Identifier: Apache-2.0
// Drivers of sealtap-recorder-dpdk. Only the table: see drivers.h.
#include "sensor/sources/drivers.h"

const struct live_driver live_drivers[] = {
        {.name = "dpdk", .open = source_dpdk_open, .tap = TAP_COPY | TAP_TAKE, .busy_polls = true, .own_threads = true},
        {0},
};

// SPDX-License-Identifier: Apache-2.0
// Drivers of sealtap-recorder. Only the table: see drivers.h.
#include "sensor/sources/drivers.h"

const struct live_driver live_drivers[] = {
        {.name = "afpacket", .open = source_afpacket_open},
        {0},
};

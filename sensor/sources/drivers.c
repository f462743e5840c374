// SPDX-License-Identifier: Apache-2.0
// Drivers of sealtap-recorder. Only the table: see drivers.h.
#include "sensor/sources/drivers.h"

const struct live_driver live_drivers[] = {
        {.name = "afpacket", .open = source_afpacket_open},
        {.name = "pcap", .open = source_pcap_open},
#ifdef HAVE_XDP
        {.name = "xdp", .open = source_xdp_open},
#endif
        {0},
};

// SPDX-License-Identifier: Apache-2.0
// Drivers of sealtap-recorder. Only the table: see drivers.h.
#include "sensor/sources/drivers.h"

const struct live_driver live_drivers[] = {
        {.name = "afpacket", .open = source_afpacket_open, .tap = TAP_COPY, .nic_time = true},
        {.name = "pcap", .open = source_pcap_open, .tap = TAP_COPY},
#ifdef HAVE_XDP
        {.name = "xdp", .open = source_xdp_open, .tap = TAP_TAKE, .busy_polls = true, .nic_time = true},
#endif
        {0},
};

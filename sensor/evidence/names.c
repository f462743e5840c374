// SPDX-License-Identifier: Apache-2.0
#include "sealtap/evidence.h"

const char *const drop_cause_names[DROP_CAUSES] = {
        [DROP_POOL] = "pool",
        [DROP_DISK] = "disk",
        [DROP_OVERSIZE] = "oversize",
        [DROP_CRASH] = "crash",
};

const char *const xsk_counter_names[XSK_COUNTERS] = {
        [XSK_NO_SOCKET] = "no_socket",
        [XSK_DROPPED] = "dropped",
        [XSK_RING_FULL] = "ring_full",
        [XSK_FILL_EMPTY] = "fill_empty",
};

const char *const nic_counter_names[NIC_COUNTERS] = {
        [NIC_RECEIVED] = "received",
        [NIC_MISSED] = "missed",
        [NIC_FIFO] = "fifo",
        [NIC_OVER] = "over",
        [NIC_ERRORS] = "errors",
        [NIC_DROPPED] = "dropped",
};

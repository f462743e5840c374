// SPDX-License-Identifier: Apache-2.0
// The NIC's own time stamps of received frames. Recorder process, before the sandbox.
#pragma once

#include "sealtap/error.h"

// Has the NIC stamp every received frame, by any socket fd. Refuses, with the reason, where it cannot, or where its
// clock is not CLOCK_REALTIME's: -ENOTSUP, or -ERANGE. What it sets on the NIC stays set.
int nic_time_start(int fd, const char *interface, struct error *e);

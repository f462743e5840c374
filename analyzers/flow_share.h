// SPDX-License-Identifier: Apache-2.0
// Which of several threads a packet's flows belong to: by the two outermost addresses, so that both directions, all
// fragments and all that is inside one tunnel come to the same thread, whatever queue or interface they came by. Pure.
#pragma once

#include <stdint.h>

#include "analyzers/decode.h"

// 0 to threads - 1; packets without an address are the first thread's. seed: unknown to whoever sends packets.
uint32_t flow_share(const struct decoded *packet, uint32_t threads, uint64_t seed);

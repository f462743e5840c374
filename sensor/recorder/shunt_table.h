// SPDX-License-Identifier: Apache-2.0
// How many bytes of each flow were recorded: a table of fixed size, one per RX thread, that only this thread touches.
// Eight flows share a bucket; a new flow in a full bucket takes the place of the one longest unused, which then counts
// anew: a table that is too small has more recorded, never less. No allocation and no lock after _new.
#pragma once

#include <stdint.h>

#include "bpf/shunt.h"

struct shunt_table;

// flows is a power of two, at least 8; its memory is 72 bytes each. seed: unknown to whoever sends packets. 0 or
// -ENOMEM.
int shunt_table_new(uint32_t flows, uint64_t seed, struct shunt_table **ret_table);
void shunt_table_free(struct shunt_table *t);
// What is remembered of the frame's flow: nothing yet when the frame begins it. Valid until the next call.
struct shunt_flow *shunt_table_flow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns);

// SPDX-License-Identifier: Apache-2.0
// Carries what the inspector says of flows, that they are of an application with a cutoff, to the RX threads. Each gets
// all of it: frames of one flow may come to several. What an RX thread has no room for is gone: as long as packets of
// such a flow come, the inspector says it again.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/loan.h"

struct claims;

int claims_new(struct loans *loans, const struct loan_reply *reply, uint32_t workers, uint32_t rx_count,
        struct claims **ret_claims); // 0 or -ENOMEM
void claims_free(struct claims *v);
// The lender, one thread at a time. A new inspector begins; what it has said since the last call is carried on. False:
// it has said more than there is room for, which cannot be.
void claims_begin(struct claims *v);
bool claims_carry(struct claims *v);
// RX thread: the next one, if there is one. Its key is anything.
bool claims_take(struct claims *v, uint32_t rx, struct loan_claim *ret_claim);

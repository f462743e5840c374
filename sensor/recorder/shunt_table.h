// SPDX-License-Identifier: Apache-2.0
// How many bytes of each flow were recorded: a table of fixed size, one per RX thread, that only this thread touches.
// Eight flows share a bucket; a new flow in a full bucket takes the place of the one longest unused, which then counts
// anew: a table that is too small has more recorded, never less. No allocation and no lock after _new.
//
// With a cutoff for some applications only, the inspector names the flows (claims.h). It is believed no more than this:
// a named flow is cut where every flow would be cut without names, and is itself again when it begins anew.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/shunt.h"

struct shunt_table;

// A flow as it is remembered.
struct shunt_known {
	struct shunt_key key;
	uint32_t begun : 31; // when, by the time of its first frame: units of LOAN_CLAIM_NS, which come again after 26
	                     // days
	uint32_t named : 1;
	struct shunt_flow flow;
};

// flows is a power of two, at least 8; its memory is 72 bytes each. seed: unknown to whoever sends packets. numbered:
// a driver numbers the flows, 8 bytes more. 0 or -ENOMEM.
int shunt_table_new(uint32_t flows, uint64_t seed, bool numbered, struct shunt_table **ret_table);
void shunt_table_free(struct shunt_table *t);
// What is remembered of the frame's flow: nothing yet when the frame begins it. Valid until the next call.
struct shunt_known *shunt_table_flow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns);
// The same, where a driver counts bytes and says by the flow's number, not 0, when it has begun anew. What it says of a
// flow's bytes and silence is not known here.
void shunt_table_follow(struct shunt_table *t, const struct shunt_frame *frame, uint64_t number, uint64_t now_ns);
// Somebody names the flow, by a frame of it at that time. Nothing happens when no such flow is remembered, or when it
// has begun since. True: it is named now, with the driver's number where there is one, else 0.
bool shunt_table_name(struct shunt_table *t, const struct shunt_key *key, uint64_t ns, uint64_t *ret_number);

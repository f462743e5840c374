// SPDX-License-Identifier: Apache-2.0
// Records put together into flows: one that lasts has several, of which only a later one may have its name. And of
// flows that were not chosen keeps those that a chosen one of the same ports must be told from, because it begins no
// later than they end. Holds what is unfinished; one thread.
#pragma once

#include "analyzers/flow_key.h"
#include "analyzers/flow_set.h"

struct flow_join;

// flow is called for each flow, in the order in which those of one key ended. 0 or -ENOMEM.
int flow_join_new(uint64_t seed, void (*flow)(void *user, const struct flow_key *key, const struct flow_span *span),
        void *user, struct flow_join **ret_join);
void flow_join_free(struct flow_join *j);
// chosen: by what this record says. 0 or -ENOMEM.
int flow_join_record(struct flow_join *j, const struct flow_record *record, bool chosen);
// No more records.
void flow_join_end(struct flow_join *j);

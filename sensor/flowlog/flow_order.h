// SPDX-License-Identifier: Apache-2.0
// The order of inspection (sensor/ipc/flow_stream.h) as a line of a flow file, and back. Pure, any thread.
//
//   {"event_type":"inspection","order":[["start",THREADS,SEED],["frame",LANE,SEGMENT,FRAME],["tick",TIME],["lost",N],["end"]]}
#pragma once

#include <jansson.h>

#include "sensor/ipc/flow_stream.h"

#define FLOW_ORDER_EVENT "inspection"

// NULL: no memory, or an entry that is none.
json_t *flow_order_json(const struct inspected *entries, unsigned count);
// How many, or -EBADMSG.
int flow_order_parse(const json_t *object, struct inspected ret_entries[FLOW_STREAM_ORDER_MAX]);

// SPDX-License-Identifier: Apache-2.0
// A sink with its thread and the records that it has not settled: a slow or dead collector holds up nobody but itself.
// Records come by outlet_put, from any thread, or the outlet reads them itself out of flow files (spool.h).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensor/exporter/sink.h"
#include "sensor/ipc/export_state.h"

#define OUTLET_BYTES (64u << 20) // of records that are not settled

struct outlet;
struct spool;

// Where an outlet reads, and where it says how far it is. The spool stands where the slot says.
struct outlet_live {
	struct spool *spool;
	struct export_slot *slot;
	uint64_t behind_max; // bytes of files not yet read, beyond which records are dropped
};

// live NULL: outlet_put. Takes sink and spool over, also on failure. 0 or -ENOMEM, -EAGAIN.
int outlet_new(struct sink *sink, const struct outlet_live *live, struct outlet **ret_outlet);
// A packed record (analyzers/flow_pack.h). When there is no room: waits, or drops it and counts it.
void outlet_put(struct outlet *o, const uint8_t *packed, size_t len, bool wait);
// No more records will come; what there is gets timeout_ms to be settled. Returns at once.
void outlet_finish(struct outlet *o, int timeout_ms);
void outlet_join(struct outlet *o); // after outlet_finish, until it has ended
// `waiting` of an outlet that has ended is what was not delivered.
void outlet_progress(struct outlet *o, struct export_progress *ret_progress);
const char *outlet_name(const struct outlet *o);
void outlet_free(struct outlet *o); // after outlet_join

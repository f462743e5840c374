// SPDX-License-Identifier: Apache-2.0
// A sink with its queue and its thread: a slow or dead collector holds up nobody but itself. Any thread puts.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensor/exporter/sink.h"

#define OUTLET_QUEUE_BYTES (64u << 20)

struct outlet_stats {
	uint64_t taken, delivered;
	uint64_t dropped; // the queue was full
	uint64_t lost;    // given up at the end
	uint64_t breaks;  // of the connection
	char error[256];  // the last one, empty: none
};

struct outlet;

// Takes the sink over, also on failure. 0 or -ENOMEM, -EAGAIN.
int outlet_new(struct sink *sink, struct outlet **ret_outlet);
// A packed record (analyzers/flow_pack.h). When the queue is full: waits, or drops it and counts it.
void outlet_put(struct outlet *o, const uint8_t *packed, size_t len, bool wait);
// No more records; what is queued gets timeout_ms to arrive.
void outlet_finish(struct outlet *o, int timeout_ms);
void outlet_stats(struct outlet *o, struct outlet_stats *ret_stats);
const char *outlet_name(const struct outlet *o);
void outlet_free(struct outlet *o); // after outlet_finish

// SPDX-License-Identifier: Apache-2.0
// Tells the flow log what a worker has found, and in which order frames were looked at. The flow log may be slow, stuck
// or gone: then records are lost and counted, and packets are not waited with. One per thread.
#pragma once

#include <stdbool.h>

#include "analyzers/flow_pack.h"
#include "sensor/ipc/flow_stream.h"

struct teller {
	int fd;
	int patience_ms; // how long a record may wait for a flow log that takes nothing
	bool stuck;      // it took nothing for so long: records are dropped until it does again
	uint64_t records;
	uint64_t lost, lost_told;
	struct {
		struct flow_stream_header header;
		uint8_t packed[FLOW_PACKED_MAX];
	} record;
	struct {
		struct flow_stream_header header;
		struct inspected entry[FLOW_STREAM_ORDER_MAX];
	} order;
};

void teller_init(struct teller *t, int fd, int patience_ms);
void teller_record(struct teller *t, const struct flow_record *record);
void teller_order(struct teller *t, const struct inspected *entry);
// Sends what has gathered.
void teller_flush(struct teller *t);

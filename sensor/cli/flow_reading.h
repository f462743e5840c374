// SPDX-License-Identifier: Apache-2.0
// The flows of a recording out of its packets, in the order of lane_merge. What parses packets is hostile ground:
// before the first byte of the recording is read, the process gives up everything but reading it (SANDBOX_READER). One
// thread.
#pragma once

#include "analyzers/flow_bank.h"
#include "sealtap/error.h"
#include "sensor/cli/flow_filter.h"
#include "sensor/evidence/reader/segment_list.h"
#include "sensor/evidence/reader/verify.h"

struct flow_reading {
	struct flow_meter_config config; // timeouts and who takes the records: of the caller
	bool no_dpi;
	bool as_inspected; // in the order that the flow files tell, where they do; else by time
	int error;         // set by who takes the records to end the reading
	// Of flow_reading_open and flow_reading_run.
	struct flow_bank *bank;
	struct flow_meter_stats before; // of banks that an inspection ended with
	struct segment_list *list;
	struct verify_report *report; // what does not hold
	struct app_set apps;          // that its cutoff is for ...
	bool apps_unknown;            // ... and not all of them can be told here
	bool beyond_signed;           // the last packets are not signed yet
	bool ordered;                 // there was such an order
	bool order_broken;            // and it could not be read to its end
	unsigned begun_in_vain;       // inspections without a packet
	uint64_t not_inspected;       // frames that it does not name
	uint64_t records_lost;        // that it says were not kept
};

#define FLOW_READING_TIMEOUTS                                                                                          \
	.idle_tcp_ns = FLOW_IDLE_TCP_NS, .idle_other_ns = FLOW_IDLE_OTHER_NS, .active_ns = FLOW_ACTIVE_NS

// Makes the meter, looks whether it knows the applications that the filter names, gives up the rest of the machine, and
// reads the ledger. 0 or an errno with e, -EINVAL: what is asked for cannot be; to be released in either case.
int flow_reading_open(
        struct flow_reading *r, const struct recording_dir *dir, const struct flow_filter *filter, struct error *e);
// All packets through the meter. 0 or a negative errno: of memory, or `error`.
int flow_reading_run(struct flow_reading *r, const struct recording_dir *dir);
// Of all packets so far.
void flow_reading_stats(const struct flow_reading *r, struct flow_meter_stats *ret_stats);
void flow_reading_release(struct flow_reading *r);

// SPDX-License-Identifier: Apache-2.0
// The flow records that a recording keeps: out of its sealed flow files, each held against the ledger's hash before its
// first record is handed out. One thread.
#pragma once

#include "sealtap/flow.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/segment_list.h"
#include "sensor/evidence/reader/verify.h"

struct flow_stored {
	uint64_t records;
	uint64_t files, retired; // read; given up, as the ledger says
	uint64_t unsealed;       // not read, for no signed line names them
	uint64_t lost;           // records that are in no file
	uint64_t not_understood; // lines, and messages that the flow log did not understand
	uint64_t inspected;      // frames of segments
	uint64_t frames;         // that there were to inspect
};

// Calls record for each; what does not hold is added to the report. 0, or a negative errno of memory, or what record
// returned.
int flow_stored_run(const struct recording_dir *dir, const struct segment_list *list, struct verify_report *report,
        int (*record)(void *user, const struct flow_record *record), void *user, struct flow_stored *ret_stored);

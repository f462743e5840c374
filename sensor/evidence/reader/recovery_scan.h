// SPDX-License-Identifier: Apache-2.0
// What `recover` states about a recording that was not closed: everything that recovery.json (section 6) holds, found
// by the same code that verifies it. Reads only.
#pragma once

#include <jansson.h>

#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/evidence/reader/verify.h"

struct recovery_scan {
	struct verify_report *report; // as after verify_recording, without authentication
	uint64_t ledger_bytes;
	uint8_t ledger_sha256[DIGEST_LEN];
	uint64_t checkpoint_size;
	struct recovery_segment *segments; // in order of lane and number
	size_t segment_count;
};

int recovery_scan(const struct recording_dir *dir, struct recovery_scan **ret_scan);
void recovery_scan_free(struct recovery_scan *scan);
// recovery.json without origin_signature; ledger_line_print with RECOVERY_MAX (limits.h) gives the statement that is
// hashed and signed. NULL: no memory.
json_t *recovery_statement(const struct recovery_scan *scan, uint64_t t_real_ns);

// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/recovery_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/ledger_pass.h"

static int keep(void *user, uint64_t lane, uint64_t number, const struct segment_point *newest,
        const struct segment_found *found)
{
	struct recovery_scan *scan = user;
	struct recovery_segment *s = realloc(scan->segments, (scan->segment_count + 1) * sizeof(*s));

	if (!s)
		return -ENOMEM;
	scan->segments = s;
	s += scan->segment_count++;
	*s = (struct recovery_segment){
	        .lane = lane,
	        .number = number,
	        .file_bytes = found->file_bytes,
	        .signed_frames = newest ? newest->frames : 0,
	        .signed_packets = newest ? newest->packets : 0,
	        .frames = found->frames,
	        .packets = found->packets,
	        .bytes = found->bytes,
	};
	memcpy(s->file_sha256, found->file_sha256, DIGEST_LEN);
	memcpy(s->root, found->root, DIGEST_LEN);
	return 0;
}

int recovery_scan(const struct recording_dir *dir, struct recovery_scan **ret_scan)
{
	static const struct verify_options options;
	struct recovery_scan *scan = calloc(1, sizeof(*scan));
	const struct unsealed_listener listener = {keep, scan};
	struct verify *v = NULL;
	int r = scan ? verify_new(dir, &options, &v) : -ENOMEM;

	if (r < 0) {
		free(scan);
		return r;
	}
	v->unsealed = &listener;
	r = segment_checker_init(&v->checker, dir, 0, v->report);
	if (r == 0) {
		ledger_pass_run(v);
		scan->ledger_bytes = v->ledger_bytes;
		memcpy(scan->ledger_sha256, v->ledger_sha256, DIGEST_LEN);
		scan->checkpoint_size = v->has_checkpoint ? v->checkpoint.size : 0;
	}
	segment_checker_release(&v->checker);
	scan->report = verify_end(v);
	if (r < 0) {
		recovery_scan_free(scan);
		return r;
	}
	*ret_scan = scan;
	return 0;
}

void recovery_scan_free(struct recovery_scan *scan)
{
	if (!scan)
		return;
	verify_report_free(scan->report);
	free(scan->segments);
	free(scan);
}

json_t *recovery_statement(const struct recovery_scan *scan, uint64_t t_real_ns)
{
	json_t *segments = json_array();

	for (size_t i = 0; i < scan->segment_count; i++) {
		const struct recovery_segment *s = &scan->segments[i];

		json_array_append_new(segments,
		        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lane", (json_int_t)s->lane,
		                "number", (json_int_t)s->number, "file_bytes", json_u64(s->file_bytes), "file_sha256",
		                json_hex(s->file_sha256, DIGEST_LEN), "signed_frames", json_u64(s->signed_frames),
		                "signed_packets", json_u64(s->signed_packets), "frames", json_u64(s->frames), "packets",
		                json_u64(s->packets), "bytes", json_u64(s->bytes), "root",
		                json_hex(s->root, DIGEST_LEN)));
	}
	if (json_array_size(segments) != scan->segment_count) {
		json_decref(segments);
		return NULL;
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "format", EVIDENCE_RECOVERY_FORMAT, "recording",
	        json_hex(scan->report->recording_id, DIGEST_LEN), "t_real", json_time(t_real_ns), "ledger_bytes",
	        json_u64(scan->ledger_bytes), "ledger_sha256", json_hex(scan->ledger_sha256, DIGEST_LEN),
	        "checkpoint_size", json_u64(scan->checkpoint_size), "checkpoint_sha256",
	        json_hex(scan->report->checkpoint_sha256, DIGEST_LEN), "segments", segments);
}

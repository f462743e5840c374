// SPDX-License-Identifier: Apache-2.0
// Check 14: recovery.json against the files and the newest progress.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/keys.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/evidence/reader/verify_state.h"

#define WHERE "recovery.json"

struct recovery_check {
	json_t *object;
	struct recovery recovery;
	size_t next; // of recovery.segments
};

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, WHERE, expected, actual);
}

// Reads the one line. 0 and the object, or a finding.
static int read_object(struct verify *v, json_t **ret_object)
{
	char *text = malloc(RECOVERY_MAX + 1);
	long n = text ? recording_read_small(v->dirfd, WHERE, text, RECOVERY_MAX + 1) : -ENOMEM;
	int r = n < 0 ? (int)n : 0;

	if (r < 0)
		report_errno(v->report, WHERE, r);
	else if (n < 1 || text[n - 1] != '\n' || ledger_line_parse(text, (size_t)n - 1, RECOVERY_MAX, ret_object) < 0)
		r = -EBADMSG;
	if (r == -EBADMSG)
		add(v, "recovery-form", "one line of JSON in the form of section 2.1", "another form");
	free(text);
	return r;
}

// The statement is the line without the signature, with its LF.
static void signature_check(struct verify *v, struct recovery_check *check)
{
	uint8_t message[ORIGIN_MESSAGE_MAX], hash[DIGEST_LEN];
	size_t len;
	char *text;

	if (!check->recovery.has_signature)
		return;
	json_object_del(check->object, "origin_signature");
	text = ledger_line_print(check->object, RECOVERY_MAX, &len);
	if (!text) {
		report_errno(v->report, WHERE, -ENOMEM);
		return;
	}
	digest_once(text, len, hash);
	free(text);
	len = origin_message_recovery(v->report->recording_id, hash, message);
	if (!v->report->has_open ||
	        public_key_verify(v->report->origin_key, message, len, check->recovery.origin_signature) < 0)
		add(v, "recovery-signature", "a signature by origin_key of `open`", "the signature does not hold");
}

static void header_check(struct verify *v, const struct recovery *r)
{
	if (memcmp(r->recording, v->report->recording_id, DIGEST_LEN) != 0)
		add(v, "recovery-recording", NOTE_HEX(v->report->recording_id), NOTE_HEX(r->recording));
	if (r->ledger_bytes != v->ledger_bytes)
		add(v, "recovery-ledger", NOTE("a ledger of %" PRIu64 " bytes", r->ledger_bytes),
		        NOTE("%" PRIu64 " bytes", v->ledger_bytes));
	else if (memcmp(r->ledger_sha256, v->ledger_sha256, DIGEST_LEN) != 0)
		add(v, "recovery-ledger", NOTE_HEX(r->ledger_sha256), NOTE_HEX(v->ledger_sha256));
	if (!v->has_checkpoint || r->checkpoint_size != v->checkpoint.size)
		add(v, "recovery-checkpoint", NOTE("a checkpoint of %" PRIu64 " lines", r->checkpoint_size),
		        NOTE("%" PRIu64 " lines", v->has_checkpoint ? v->checkpoint.size : 0));
	else if (memcmp(r->checkpoint_sha256, v->report->checkpoint_sha256, DIGEST_LEN) != 0)
		add(v, "recovery-checkpoint", NOTE_HEX(r->checkpoint_sha256), NOTE_HEX(v->report->checkpoint_sha256));
}

int recovery_begin(struct verify *v, struct recovery_check **ret_check)
{
	struct field_fault fault = {0};
	struct recovery_check *check;
	int r;

	if (v->report->closed) {
		add(v, "recovery-of-closed", "none in a closed recording", "one");
		return -EBADMSG;
	}
	check = calloc(1, sizeof(*check));
	if (!check) {
		report_errno(v->report, WHERE, -ENOMEM);
		return -ENOMEM;
	}
	r = read_object(v, &check->object);
	if (r == 0 && fields_parse(check->object, recovery_fields, &check->recovery, &fault) < 0) {
		add(v, "recovery-form", NOTE("key \"%s\": %s", fault.key, fault.expected), "something else");
		r = -EBADMSG;
	}
	if (r < 0) {
		json_decref(check->object);
		free(check);
		return r;
	}
	header_check(v, &check->recovery);
	*ret_check = check;
	return 0;
}

void recovery_segment_check(struct verify *v, struct recovery_check *check, uint64_t lane, uint64_t number,
        const struct segment_point *newest, const struct segment_found *found)
{
	json_t *entry = json_array_get(check->recovery.segments, check->next);
	struct recovery_segment s = {0};
	struct field_fault fault;

	if (!entry || fields_parse(entry, recovery_segment_fields, &s, &fault) < 0 || s.lane != lane ||
	        s.number != number) {
		add(v, "recovery-segments",
		        NOTE("lane %" PRIu64 " number %" PRIu64 " at place %zu", lane, number, check->next),
		        entry ? NOTE("lane %" PRIu64 " number %" PRIu64, s.lane, s.number) : "no further entry");
		return;
	}
	check->next++;
	if (s.signed_frames != (newest ? newest->frames : 0) || s.signed_packets != (newest ? newest->packets : 0))
		add(v, "recovery-signed",
		        NOTE("lane %" PRIu64 " number %" PRIu64 ": %" PRIu64 " frames, %" PRIu64 " packets signed",
		                lane, number, newest ? newest->frames : 0, newest ? newest->packets : 0),
		        NOTE("%" PRIu64 " frames, %" PRIu64 " packets", s.signed_frames, s.signed_packets));
	if (!found)
		return; // could not be read: what it holds is not known
	if (s.file_bytes != found->file_bytes || memcmp(s.file_sha256, found->file_sha256, DIGEST_LEN) != 0)
		add(v, "recovery-file",
		        NOTE("lane %" PRIu64 " number %" PRIu64 ": %" PRIu64 " bytes, %s", lane, number, s.file_bytes,
		                NOTE_HEX(s.file_sha256)),
		        NOTE("%" PRIu64 " bytes, %s", found->file_bytes, NOTE_HEX(found->file_sha256)));
	if (s.frames != found->frames || s.packets != found->packets || s.bytes != found->bytes ||
	        (v->salts_known && memcmp(s.root, found->root, DIGEST_LEN) != 0))
		add(v, "recovery-found",
		        NOTE("lane %" PRIu64 " number %" PRIu64 ": %" PRIu64 " frames, %" PRIu64 " packets, %" PRIu64
		             " bytes, %s",
		                lane, number, s.frames, s.packets, s.bytes, NOTE_HEX(s.root)),
		        NOTE("%" PRIu64 " frames, %" PRIu64 " packets, %" PRIu64 " bytes, %s", found->frames,
		                found->packets, found->bytes, NOTE_HEX(found->root)));
}

void recovery_finish(struct verify *v, struct recovery_check *check)
{
	if (check->next != json_array_size(check->recovery.segments))
		add(v, "recovery-segments", NOTE("%zu segments", check->next),
		        NOTE("%zu segments", json_array_size(check->recovery.segments)));
	signature_check(v, check);
	v->report->recovered = true;
	report_add(v->report, VERDICT_INCOMPLETE, "recovered", WHERE, "a recording that was closed",
	        NOTE("recovered at %s; what no progress signed may have been changed or removed before",
	                NOTE_TIME(check->recovery.t_real)));
	json_decref(check->object);
	free(check);
}

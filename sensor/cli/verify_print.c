// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/verify_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sensor/cli/segments_on.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"

#define FINDINGS_PRINTED 20

static const char *safe(const char *text)
{
	return text ? text : "";
}

// "2026-11-21 20:58:01.123456789 UTC"
static const char *when(uint64_t ns, char out[48])
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	char day[32];

	if (!gmtime_r(&sec, &tm) || strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return "a time beyond the calendar";
	snprintf(out, 48, "%s.%09u UTC", day, (unsigned)(ns % 1000000000));
	return out;
}

static const char *headline(const struct verify_report *r)
{
	switch (verify_report_verdict(r)) {
	case VERDICT_VALID:
		return "VALID: everything holds, the key is one that you named or trust, the recording is closed";
	case VERDICT_INVALID:
		return "INVALID: something was changed, removed, added, or never was as the format says";
	case VERDICT_UNREADABLE:
		return "NOT VERIFIED: something could not be read";
	case VERDICT_INCOMPLETE:
		break;
	}
	if (r->authenticated == AUTHENTICATED_NO)
		return "INCOMPLETE: unchanged since somebody signed it, but nobody you trust vouches for who that was";
	if (r->authenticated == AUTHENTICATED_SELF)
		return "INCOMPLETE: unchanged since this machine signed it; only this machine vouches for that";
	return "INCOMPLETE: consistent and from a key that you named or trust, but something is missing";
}

static const char *next_step(const char *code)
{
	static const struct {
		const char *code, *step;
	} steps[] = {
	        {"not-authenticated",
	                "get the sensor's origin.pub by a way that you trust, then: sealtap trust add origin.pub"},
	        {"self-signed-here", "if you vouch for this machine: sealtap trust add origin.pub; others need its "
	                             "origin.pub from you"},
	        {"not-closed", "still recording: verify again after it ends; crashed: sealtap recover RECORDING"},
	        {"segment-not-sealed",
	                "still recording: verify again after it ends; crashed: sealtap recover RECORDING"},
	        {"unsigned-lines", "nothing in them counts; after a crash that is expected"},
	        {"recovered", "rely on packets up to the newest progress only, or say that later ones were first "
	                      "signed at recovery"},
	        {"segment-retired",
	                "the operator's policy gave these packets up and the ledger says so; counters still "
	                "count them"},
	        {"retired-present", "a copy made before, or a crash before the file went: rely on it as on the others"},
	        {"flows-retired", "flow records of packets that were given up too"},
	        {"flows-not-sealed",
	                "still recording: verify again after it ends; else rely on nothing in it: sealtap flows "
	                "--reanalyse tells the flows from the packets"},
	        {"flows-size", "sealtap flows --reanalyse tells the flows from the packets"},
	        {"flows-sha256", "sealtap flows --reanalyse tells the flows from the packets"},
	        {"missing-file", "look for it in another copy of the recording"},
	        {"not-a-regular-file", "copy the recording again, files and not links"},
	        {"unexpected-file", "move it out of the recording"},
	        {"lane-elsewhere", "name the directory on the other disk with --segments-on"},
	        {"lane-twice", "give the directories that belong to the recording, and one copy of each segment"},
	        {"unreadable", "fix permissions or the medium and verify again"},
	        {"input-unreadable", "fix permissions or the path and verify again"},
	        {"input-mismatch", "this is not a file that was sealed here, or it was changed"},
	        {"input-packets", "the recording names this file but does not hold what is in it: do not rely on it"},
	        {"recording-missing", "ask the sensor's operator for the recordings with these numbers"},
	        {"recording-forked",
	                "ask the operator which one is real, and hold both against checkpoints kept elsewhere"},
	        {"checkpoint-contradicts",
	                "this copy was cut back, or its keys signed two histories: keep both and the "
	                "checkpoint, and ask the operator"},
	        {"previous-checkpoint-unknown", "hold both recordings against checkpoints kept elsewhere"},
	        {"ledger-short", "look for a whole copy of the recording"},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].code, code) == 0)
			return steps[i].step;
	return "compare with another copy; do not rely on what this names";
}

static void print_sources(const struct verify_report *r)
{
	char text[HEX_LEN(DIGEST_LEN)];
	size_t shown = r->source_count < FINDINGS_PRINTED ? r->source_count : FINDINGS_PRINTED;

	for (size_t i = 0; i < shown; i++) {
		const struct report_source *s = &r->sources[i];

		printf("  source        %s %s", safe(s->kind), safe(s->name));
		if (s->read) {
			hex_encode(s->sha256, DIGEST_LEN, text);
			printf(", %" PRIu64 " bytes, sha256 %s%s", s->bytes, text, s->damaged ? ", damaged" : "");
		}
		printf("\n");
	}
}

static void print_inputs(const struct verify_report *r)
{
	for (size_t i = 0; i < r->input_count; i++) {
		const struct report_input *in = &r->inputs[i];

		printf("  input         %s is source %zu: same size and SHA-256", safe(in->path), in->source);
		if (in->compared)
			printf("; read again, %" PRIu64 " packets compared\n", in->packets);
		else
			printf("\n    note:       %s\n", safe(in->note));
	}
}

static void print_facts(const struct verify_report *r)
{
	char text[HEX_LEN(DIGEST_LEN)], time_text[48];
	uint64_t dropped = 0;

	for (int i = 0; i < DROP_CAUSES; i++)
		dropped += r->totals.dropped[i];
	if (r->has_open) {
		hex_encode(r->recording_id, DIGEST_LEN, text);
		printf("  recording     %s\n", text);
		printf("  sensor        %s, recording number %" PRIu64 " of its key\n", safe(r->sensor), r->origin_seq);
		hex_encode(r->origin_key, ED25519_KEY_LEN, text);
		printf("  origin key    %s (%s)\n", text,
		        r->authenticated == AUTHENTICATED_YES    ? "authenticated"
		        : r->authenticated == AUTHENTICATED_SELF ? "this machine's own"
		                                                 : "not authenticated");
		printf("  authority     %s%s%s\n", safe(r->authority_kind), r->authority_reference[0] ? ": " : "",
		        safe(r->authority_reference));
		print_sources(r);
		print_inputs(r);
	}
	printf("  checked       %" PRIu64 " ledger lines, %" PRIu64 " signing keys, %" PRIu64 " lanes, %" PRIu64
	       " of %" PRIu64 " segments sealed, %" PRIu64 " packets\n",
	        r->lines, r->epochs, r->lanes, r->segments_sealed, r->segments, r->packets);
	if (r->segments_retired > 0)
		printf("  retired       %" PRIu64 " of these segments with %" PRIu64
		       " packets, under the policy stated at the start\n",
		        r->segments_retired, r->packets_retired);
	if (r->flow_files > 0)
		printf("  flows         %" PRIu64 " records in %" PRIu64
		       " files, what the inspector said at the time and no evidence of it\n",
		        r->flow_records, r->flow_files);
	if (r->cutoff_bytes > 0)
		printf("  cutoff        %" PRIu64 " bytes of each flow%s%s are recorded; %" PRIu64 " frames of %" PRIu64
		       " bytes beyond it are not\n",
		        r->cutoff_bytes, r->cutoff_apps ? " of " : "", r->cutoff_apps ? r->cutoff_apps : "",
		        r->totals.shunted, r->shunted_bytes);
	printf("  counted       %" PRIu64 " received, %" PRIu64 " recorded, %" PRIu64 " filtered, %" PRIu64 " dropped",
	        r->totals.received, r->totals.recorded, r->totals.filtered, dropped);
	if (r->totals.driver_mask & COUNTERS_DRIVER_DROPPED)
		printf(", %" PRIu64 " dropped by the driver", r->totals.driver_dropped);
	printf("; complete: %s\n", complete_word(r->complete));
	if (r->totals.driver_mask & COUNTERS_NIC)
		printf("  interfaces    %" PRIu64 " received, %" PRIu64 " missed, %" PRIu64 " fifo, %" PRIu64
		       " over, %" PRIu64 " errors, %" PRIu64 " dropped, as the kernel counted\n",
		        r->totals.nic[NIC_RECEIVED], r->totals.nic[NIC_MISSED], r->totals.nic[NIC_FIFO],
		        r->totals.nic[NIC_OVER], r->totals.nic[NIC_ERRORS], r->totals.nic[NIC_DROPPED]);
	if (r->totals.driver_mask & COUNTERS_XDP)
		printf("  xdp sockets   %" PRIu64 " without a socket, %" PRIu64 " dropped, %" PRIu64
		       " found the ring full; the fill ring was empty %" PRIu64 " times\n",
		        r->totals.xsk[XSK_NO_SOCKET], r->totals.xsk[XSK_DROPPED], r->totals.xsk[XSK_RING_FULL],
		        r->totals.xsk[XSK_FILL_EMPTY]);
	if (r->incidents || r->marks)
		printf("  stated        %" PRIu64 " incidents, %" PRIu64 " marks of the operator\n", r->incidents,
		        r->marks);
	if (r->signatures_hold)
		printf("  covered until %s (the sensor's clock)%s\n", when(r->covered_until_ns, time_text),
		        r->closed ? "; closed" : "; not closed");
	else
		printf("  covered until nothing: the chain of signatures does not hold\n");
}

static void print_findings(const struct verify_report *r)
{
	size_t shown = r->finding_count < FINDINGS_PRINTED ? r->finding_count : FINDINGS_PRINTED;
	const char *last_step = NULL;

	if (r->finding_total == 0)
		return;
	printf("\n%" PRIu64 " finding%s:\n", r->finding_total, r->finding_total == 1 ? "" : "s");
	for (size_t i = 0; i < shown; i++) {
		const struct finding *f = &r->findings[i];
		const char *step = next_step(f->code);

		printf("- %s (%s) at %s\n    expected: %s\n    actual:   %s\n", f->code, verdict_word(f->verdict),
		        f->where, f->expected, f->actual);
		if (step != last_step)
			printf("    next:     %s\n", step);
		last_step = step;
	}
	if (r->finding_total > shown)
		printf("... and %" PRIu64 " more; --json lists the first %d\n", r->finding_total - shown,
		        FINDINGS_KEPT_MAX);
}

static void print_reach(const struct verify_report *r)
{
	if (verify_report_verdict(r) != VERDICT_VALID && verify_report_verdict(r) != VERDICT_INCOMPLETE)
		return;
	printf("\nThis does not say that nothing was lost before the sensor, when packets were on the wire, or in "
	       "what\n"
	       "order packets of different lanes came. Whoever holds the origin key can make another whole recording:\n"
	       "only a checkpoint that was held outside contradicts it.\n");
}

void verify_print_human(const struct series_member *m)
{
	const struct verify_report *r = m->report;

	printf("%s: %s\n", m->path, headline(r));
	if (r->authority_kind && strcmp(r->authority_kind, "ingest") == 0)
		printf("  SEALED FROM A FILE: everything below is about the file that was read, not about a wire\n");
	print_facts(r);
	print_findings(r);
	if (segments_elsewhere(r))
		printf("\nThe recording was made onto %" PRIu64
		       " disks: name those that are not there with --segments-on DIR.\n",
		        r->places);
	print_reach(r);
}

static json_t *findings_json(const struct verify_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "code", f->code, "where", f->where,
		                                    "expected", f->expected, "actual", f->actual));
	}
	return list;
}

static json_t *sources_json(const struct verify_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->source_count; i++) {
		const struct report_source *s = &r->sources[i];
		json_t *o = json_pack("{s:s, s:s, s:b}", "kind", safe(s->kind), "name", safe(s->name), "read", s->read);

		if (s->read) {
			json_object_set_new(o, "bytes", json_integer((json_int_t)s->bytes));
			json_object_set_new(o, "sha256", json_hex(s->sha256, DIGEST_LEN));
			json_object_set_new(o, "packets", json_integer((json_int_t)s->packets));
			json_object_set_new(o, "damaged", json_boolean(s->damaged));
		}
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *inputs_json(const struct verify_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->input_count; i++) {
		const struct report_input *in = &r->inputs[i];
		json_t *o = json_pack("{s:s, s:I, s:b}", "path", safe(in->path), "source", (json_int_t)in->source,
		        "packets_compared", in->compared);

		if (in->compared)
			json_object_set_new(o, "packets", json_integer((json_int_t)in->packets));
		if (in->note)
			json_object_set_new(o, "note", json_string(in->note));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *verify_json(const struct series_member *m)
{
	const struct verify_report *r = m->report;
	json_t *o = json_object();

	json_object_set_new(o, "result", json_string(verdict_word(verify_report_verdict(r))));
	json_object_set_new(o, "authenticated", json_string(authenticated_word(r->authenticated)));
	json_object_set_new(o, "complete", json_string(complete_word(r->complete)));
	json_object_set_new(o, "packets", json_integer((json_int_t)r->packets));
	json_object_set_new(o, "segments", json_integer((json_int_t)r->segments));
	json_object_set_new(o, "findings", findings_json(r));
	json_object_set_new(o, "covered_until", r->signatures_hold ? json_time(r->covered_until_ns) : json_null());
	json_object_set_new(o, "findings_total", json_integer((json_int_t)r->finding_total));
	json_object_set_new(o, "path", json_text(m->path, strlen(m->path)));
	if (r->has_open) {
		json_object_set_new(o, "recording_id", json_hex(r->recording_id, DIGEST_LEN));
		json_object_set_new(o, "sensor", json_string(safe(r->sensor)));
		json_object_set_new(o, "authority",
		        json_pack("{s:s, s:s, s:s}", "kind", safe(r->authority_kind), "reference",
		                safe(r->authority_reference), "operator", safe(r->authority_operator)));
		json_object_set_new(o, "origin_key", json_hex(r->origin_key, ED25519_KEY_LEN));
		json_object_set_new(o, "origin_seq", json_integer((json_int_t)r->origin_seq));
		json_object_set_new(o, "origin_prev", json_hex(r->origin_prev, DIGEST_LEN));
		json_object_set_new(o, "mode", json_string(safe(r->mode)));
		json_object_set_new(o, "build", json_string(safe(r->build)));
		json_object_set_new(o, "opened", json_time(r->opened_ns));
		json_object_set_new(o, "places", json_integer((json_int_t)r->places));
		json_object_set_new(o, "sources", sources_json(r));
		if (r->input_count > 0)
			json_object_set_new(o, "inputs", inputs_json(r));
	}
	json_object_set_new(o, "lines", json_integer((json_int_t)r->lines));
	json_object_set_new(o, "lanes", json_integer((json_int_t)r->lanes));
	json_object_set_new(o, "epochs", json_integer((json_int_t)r->epochs));
	json_object_set_new(o, "segments_sealed", json_integer((json_int_t)r->segments_sealed));
	json_object_set_new(o, "segments_retired", json_integer((json_int_t)r->segments_retired));
	json_object_set_new(o, "packets_retired", json_integer((json_int_t)r->packets_retired));
	json_object_set_new(o, "flow_files", json_integer((json_int_t)r->flow_files));
	json_object_set_new(o, "flow_records", json_u64(r->flow_records));
	if (r->cutoff_bytes > 0) {
		json_object_set_new(o, "cutoff_bytes", json_u64(r->cutoff_bytes));
		json_object_set_new(o, "shunted_bytes", json_u64(r->shunted_bytes));
		if (r->cutoff_apps)
			json_object_set_new(o, "cutoff_apps", json_string(r->cutoff_apps));
	}
	json_object_set_new(o, "stored_bytes", json_integer((json_int_t)r->stored_bytes));
	json_object_set_new(o, "closed", json_boolean(r->closed));
	json_object_set_new(o, "recovered", json_boolean(r->recovered));
	json_object_set_new(o, "signatures_hold", json_boolean(r->signatures_hold));
	json_object_set_new(o, "gaps", json_integer((json_int_t)r->gaps));
	json_object_set_new(o, "incidents", json_integer((json_int_t)r->incidents));
	json_object_set_new(o, "marks", json_integer((json_int_t)r->marks));
	if (r->close_reason)
		json_object_set_new(o, "close_reason", json_string(r->close_reason));
	json_object_set_new(o, "counters", json_counters(&r->totals));
	return o;
}

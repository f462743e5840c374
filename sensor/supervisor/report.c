// SPDX-License-Identifier: Apache-2.0
// What the operator sees of a run: a start line, a live line on a terminal, a last word; JSON on stdout when asked.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/supervisor/run_state.h"

static void size_text(uint64_t bytes, char *out, size_t size)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned i = 0;

	for (; value >= 1024 && i < 4; i++)
		value /= 1024;
	snprintf(out, size, i ? "%.1f %s" : "%.0f %s", value, unit[i]);
}

void report_capturing(const struct run *run)
{
	const struct job *job = run->job;

	if (job->kind == JOB_INGEST)
		return;
	fprintf(stderr, "%scapturing on", run->shown ? "\n" : "");
	for (unsigned i = 0; i < job->source_count; i++)
		fprintf(stderr, "%s %s", i ? "," : "", job->source[i].name);
	fprintf(stderr, " into %s (flush %u ms, zstd level %d); ^C ends\n", job->recording, job->flush_ms, job->level);
}

void report_progress(struct run *run)
{
	const struct wire_status *s = &run->status;
	char raw[32], stored[32];

	if (!isatty(STDERR_FILENO))
		return;
	size_text(s->raw_bytes, raw, sizeof(raw));
	size_text(s->stored_bytes, stored, sizeof(stored));
	fprintf(stderr,
	        "\r\033[K%" PRIu64 " packets, %s, stored as %s in %u segments, dropped %" PRIu64 ", before us %" PRIu64,
	        s->packets, raw, stored, s->segments, s->dropped, s->driver_dropped);
	run->shown = true;
}

static void report_json(const struct run *run, int exit_code)
{
	char id[HEX_LEN(DIGEST_LEN)];
	json_t *o;

	hex_encode(run->recording_id, DIGEST_LEN, id);
	o = json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i}", "recording", run->job->recording,
	        "recording_id", id, "closed", run->closed && !run->broken, "reason",
	        run->closed ? run->reason : "not-closed", "packets", (json_int_t)run->status.packets, "raw_bytes",
	        (json_int_t)run->status.raw_bytes, "stored_bytes", (json_int_t)run->status.stored_bytes, "dropped",
	        (json_int_t)run->status.dropped, "driver_dropped", (json_int_t)run->status.driver_dropped,
	        "damaged_inputs", (int)run->damaged, "recorder_restarts", (int)run->restarts, "exit", exit_code);
	if (!o)
		return;
	json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(o);
}

void report_end(struct run *run, int exit_code)
{
	const struct wire_status *s = &run->status;
	char raw[32], stored[32];

	size_text(s->raw_bytes, raw, sizeof(raw));
	size_text(s->stored_bytes, stored, sizeof(stored));
	fprintf(stderr,
	        "%s%s: %" PRIu64 " packets (%s, stored as %s), dropped %" PRIu64 ", before us %" PRIu64 "; %s\n",
	        run->shown ? "\r\033[K" : "", run->job->recording, s->packets, raw, stored, s->dropped,
	        s->driver_dropped, run->closed && !run->broken ? run->reason : "NOT CLOSED");
	if (run->job->json)
		report_json(run, exit_code);
}

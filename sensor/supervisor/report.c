// SPDX-License-Identifier: Apache-2.0
// What the operator sees of a run: a start line, a live line on a terminal, a last word; JSON on stdout when asked.
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
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

static void time_text(uint64_t ns, char *out, size_t size)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"d", 86400000000000}, {"h", 3600000000000}, {"min", 60000000000}, {"s", 1000000000}};
	unsigned i = 0;

	while (i < 3 && ns % units[i].ns != 0)
		i++;
	snprintf(out, size, "%" PRIu64 " %s", ns / units[i].ns, units[i].unit);
}

static void report_retention(const struct job *job)
{
	char keep[32], reserve[32], or_less[64] = "";

	if (!job->keep_bytes && !job->keep_ns)
		return;
	if (job->keep_bytes)
		size_text(job->keep_bytes, keep, sizeof(keep));
	else
		time_text(job->keep_ns, keep, sizeof(keep));
	size_text(job->min_free, reserve, sizeof(reserve));
	if (job->min_free)
		snprintf(or_less, sizeof(or_less), ", or when less than %s are free", reserve);
	fprintf(stderr, "sealtap: keeping %s: the oldest segments go beyond that%s, each with a signed record\n", keep,
	        or_less);
}

void report_line(struct run *run, const char *format, ...)
{
	va_list args;
	char text[2048];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%ssealtap: %s\n", run->shown ? "\r\033[K" : "", text);
	run->shown = false;
}

void report_capturing(struct run *run)
{
	const struct job *job = run->job;

	if (job->kind == JOB_INGEST)
		return;
	fprintf(stderr, "%scapturing on", run->shown ? "\n" : "");
	for (unsigned i = 0; i < job->source_count; i++)
		fprintf(stderr, "%s %s", i ? "," : "", job->source[i].name);
	fprintf(stderr, " into %s (flush %u ms, zstd level %d); ^C ends\n", job->recording, job->flush_ms, job->level);
	report_retention(job);
	if (job->cutoff_bytes) {
		char cutoff[32];

		size_text(job->cutoff_bytes, cutoff, sizeof(cutoff));
		fprintf(stderr, "sealtap: of each TCP or UDP flow%s%s the first %s are recorded; the rest is counted\n",
		        job->cutoff_apps[0] ? " of " : "", job->cutoff_apps, cutoff);
	}
}

// "dropped 12 (pool 10, disk 2)": by cause where there is any.
static void dropped_text(const uint64_t dropped[DROP_CAUSES], char *out, size_t size)
{
	uint64_t sum = 0;
	int used;

	for (int i = 0; i < DROP_CAUSES; i++)
		sum += dropped[i];
	used = snprintf(out, size, "dropped %" PRIu64, sum);
	for (int i = 0, n = 0; i < DROP_CAUSES; i++)
		if (dropped[i])
			used += snprintf(out + used, size - (size_t)used, "%s%s %" PRIu64, n++ ? ", " : " (",
			        drop_cause_names[i], dropped[i]);
	if (sum)
		snprintf(out + used, size - (size_t)used, ")");
}

// "shunted 12, ", where there is a cutoff.
static void shunted_text(const struct job *job, const struct counters *c, char *out, size_t size)
{
	out[0] = '\0';
	if (job->cutoff_bytes)
		snprintf(out, size, "shunted %" PRIu64 ", ", c->shunted);
}

void report_progress(struct run *run)
{
	struct wire_status s = tally_total(&run->tally);
	uint64_t dropped[DROP_CAUSES];
	char raw[32], stored[32], lost[160], shunted[48];
	struct counters c;

	if (!isatty(STDERR_FILENO))
		return;
	tally_counters(&run->tally, &c);
	tally_dropped(&run->tally, dropped);
	size_text(s.raw_bytes, raw, sizeof(raw));
	size_text(s.stored_bytes, stored, sizeof(stored));
	dropped_text(dropped, lost, sizeof(lost));
	shunted_text(run->job, &c, shunted, sizeof(shunted));
	fprintf(stderr, "\r\033[K%" PRIu64 " packets, %s, stored as %s in %u segments, %s%s, before us %" PRIu64,
	        c.recorded, raw, stored, s.segments, shunted, lost, c.driver_dropped);
	run->shown = true;
}

static json_t *exports_json(const struct run *run)
{
	struct control_export export[JOB_EXPORTS_MAX];
	json_t *all = json_array();

	exporter_status(run, export);
	for (uint32_t i = 0; i < run->job->export_count; i++) {
		const struct export_progress *p = &export[i].progress;

		json_array_append_new(
		        all, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "target", export[i].target,
		                     "delivered", (json_int_t)p->delivered, "undelivered", (json_int_t)p->waiting,
		                     "dropped", (json_int_t)p->dropped, "refused", (json_int_t)p->refused, "malformed",
		                     (json_int_t)p->malformed, "breaks", (json_int_t)p->breaks, "unread_bytes",
		                     (json_int_t)p->behind_bytes));
	}
	return all;
}

static void report_json(const struct run *run, int exit_code)
{
	struct wire_status s = tally_total(&run->tally);
	char id[HEX_LEN(DIGEST_LEN)];
	uint64_t dropped = 0;
	struct counters c;
	json_t *o;

	tally_counters(&run->tally, &c);
	for (int i = 0; i < DROP_CAUSES; i++)
		dropped += c.dropped[i];
	hex_encode(run->recording_id, DIGEST_LEN, id);
	o = json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:o, s:i}", "recording",
	        run->job->recording, "recording_id", id, "closed", run->closed && !run->broken, "reason",
	        run->closed ? run->reason : "not-closed", "packets", (json_int_t)c.recorded, "raw_bytes",
	        (json_int_t)s.raw_bytes, "stored_bytes", (json_int_t)s.stored_bytes, "dropped", (json_int_t)dropped,
	        "driver_dropped", (json_int_t)c.driver_dropped, "retired_segments",
	        (json_int_t)run->tally.ledger.retired_segments, "retired_packets",
	        (json_int_t)run->tally.ledger.retired_packets, "damaged_inputs", (int)run->damaged, "recorder_restarts",
	        (int)run->restarts, "counters", json_counters(&c), "exit", exit_code);
	if (!o)
		return;
	if (run->job->export_count)
		json_object_set_new(o, "exports", exports_json(run));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(o);
}

// What became of flow records, one line for each target.
static void report_exports(struct run *run)
{
	struct control_export export[JOB_EXPORTS_MAX];

	exporter_status(run, export);
	for (uint32_t i = 0; i < run->job->export_count; i++) {
		const struct export_progress *p = &export[i].progress;
		uint64_t not_delivered = p->waiting + p->dropped + p->refused;
		char rest[96] = "";

		if (p->behind_bytes)
			snprintf(rest, sizeof(rest), " and %" PRIu64 " bytes of flow files not even read",
			        p->behind_bytes);
		if (not_delivered || p->behind_bytes)
			report_line(run,
			        "%s: %" PRIu64 " flow records delivered, %" PRIu64
			        " NOT%s%s%s; the recording has them all",
			        export[i].target, p->delivered, not_delivered, rest,
			        p->error[0] ? "; last error: " : "", p->error);
		else
			report_line(run, "%s: %" PRIu64 " flow records delivered", export[i].target, p->delivered);
	}
}

void report_end(struct run *run, int exit_code)
{
	struct wire_status s = tally_total(&run->tally);
	const struct wire_ledger *ledger = &run->tally.ledger;
	char raw[32], stored[32], lost[160], shunted[48], retired[96] = "";
	struct counters c;

	report_exports(run);
	tally_counters(&run->tally, &c);
	size_text(s.raw_bytes, raw, sizeof(raw));
	size_text(s.stored_bytes, stored, sizeof(stored));
	dropped_text(c.dropped, lost, sizeof(lost));
	shunted_text(run->job, &c, shunted, sizeof(shunted));
	if (ledger->retired_segments)
		snprintf(retired, sizeof(retired), ", retired %" PRIu64 " segments with %" PRIu64 " packets",
		        ledger->retired_segments, ledger->retired_packets);
	fprintf(stderr, "%s%s: %" PRIu64 " packets (%s, stored as %s), %s%s, before us %" PRIu64 "%s; %s\n",
	        run->shown ? "\r\033[K" : "", run->job->recording, c.recorded, raw, stored, shunted, lost,
	        c.driver_dropped, retired, run->closed && !run->broken ? run->reason : "NOT CLOSED");
	if (run->job->json)
		report_json(run, exit_code);
}

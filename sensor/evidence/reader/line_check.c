// SPDX-License-Identifier: Apache-2.0
// Checks 3 and 12: the form of every line, the hash chain, time, and who handles which type.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/verify_state.h"

const char *line_where(struct note *n, uint64_t line)
{
	return note(n, "ledger.jsonl line %" PRIu64, line);
}

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

// step: of boot time, from the line before.
static void check_gap(struct verify *v, const struct ledger_gap *gap, uint64_t step)
{
	if (gap->length != step)
		add(v, "gap-length", NOTE("%s, the boot time since the line before", NOTE_TIME(step)),
		        NOTE_TIME(gap->length));
	if (gap->cause == GAP_PAUSE && step <= LEDGER_GAP_NS)
		add(v, "gap-length", "a pause of more than 10 seconds", NOTE_TIME(step));
}

static void check_time(struct verify *v, const struct ledger_line *line)
{
	uint64_t step = v->has_boot_time && line->t_boot > v->last_boot ? line->t_boot - v->last_boot : 0;

	if (v->has_boot_time && line->t_boot < v->last_boot)
		add(v, "boot-time-decreases", NOTE("t_boot not before %s", NOTE_TIME(v->last_boot)),
		        NOTE_TIME(line->t_boot));
	else if (step > LEDGER_GAP_NS && line->type != LINE_GAP)
		add(v, "gap-missing", "at most 10 seconds of boot time after the line before, or a `gap`",
		        NOTE("%" PRIu64 " ns later", step));
	if (line->type == LINE_GAP)
		check_gap(v, &line->gap, step);
	epoch_time(v, step, line->type == LINE_GAP);
	v->last_boot = line->t_boot;
	v->has_boot_time = true;
}

static void check_clock(struct verify *v, const struct ledger_line *line)
{
	__int128 off;

	if (line->type == LINE_CLOCK) {
		v->clock_offset = line->clock.offset;
		v->clock_tolerance = CLOCK_TOLERANCE_NS;
		v->has_clock = true;
		if (v->boot_id && strcmp(v->boot_id, line->clock.boot_id) != 0)
			add(v, "boot-id", NOTE("the boot id of `open`, %s", v->boot_id), line->clock.boot_id);
	}
	// A `gap` may stand between a sleep, or a step of the clock, and the `clock` that tells the new relation.
	if (!v->has_clock || line->type == LINE_GAP)
		return;
	off = (__int128)line->t_real - (__int128)line->t_boot - (__int128)v->clock_offset;
	if (off > (__int128)v->clock_tolerance || -off > (__int128)v->clock_tolerance)
		add(v, "clock-drift",
		        NOTE("t_real - t_boot within 0.1 s of %s, or a `clock` line", NOTE_TIME(v->clock_offset)),
		        NOTE("t_real %s, t_boot %s", NOTE_TIME(line->t_real), NOTE_TIME(line->t_boot)));
}

// The first three lines, and lines that have one place only.
static void check_place(struct verify *v, const struct ledger_line *line)
{
	static const enum line_type first[] = {LINE_OPEN, LINE_KEY, LINE_CLOCK};

	if (v->lines < 3 && line->type != first[v->lines])
		add(v, "line-place", NOTE("a line of type %s here", line_type_names[first[v->lines]]),
		        line_type_names[line->type]);
	if (v->lines >= 1 && line->type == LINE_OPEN)
		add(v, "line-place", "`open` only in line 0", "another `open`");
	if (v->report->closed)
		add(v, "line-after-close", "`close` is the last line", line_type_names[line->type]);
}

static void handle_close(struct verify *v, const struct ledger_close *line)
{
	uint64_t begun = v->report->segments;

	v->report->closed = true;
	free(v->report->close_reason);
	v->report->close_reason = text_safe(close_reason_names[line->reason]);
	if (line->segments != begun)
		add(v, "close-segments", NOTE("%" PRIu64 ", the number of `begin` lines", begun),
		        NOTE_U64(line->segments));
	if (line->packets != v->sealed_packets)
		add(v, "close-packets", NOTE("%" PRIu64 ", the packets of all `segment` lines", v->sealed_packets),
		        NOTE_U64(line->packets));
}

static void handle(struct verify *v, const struct ledger_line *line)
{
	switch ((enum line_type)line->type) {
	case LINE_OPEN:
		if (v->lines == 0) {
			v->boot_id = strdup(line->open.boot_id);
			v->report->opened_ns = line->t_real;
			source_open(v, &line->open);
			retire_open(v, &line->open);
			shunt_open(v, &line->open);
		}
		break;
	case LINE_KEY:
		key_line(v, &line->key);
		break;
	case LINE_BEGIN:
		lane_begin(v, &line->begin);
		break;
	case LINE_PROGRESS:
		lane_progress(v, &line->progress);
		break;
	case LINE_SEGMENT:
		lane_segment(v, &line->segment);
		break;
	case LINE_LOSS:
		lane_loss(v, &line->loss);
		break;
	case LINE_SHUNT:
		shunt_line(v, &line->shunt);
		break;
	case LINE_GAP:
		v->report->gaps++;
		v->incomplete = true;
		break;
	case LINE_INCIDENT:
		v->report->incidents++;
		if (line->incident.kind == INCIDENT_RECORDER_DIED)
			v->incomplete = true;
		else if (line->incident.kind == INCIDENT_SUPERVISOR_DIED ||
		         line->incident.kind == INCIDENT_FLOWLOG_DIED || line->incident.kind == INCIDENT_FLOWS_ENDED)
			v->flows.ended_early = true;
		else if (line->incident.kind >= INCIDENT_INTERFACE_REMOVED && line->incident.kind <= INCIDENT_STARVED)
			v->doubtful = true;
		break;
	case LINE_SOURCE:
		source_line(v, &line->source);
		break;
	case LINE_FLOWS:
		flows_line(v, &line->flows);
		break;
	case LINE_RETIRE:
		retire_line(v, &line->retire);
		break;
	case LINE_RETIRE_FLOWS:
		retire_flows_line(v, &line->retire_flows);
		break;
	case LINE_CLOSE:
		handle_close(v, &line->close);
		break;
	case LINE_MARK:
		v->report->marks++;
		break;
	case LINE_CLOCK:
	case LINE_HEARTBEAT:
	case LINE_TYPES:
		break;
	}
}

void line_check(struct verify *v, const char *text, size_t len)
{
	uint8_t before[DIGEST_LEN];
	struct field_fault fault = {0};
	struct ledger_line line;
	json_t *object;
	int r;

	memcpy(before, v->line_hash, DIGEST_LEN);
	digest_once(text, len, v->line_hash);
	merkle_append(&v->tree, text, len);
	if (v->lines == 0)
		memcpy(v->report->recording_id, v->line_hash, DIGEST_LEN);
	r = ledger_line_parse(text, len - 1, LEDGER_LINE_MAX, &object);
	if (r == -ENOMEM) {
		report_add(v->report, VERDICT_UNREADABLE, "unreadable", LINE_WHERE(v), "memory for a line", "none");
	} else if (r < 0) {
		add(v, "line-form", "one JSON object in the form of section 2.1", "another form");
	} else if (ledger_line_take(object, &line, &fault) < 0) {
		add(v, "line-value", NOTE("key \"%s\": %s", fault.key, fault.expected), "something else");
		json_decref(object);
	} else {
		if (line.seq != v->lines)
			add(v, "line-seq", NOTE_U64(v->lines), NOTE_U64(line.seq));
		if (memcmp(line.prev, before, DIGEST_LEN) != 0)
			add(v, "line-prev", NOTE_HEX(before), NOTE_HEX(line.prev));
		check_place(v, &line);
		check_time(v, &line);
		check_clock(v, &line);
		handle(v, &line);
		v->report->covered_until_ns = line.t_real;
		json_decref(object);
	}
	v->lines++;
}

// Decides nothing; only tells which copies of keys may lie about.
void line_check_unsigned(struct verify *v, const char *text, size_t len)
{
	json_t *object;
	const char *type;

	v->unsigned_lines = true;
	if (ledger_line_parse(text, len - 1, LEDGER_LINE_MAX, &object) < 0)
		return;
	type = json_string_value(json_object_get(object, "type"));
	if (type && strcmp(type, "key") == 0)
		v->unsigned_keys++;
	json_decref(object);
}

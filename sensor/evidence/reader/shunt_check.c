// SPDX-License-Identifier: Apache-2.0
// Check 10 of section 7: what was left out under the `cutoff_bytes` of `open`, and whether there was one.
#include <inttypes.h>
#include <string.h>

#include "sensor/evidence/reader/verify_state.h"

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

// Names with commas between.
static bool are_names(const char *list)
{
	for (;; list++) {
		const size_t len = strcspn(list, ",");

		if (len == 0)
			return false;
		list += len;
		if (*list == '\0')
			return true;
	}
}

void shunt_open(struct verify *v, const struct ledger_open *open)
{
	if (open->has_cutoff_apps && !open->has_cutoff)
		add(v, "cutoff", "`cutoff_apps` only with `cutoff_bytes`", "without");
	if (open->has_cutoff_apps && !are_names(open->cutoff_apps))
		add(v, "cutoff", "names with commas between in `cutoff_apps`", NOTE("\"%.100s\"", open->cutoff_apps));
	if (!open->has_cutoff)
		return;
	v->shunts = true;
	v->report->cutoff_bytes = open->cutoff_bytes;
	if (open->cutoff_bytes == 0)
		add(v, "cutoff", "at least 1 byte of each flow", "0");
	if (open->has_cutoff_apps)
		v->report->cutoff_apps = text_safe(open->cutoff_apps);
}

void shunt_line(struct verify *v, const struct ledger_shunt *line)
{
	uint64_t *sum = &v->shunted[line->lane];

	if (!v->shunts)
		add(v, "shunt-without-cutoff", "`cutoff_bytes` in `open`", "none");
	if (__builtin_add_overflow(*sum, line->frames, sum)) {
		add(v, "shunt-sum", "a sum below 2^64", "more");
		*sum = UINT64_MAX;
	}
	if (__builtin_add_overflow(v->report->shunted_bytes, line->bytes, &v->report->shunted_bytes))
		v->report->shunted_bytes = UINT64_MAX;
}

void shunt_check(struct verify *v, uint64_t number)
{
	const struct lane *lane = number < v->lane_count ? v->lanes[number] : NULL;
	uint64_t counted = lane ? lane->last_end.shunted : 0;

	// A segment that nobody sealed has no counters that its lines could be held against.
	if ((lane && lane->sealed < lane->begun) || v->shunted[number] == counted)
		return;
	report_add(v->report, VERDICT_INVALID, "shunt-sum", NOTE("ledger.jsonl lane %" PRIu64, number),
	        NOTE("`shunt` lines for %" PRIu64 " frames, as the last counters say", counted),
	        NOTE("for %" PRIu64 " frames", v->shunted[number]));
}

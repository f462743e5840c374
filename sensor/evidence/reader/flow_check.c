// SPDX-License-Identifier: Apache-2.0
// Check 17 of section 7: the flow files that the ledger names are there as they were sealed, and which others there
// are. What they say is the inspector's word and is not looked at here.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sensor/evidence/reader/flow_file.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/verify_state.h"

// A file that a `flows` line names.
struct named_flows {
	uint32_t number;
	bool absent;
	uint64_t bytes;
	uint64_t order; // complete segments before its line
	uint8_t sha256[DIGEST_LEN];
};

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

static void path_of(uint32_t number, char out[FLOW_FILE_NAME_MAX + 8])
{
	char name[FLOW_FILE_NAME_MAX];

	flow_file_name(number, name);
	snprintf(out, FLOW_FILE_NAME_MAX + 8, "flows/%s", name);
}

// False: there is no file.
static bool file_check(struct verify *v, const struct ledger_flows *line, const char *path)
{
	uint8_t hash[DIGEST_LEN];
	uint64_t bytes = 0;
	int r = verify_hash_file(v, path, line->bytes, &bytes, hash);

	if (r == -ENOENT)
		return false;
	if (r < 0)
		report_errno(v->report, path, r);
	else if (bytes != line->bytes)
		report_add(v->report, VERDICT_INVALID, "flows-size", path, NOTE("%" PRIu64 " bytes", line->bytes),
		        NOTE("%" PRIu64 " bytes", bytes));
	else if (memcmp(hash, line->sha256, DIGEST_LEN) != 0)
		report_add(v->report, VERDICT_INVALID, "flows-sha256", path, NOTE_HEX(line->sha256), NOTE_HEX(hash));
	return true;
}

static struct named_flows *keep(struct verify *v)
{
	struct flow_files *f = &v->flows;

	if (f->count == FLOW_FILES_MAX) {
		add(v, "limit-exceeded", NOTE("at most %u flow files", FLOW_FILES_MAX), "one more");
		return NULL;
	}
	if (f->count == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct named_flows *more = realloc(f->list, cap * sizeof(*more));

		if (!more) {
			report_errno(v->report, "flows", -ENOMEM);
			return NULL;
		}
		f->list = more;
		f->cap = cap;
	}
	return &f->list[f->count++];
}

void flows_line(struct verify *v, const struct ledger_flows *line)
{
	const struct flow_files *f = &v->flows;
	char path[FLOW_FILE_NAME_MAX + 8];
	struct named_flows *n;

	if (f->count > 0 && line->number <= f->list[f->count - 1].number) {
		add(v, "flows-number", NOTE("more than %u", f->list[f->count - 1].number), NOTE_U64(line->number));
		return;
	}
	path_of((uint32_t)line->number, path);
	if (strcmp(path, line->path) != 0) {
		add(v, "flows-path", path, line->path);
		return;
	}
	n = keep(v);
	if (!n)
		return;
	*n = (struct named_flows){.number = (uint32_t)line->number, .bytes = line->bytes, .order = v->kept.listed};
	memcpy(n->sha256, line->sha256, DIGEST_LEN);
	v->report->flow_files++;
	v->report->flow_records += line->records;
	if (v->listener) {
		if (v->listener->flows && v->listener->flows(v->listener->user, line) < 0)
			report_errno(v->report, path, -ENOMEM);
		return;
	}
	n->absent = !file_check(v, line, path);
	v->flows.absent += n->absent;
}

// Whether every segment that was complete before this file was given up, and at least one.
static bool segments_gone(const struct verify *v, const struct named_flows *n)
{
	for (unsigned i = 0; i < PLACES_MAX; i++)
		if (retire_oldest(v, i) < n->order)
			return false;
	return v->report->segments_retired > 0;
}

void retire_flows_line(struct verify *v, const struct ledger_retire_flows *line)
{
	struct flow_files *f = &v->flows;
	struct named_flows *n = f->first < f->count ? &f->list[f->first] : NULL;
	char path[FLOW_FILE_NAME_MAX + 8];

	if (!v->has_retention) {
		add(v, "retire-without-policy", "a `retention` in `open`", "none");
		return;
	}
	if (!n || line->number != n->number) {
		add(v, "retire-order",
		        n ? NOTE("flow file %u, complete for longest", n->number) : "a complete flow file",
		        NOTE("flow file %" PRIu64, line->number));
		return;
	}
	if (line->bytes != n->bytes || memcmp(line->sha256, n->sha256, DIGEST_LEN) != 0)
		add(v, "retire-value", NOTE("%" PRIu64 " bytes, %s", n->bytes, NOTE_HEX(n->sha256)),
		        NOTE("%" PRIu64 " bytes, %s", line->bytes, NOTE_HEX(line->sha256)));
	if (!segments_gone(v, n))
		add(v, "retire-reason", "all segments given up that were complete before this flow file",
		        "one that was not");
	path_of(n->number, path);
	if (v->listener) {
		if (v->listener->flows_retired)
			v->listener->flows_retired(v->listener->user, line);
	} else {
		report_add(v->report, VERDICT_INCOMPLETE, n->absent ? "flows-retired" : "retired-present", path,
		        n->absent ? "a file" : "no file, for a `retire_flows` line gave it up",
		        n->absent ? "given up by a `retire_flows` line" : "there, and checked like any other");
	}
	f->absent -= n->absent;
	n->absent = false;
	f->first++;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void unnamed(struct verify *v, const char *path)
{
	if (v->report->closed && !v->flows.ended_early)
		report_add(v->report, VERDICT_INVALID, "unexpected-file", path, "only files that a `flows` line names",
		        "a file that none names");
	else
		report_add(v->report, VERDICT_INCOMPLETE, "flows-not-sealed", path,
		        "a `flows` line with its size and hash", "none signed: nothing vouches for it");
}

void flows_finish(struct verify *v)
{
	const struct flow_files *f = &v->flows;
	struct walked_flows *walked = &v->walk->flows;
	char path[FLOW_FILE_NAME_MAX + 8];
	size_t at = 0;

	for (size_t i = f->first; i < f->count; i++)
		if (f->list[i].absent) {
			path_of(f->list[i].number, path);
			report_errno(v->report, path, -ENOENT);
		}
	if (walked->count > 0)
		qsort(walked->list, walked->count, sizeof(*walked->list), compare_numbers);
	for (size_t i = 0; i < walked->count; i++) {
		while (at < f->count && f->list[at].number < walked->list[i])
			at++;
		if (at < f->count && f->list[at].number == walked->list[i])
			continue;
		path_of(walked->list[i], path);
		unnamed(v, path);
	}
}

void flows_free(struct verify *v)
{
	free(v->flows.list);
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "analyzers/flow_parse.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/evidence/reader/report.h"

struct reading {
	struct verify_report *report;
	struct flow_file *file;
	int (*record)(void *user, const struct flow_record *record);
	void *user;
	struct flow_stored *stored;
	char path[FLOW_FILE_NAME_MAX + 8];
};

// Whether the file is what the ledger says.
static bool holds(struct reading *r, int flows_fd, const struct listed_flows *listed)
{
	static uint8_t buffer[65536];
	char name[FLOW_FILE_NAME_MAX];
	uint8_t hash[DIGEST_LEN];
	struct digest *d = digest_new();
	uint64_t size = 0, bytes = 0;
	int fd = -1;
	long n;

	flow_file_name(listed->number, name);
	n = d ? recording_open_file(flows_fd, name, &fd, &size) : -ENOMEM;
	while (n >= 0 && bytes <= listed->bytes && (n = read_full(fd, buffer, sizeof(buffer))) > 0) {
		digest_update(d, buffer, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (d)
		digest_peek(d, hash);
	digest_free(d);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		report_errno(r->report, r->path, (int)n);
	else if (bytes != listed->bytes || memcmp(hash, listed->sha256, DIGEST_LEN) != 0)
		report_add(r->report, VERDICT_INVALID, "flows-sha256", r->path,
		        NOTE("%" PRIu64 " bytes, %s", listed->bytes, NOTE_HEX(listed->sha256)),
		        NOTE("%s%" PRIu64 " bytes, %s", bytes > listed->bytes ? "more than " : "", bytes,
		                NOTE_HEX(hash)));
	else
		return true;
	return false;
}

static int take_line(struct reading *r, const char *line, size_t len)
{
	json_t *object = flow_line_load(line, len);
	struct flow_record record;
	int error = 0;

	if (!object || (flow_line_is(object, "flow") && flow_parse(object, &record) < 0)) {
		r->stored->not_understood++;
	} else if (flow_line_is(object, "flow")) {
		r->stored->records++;
		error = r->record(r->user, &record);
	}
	json_decref(object);
	return error;
}

static int take_file(struct reading *r, uint32_t number)
{
	const char *line;
	size_t len;
	int error = 0, next;

	flow_file_seek(r->file, &(struct flow_position){.number = number});
	while ((next = flow_file_next(r->file, &line, &len)) == 1 && error == 0)
		error = take_line(r, line, len);
	if (error == 0 && (next == -EBADMSG || (next == 0 && flow_file_torn(r->file) > 0)))
		report_add(r->report, VERDICT_INVALID, "flows-form", r->path, "zstd frames of whole lines",
		        next == 0 ? "an incomplete frame at its end" : flow_file_reason(r->file));
	else if (error == 0 && next < 0)
		report_errno(r->report, r->path, next);
	return error;
}

static void count_frames(const struct segment_list *list, struct flow_stored *stored)
{
	for (size_t i = 0; i < list->lane_count; i++)
		for (size_t k = 0; k < list->lanes[i]->count; k++) {
			const struct listed_segment *s = &list->lanes[i]->segments[k];
			const uint64_t others = s->sealed ? 2 : 1; // head and tail hold no packets

			stored->frames += s->frames > others ? s->frames - others : 0;
		}
}

static uint64_t count_unsealed(int flows_fd, const struct segment_list *list)
{
	uint32_t next = list->flows_count > 0 ? list->flows[list->flows_count - 1].number + 1 : 0;
	uint64_t count = 0;

	while (flow_file_first(flows_fd, next, &next) == 1) {
		count++;
		next++;
	}
	return count;
}

int flow_stored_run(const struct recording_dir *dir, const struct segment_list *list, struct verify_report *report,
        int (*record)(void *user, const struct flow_record *record), void *user, struct flow_stored *ret_stored)
{
	struct reading r = {.report = report, .record = record, .user = user, .stored = ret_stored};
	int flows_fd, error = recording_open_dir(dir->fd, "flows", &flows_fd);

	*ret_stored = (struct flow_stored){0};
	if (error < 0) {
		report_errno(report, "flows", error);
		return 0;
	}
	error = flow_file_new(flows_fd, false, &r.file);
	for (size_t i = 0; i < list->flows_count && error == 0; i++) {
		const struct listed_flows *l = &list->flows[i];

		ret_stored->lost += l->lost;
		ret_stored->not_understood += l->malformed;
		ret_stored->inspected += l->inspected;
		if (l->retired) {
			ret_stored->retired++;
			continue;
		}
		snprintf(r.path, sizeof(r.path), "%s", l->path);
		if (!holds(&r, flows_fd, l))
			continue;
		ret_stored->files++;
		error = take_file(&r, l->number);
	}
	count_frames(list, ret_stored);
	ret_stored->unsealed = count_unsealed(flows_fd, list);
	flow_file_free(r.file);
	close(flows_fd);
	return error;
}

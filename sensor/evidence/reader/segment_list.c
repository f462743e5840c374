// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/segment_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/reader/ledger_pass.h"

void segment_list_free(struct segment_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->lane_count; i++) {
		free(list->lanes[i]->segments);
		free(list->lanes[i]);
	}
	free(list->flows);
	free(list);
}

static struct listed_segment *listed(struct segment_list *list, uint64_t lane, uint64_t number)
{
	if (lane >= list->lane_count || number >= list->lanes[lane]->count)
		return NULL;
	return &list->lanes[lane]->segments[number];
}

static int begun(void *user, const struct ledger_begin *begin)
{
	struct segment_list *list = user;
	struct listed_lane *lane;

	if (list->segment_count == SEGMENTS_LISTED_MAX)
		return -ENOMEM;
	if (begin->lane == list->lane_count) {
		lane = calloc(1, sizeof(*lane));
		if (!lane)
			return -ENOMEM;
		snprintf(lane->interface, sizeof(lane->interface), "%s", begin->interface);
		lane->number = (uint32_t)begin->lane;
		lane->source = begin->source;
		lane->linktype = (uint32_t)begin->linktype;
		lane->snaplen = (uint32_t)begin->snaplen;
		list->lanes[list->lane_count++] = lane;
	}
	lane = list->lanes[begin->lane];
	if (lane->count == lane->cap) {
		size_t cap = lane->cap == 0 ? 4 : 2 * lane->cap;
		struct listed_segment *more = realloc(lane->segments, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		lane->segments = more;
		lane->cap = cap;
	}
	lane->segments[lane->count++] = (struct listed_segment){0};
	list->segment_count++;
	return 0;
}

static int sealed(void *user, const struct ledger_segment *line)
{
	struct listed_segment *s = listed(user, line->lane, line->number);

	if (!s)
		return 0; // its `begin` could not be listed, and the report says so
	*s = (struct listed_segment){.bytes = line->bytes,
	        .frames = line->frames,
	        .packets = line->packets,
	        .ts_min = line->ts_min,
	        .ts_max = line->ts_max,
	        .sealed = true};
	memcpy(s->sha256, line->sha256, DIGEST_LEN);
	memcpy(s->root, line->root, DIGEST_LEN);
	return 0;
}

static int progressed(void *user, const struct ledger_progress_entry *entry)
{
	struct listed_segment *s = listed(user, entry->lane, entry->number);

	if (!s || s->sealed)
		return 0;
	s->bytes = entry->bytes;
	s->frames = entry->frames;
	s->packets = entry->packets;
	memcpy(s->root, entry->root, DIGEST_LEN);
	return 0;
}

static int retired(void *user, const struct ledger_retire *line)
{
	struct listed_segment *s = listed(user, line->lane, line->number);

	if (s)
		s->retired = true;
	return 0;
}

static int flows(void *user, const struct ledger_flows *line)
{
	struct segment_list *list = user;
	struct listed_flows *f;

	if (list->flows_count == list->flows_cap) {
		size_t cap = list->flows_cap == 0 ? 16 : 2 * list->flows_cap;
		struct listed_flows *more = realloc(list->flows, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->flows = more;
		list->flows_cap = cap;
	}
	f = &list->flows[list->flows_count++];
	*f = (struct listed_flows){.number = (uint32_t)line->number,
	        .bytes = line->bytes,
	        .inspected = line->inspected,
	        .lost = line->lost,
	        .malformed = line->malformed};
	snprintf(f->path, sizeof(f->path), "%s", line->path);
	memcpy(f->sha256, line->sha256, DIGEST_LEN);
	return 0;
}

static int flows_retired(void *user, const struct ledger_retire_flows *line)
{
	struct segment_list *list = user;

	for (size_t i = list->flows_count; i-- > 0;)
		if (list->flows[i].number == line->number)
			list->flows[i].retired = true;
	return 0;
}

int segment_list_read(
        const struct recording_dir *dir, struct segment_list **ret_list, struct verify_report **ret_report)
{
	static const struct verify_options options;
	struct segment_list *list = calloc(1, sizeof(*list));
	const struct segment_listener listener = {.begun = begun,
	        .sealed = sealed,
	        .progressed = progressed,
	        .retired = retired,
	        .flows = flows,
	        .flows_retired = flows_retired,
	        .user = list};
	struct verify *v = NULL;
	int r = list ? verify_new(dir, &options, &v) : -ENOMEM;

	if (r < 0) {
		segment_list_free(list);
		return r;
	}
	v->listener = &listener;
	ledger_pass_run(v);
	memcpy(list->recording_id, v->report->recording_id, DIGEST_LEN);
	memcpy(list->salts, v->salts, SALTS_KEY_LEN);
	list->salts_known = v->salts_known;
	list->closed = v->report->closed;
	*ret_report = verify_end(v);
	*ret_list = list;
	return 0;
}

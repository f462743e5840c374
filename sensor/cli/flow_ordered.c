// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_ordered.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "analyzers/flow_parse.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/flowlog/flow_order.h"

#define INSPECTION "\"" FLOW_ORDER_EVENT "\""

struct place {
	uint32_t segment;
	uint64_t frame;
};

// Of the packet that is next in a lane.
static struct place place_of(const struct lane_reader *lane)
{
	return (struct place){(uint32_t)(lane->next_segment - 1), lane->frames - 1};
}

static int compare(struct place a, struct place b)
{
	if (a.segment != b.segment)
		return a.segment < b.segment ? -1 : 1;
	return (a.frame > b.frame) - (a.frame < b.frame);
}

static void count_skipped(struct flow_ordered *o, struct place now, struct place *last, bool *has_last)
{
	if (!*has_last || compare(now, *last) != 0)
		o->skipped++;
	*last = now;
	*has_last = true;
}

// A lane up to the end of a frame.
static int take_until(struct flow_ordered *o, struct lane_reader *lane, struct place target)
{
	struct place last = {0};
	bool has_last = false;
	int r = 0;

	while (r == 0 && lane->has_head) {
		const struct place now = place_of(lane);
		const int order = compare(now, target);

		if (order > 0)
			break;
		if (order < 0)
			count_skipped(o, now, &last, &has_last);
		r = o->packet(o->user, lane);
		if (r == 0)
			r = lane_reader_next(lane);
	}
	return r;
}

static int follow(struct flow_ordered *o, struct lane_merge *merge, const struct inspected *e)
{
	switch (e->kind) {
	case INSPECTED_FRAME:
		if (e->lane < merge->lane_count)
			return take_until(o, &merge->lanes[e->lane], (struct place){e->segment, e->frame});
		break;
	case INSPECTED_TICK:
		o->tick(o->user, e->ns);
		break;
	case INSPECTED_LOST:
		o->lost += e->ns;
		break;
	case INSPECTED_START: // after an inspector that died: its flows have no other end
		return o->begin(o->user, e->lane, e->ns);
	default:
		o->end(o->user);
	}
	return 0;
}

static int take_line(struct flow_ordered *o, struct lane_merge *merge, const char *line, size_t len)
{
	static struct inspected entries[FLOW_STREAM_ORDER_MAX];
	json_t *object;
	int count, r = 0;

	if (!memmem(line, len, INSPECTION, sizeof(INSPECTION) - 1))
		return 0;
	object = flow_line_load(line, len);
	count = object ? flow_order_parse(object, entries) : -EBADMSG;
	json_decref(object);
	for (int i = 0; i < count && r == 0; i++) {
		r = follow(o, merge, &entries[i]);
		o->entries++;
	}
	return r;
}

// What the order did not name, by time.
static int take_rest(struct flow_ordered *o, struct lane_merge *merge)
{
	static struct place last[LANES_MAX];
	static bool has_last[LANES_MAX];
	const struct lane_reader *lane;
	int r;

	memset(has_last, 0, sizeof(has_last));
	lane_merge_again(merge);
	while ((r = lane_merge_next(merge, &lane)) == 0 && lane) {
		const size_t i = (size_t)(lane - merge->lanes);

		count_skipped(o, place_of(lane), &last[i], &has_last[i]);
		r = o->packet(o->user, lane);
		if (r < 0)
			return r;
	}
	return r;
}

int flow_ordered_run(struct flow_ordered *o, struct lane_merge *merge, int recording_fd)
{
	struct flow_file *file = NULL;
	const char *line;
	size_t len;
	int flows_fd, next = 0, r = recording_open_dir(recording_fd, "flows", &flows_fd);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = flow_file_new(flows_fd, true, &file);
	while (r == 0 && (next = flow_file_next(file, &line, &len)) == 1)
		r = take_line(o, merge, line, len);
	o->order_broken = next < 0 || (file && flow_file_torn_files(file) > 0);
	flow_file_free(file);
	close(flows_fd);
	if (r < 0 || o->entries == 0)
		return r;
	r = take_rest(o, merge);
	o->end(o->user);
	return r < 0 ? r : 1;
}

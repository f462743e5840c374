// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/indexed_choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/flow_search.h"
#include "sensor/cli/link_types.h"

// In the process that may look up names: the filter, for each link type of the recording.
static int prepare_filter(struct indexed_choice *c, const struct recording_dir *dir)
{
	uint32_t linktypes[LINK_TYPES_MAX];
	struct error e = {0};
	int count = c->selection->filter ? link_types_of(c->output->verb, dir, linktypes) : 0;

	for (int i = 0; i < count; i++)
		if (selection_prepare(c->selection, linktypes[i], &e) < 0)
			return cli_fail(CLI_USAGE, c->output->verb, "%s", e.text);
	return count < 0 ? CLI_UNREADABLE : CLI_OK;
}

int indexed_choice_prepare(struct indexed_choice *c, const struct recording_dir *dir, int *ret_write_dir)
{
	struct error e = {0};

	c->code = prepare_filter(c, dir);
	if (c->code != CLI_OK)
		return c->code;
	if (selection_begin(c->selection, &e) < 0)
		return cli_fail(CLI_UNREADABLE, c->output->verb, "%s", e.text);
	if (c->selection->set)
		c->code = flow_search(c->output, c->reanalyse, c->selection);
	if (c->with_index)
		*ret_write_dir = index_cache_root();
	return c->code;
}

static int begin(void *user, const struct segment_list *list)
{
	struct indexed_choice *c = user;
	struct error e = {0};

	for (size_t i = 0; i < list->lane_count; i++) {
		if (selection_prepare(c->selection, list->lanes[i]->linktype, &e) < 0) {
			c->code = cli_fail(CLI_USAGE, c->output->verb, "lane %u (%s): %s", list->lanes[i]->number,
			        list->lanes[i]->interface, e.text);
			return -ECANCELED;
		}
	}
	// Without indexes everything is read, and is right all the same.
	if (c->with_index && index_maker_init(&c->maker, list) == 0) {
		c->lanes = calloc(list->lane_count + 1, sizeof(*c->lanes));
		c->lane_count = c->lanes ? list->lane_count : 0;
	}
	return 0;
}

struct planning {
	struct indexed_choice *choice;
	struct indexed_lane *lane;
};

static bool choose_frame(void *user, uint32_t frames, uint32_t number, const struct indexed_frame *f)
{
	const struct planning *p = user;
	struct frame_plan *plan = &p->lane->plan;
	struct planned_frame *planned;

	if (number == 0) {
		free(p->lane->frames);
		p->lane->frames = calloc(frames, sizeof(*p->lane->frames));
		*plan = (struct frame_plan){.frames = p->lane->frames};
	}
	if (!p->lane->frames)
		return false;
	if (!selection_may_want(p->choice->selection, f))
		return true;
	planned = &p->lane->frames[plan->count++];
	*planned = (struct planned_frame){.offset = f->offset, .number = number, .first = f->first};
	memcpy(planned->root, f->root, DIGEST_LEN);
	return true;
}

static const struct frame_plan *plan(void *user, const struct listed_lane *lane, uint32_t number)
{
	static const struct frame_plan nothing;
	const struct listed_segment *segment = &lane->segments[number];
	struct indexed_choice *c = user;
	struct planning planning = {.choice = c};

	if (!segment->sealed)
		return NULL;
	if (segment->packets == 0 || !selection_overlaps(c->selection, segment->ts_min, segment->ts_max))
		return &nothing;
	if (c->lane_count == 0)
		return NULL;
	planning.lane = &c->lanes[lane->number];
	return index_maker_walk(&c->maker, lane, number, choose_frame, &planning) ? &planning.lane->plan : NULL;
}

static void frame(void *user, const struct frame_seen *seen)
{
	struct indexed_choice *c = user;

	index_maker_frame(&c->maker, seen);
}

static void segment(void *user, const struct listed_lane *lane, uint32_t number)
{
	struct indexed_choice *c = user;

	index_maker_segment(&c->maker, lane, number);
}

static bool wants(void *user, const struct listed_lane *lane, const struct segment_packet *packet)
{
	struct indexed_choice *c = user;

	return selection_wants(c->selection, lane->linktype, &packet->packet);
}

void indexed_choice_init(
        struct indexed_choice *c, struct selection *selection, const struct packet_output *output, bool with_index)
{
	*c = (struct indexed_choice){.selection = selection,
	        .output = output,
	        .with_index = with_index,
	        .maker = {.cache = {.dirfd = -1}},
	        .choice = {.begin = begin, .plan = plan, .frame = frame, .segment = segment, .wants = wants}};
	c->choice.user = c;
}

void indexed_choice_release(struct indexed_choice *c)
{
	for (size_t i = 0; i < c->lane_count; i++)
		free(c->lanes[i].frames);
	free(c->lanes);
	index_maker_release(&c->maker);
}

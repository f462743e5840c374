// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/indexed_choice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/flow_search.h"
#include "sensor/evidence/merkle.h"

// Each lane that makes an index holds most of a megabyte.
#define INDEXED_LANES_MAX 64u

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
	if (selection_begin(c->selection, &e) < 0) {
		c->code = cli_fail(CLI_UNREADABLE, c->output->verb, "%s", e.text);
		return -ECANCELED;
	}
	if (c->selection->set)
		c->code = flow_search(c->output, c->selection);
	if (c->code != CLI_OK && c->code != CLI_INVALID)
		return -ECANCELED;
	// Without the salts no root can be checked, and an index leans on nothing else.
	if (!c->with_index || !list->salts_known || list->lane_count > INDEXED_LANES_MAX)
		return 0;
	c->lanes = calloc(list->lane_count, sizeof(*c->lanes));
	if (!c->lanes)
		return 0;
	c->lane_count = list->lane_count;
	index_cache_open(&c->cache, list->recording_id);
	return 0;
}

// The frames that are wanted, when the index is whole and its roots have the segment's root.
static bool choose_frames(const struct selection *selection, struct segment_index *index,
        const struct listed_segment *segment, struct planned_frame *frames, size_t *ret_count)
{
	struct indexed_frame f;
	uint8_t root[DIGEST_LEN];
	uint64_t packets = 0;
	struct merkle roots;
	uint32_t number = 0;
	int r;

	*ret_count = 0;
	merkle_init(&roots);
	for (; (r = segment_index_next(index, &f)) > 0; number++) {
		merkle_append(&roots, f.root, DIGEST_LEN);
		packets += f.packets;
		if (!selection_may_want(selection, &f))
			continue;
		frames[*ret_count] = (struct planned_frame){.offset = f.offset, .number = number, .first = f.first};
		memcpy(frames[(*ret_count)++].root, f.root, DIGEST_LEN);
	}
	merkle_root(&roots, root);
	return r == 0 && number == segment->frames && packets == segment->packets &&
	       memcmp(root, segment->root, DIGEST_LEN) == 0;
}

static const struct frame_plan *plan_by_index(
        struct indexed_choice *c, const struct listed_lane *lane, uint32_t number, const uint8_t *data, size_t len)
{
	const struct listed_segment *segment = &lane->segments[number];
	struct indexed_lane *l = &c->lanes[lane->number];
	struct segment_index index;

	if (segment_index_open(&index, data, len, segment->sha256, segment->bytes) < 0)
		return NULL;
	free(l->frames);
	l->frames = calloc(index.frames + 1, sizeof(*l->frames));
	if (!l->frames || !choose_frames(c->selection, &index, segment, l->frames, &l->plan.count))
		return NULL;
	l->plan.frames = l->frames;
	return &l->plan;
}

static const struct frame_plan *plan(void *user, const struct listed_lane *lane, uint32_t number)
{
	static const struct frame_plan nothing;
	const struct listed_segment *segment = &lane->segments[number];
	const struct frame_plan *found = NULL;
	struct indexed_choice *c = user;
	uint8_t *data;
	size_t len;

	if (segment->packets == 0 || !selection_overlaps(c->selection, segment->ts_min, segment->ts_max))
		return &nothing;
	if (!c->lanes)
		return NULL;
	data = index_cache_get(&c->cache, lane->number, number, &len);
	if (data)
		found = plan_by_index(c, lane, number, data, len);
	free(data);
	return found;
}

static void frame(void *user, const struct frame_seen *seen)
{
	struct indexed_choice *c = user;
	struct indexed_lane *l = c->lanes ? &c->lanes[seen->lane->number] : NULL;
	struct cursor at = cursor_make(seen->content, seen->content_len);
	struct segment_packet p;
	const char *reason;

	if (!l || c->cache.dirfd < 0 || !seen->lane->segments[seen->segment].sealed)
		return;
	if (!l->builder)
		l->builder = index_builder_new();
	if (!l->builder)
		return;
	if (seen->number == 0) {
		index_builder_start(l->builder);
		l->broken = false;
	}
	while (segment_packet_next(&at, &p, &reason) > 0)
		index_builder_packet(
		        l->builder, seen->lane->linktype, p.packet.data, p.packet.caplen, p.packet.origlen);
	if (index_builder_frame(l->builder,
	            &(struct indexed_frame){.offset = seen->offset,
	                    .first = seen->first,
	                    .ts_min = seen->ts_min,
	                    .ts_max = seen->ts_max,
	                    .packets = (uint32_t)seen->packets,
	                    .root = seen->root},
	            seen->stored) < 0)
		l->broken = true;
}

static void segment(void *user, const struct listed_lane *lane, uint32_t number)
{
	const struct listed_segment *s = &lane->segments[number];
	struct indexed_choice *c = user;
	struct indexed_lane *l = c->lanes ? &c->lanes[lane->number] : NULL;
	const uint8_t *file;
	size_t len;

	if (!l || !l->builder || l->broken)
		return;
	file = index_builder_finish(l->builder, s->sha256, s->bytes, &len);
	if (file)
		index_cache_put(&c->cache, lane->number, number, file, len);
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
	        .cache = {.dirfd = -1},
	        .choice = {.begin = begin, .plan = plan, .frame = frame, .segment = segment, .wants = wants}};
	c->choice.user = c;
}

void indexed_choice_release(struct indexed_choice *c)
{
	for (size_t i = 0; i < c->lane_count; i++) {
		index_builder_free(c->lanes[i].builder);
		free(c->lanes[i].frames);
	}
	free(c->lanes);
	index_cache_close(&c->cache);
}

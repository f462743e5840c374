// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/index_maker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/merkle.h"

// Each lane that makes an index holds most of a megabyte.
#define INDEXED_LANES_MAX 64u

struct index_maker_lane {
	struct index_builder *builder;
	bool broken; // no memory for this segment's index
};

int index_maker_init(struct index_maker *m, const struct segment_list *list)
{
	int r;

	*m = (struct index_maker){.cache = {.dirfd = -1}};
	if (!list->salts_known)
		return -ENOKEY;
	if (list->lane_count > INDEXED_LANES_MAX)
		return -E2BIG;
	r = index_cache_open(&m->cache, list->recording_id);
	if (r < 0)
		return r;
	m->lanes = calloc(list->lane_count + 1, sizeof(*m->lanes));
	if (!m->lanes)
		return -ENOMEM;
	m->lane_count = list->lane_count;
	return 0;
}

void index_maker_release(struct index_maker *m)
{
	for (size_t i = 0; i < m->lane_count; i++)
		index_builder_free(m->lanes[i].builder);
	free(m->lanes);
	index_cache_close(&m->cache);
	m->lanes = NULL;
	m->lane_count = 0;
}

void index_maker_frame(struct index_maker *m, const struct frame_seen *seen)
{
	struct index_maker_lane *l = m->lanes ? &m->lanes[seen->lane->number] : NULL;
	struct cursor at = cursor_make(seen->content, seen->content_len);
	struct segment_packet p;
	const char *reason;

	if (!l || !seen->lane->segments[seen->segment].sealed)
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

static int keep(struct index_maker *m, const struct listed_lane *lane, uint32_t number)
{
	const struct listed_segment *s = &lane->segments[number];
	const struct index_maker_lane *l = &m->lanes[lane->number];
	const uint8_t *file;
	size_t len;
	int r;

	if (!l->builder || l->broken)
		return -ENOMEM;
	file = index_builder_finish(l->builder, s->sha256, s->bytes, &len);
	if (!file)
		return -ENOMEM;
	r = index_cache_put(&m->cache, lane->number, number, file, len);
	if (r < 0)
		return r;
	m->made++;
	m->bytes += len;
	return 0;
}

void index_maker_segment(struct index_maker *m, const struct listed_lane *lane, uint32_t number)
{
	int r = m->lanes ? keep(m, lane, number) : 0;

	if (r < 0)
		m->error = r;
}

static bool walk(struct segment_index *index, const struct listed_segment *segment,
        bool (*each)(void *user, uint32_t frames, uint32_t frame, const struct indexed_frame *indexed), void *user)
{
	struct indexed_frame f;
	uint8_t root[DIGEST_LEN];
	uint64_t packets = 0;
	struct merkle roots;
	uint32_t number = 0;
	int r;

	merkle_init(&roots);
	for (; (r = segment_index_next(index, &f)) > 0; number++) {
		merkle_append(&roots, f.root, DIGEST_LEN);
		packets += f.packets;
		if (!each(user, index->frames, number, &f))
			return false;
	}
	merkle_root(&roots, root);
	return r == 0 && number == segment->frames && packets == segment->packets &&
	       memcmp(root, segment->root, DIGEST_LEN) == 0;
}

bool index_maker_walk(struct index_maker *m, const struct listed_lane *lane, uint32_t number,
        bool (*each)(void *user, uint32_t frames, uint32_t frame, const struct indexed_frame *indexed), void *user)
{
	const struct listed_segment *segment = &lane->segments[number];
	struct segment_index index;
	uint8_t *data;
	bool holds;
	size_t len;

	data = m->lanes ? index_cache_get(&m->cache, lane->number, number, &len) : NULL;
	if (!data)
		return false;
	holds = segment_index_open(&index, data, len, segment->sha256, segment->bytes) == 0 &&
	        walk(&index, segment, each, user);
	free(data);
	return holds;
}

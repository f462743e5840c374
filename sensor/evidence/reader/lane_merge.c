// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/lane_merge.h"

#include <errno.h>
#include <stdlib.h>

static bool before(const struct lane_merge *m, uint32_t a, uint32_t b)
{
	uint64_t ta = m->lanes[a].head.packet.ts_ns, tb = m->lanes[b].head.packet.ts_ns;

	return ta != tb ? ta < tb : a < b;
}

static void sift_down(struct lane_merge *m, size_t at)
{
	for (;;) {
		size_t least = at, left = 2 * at + 1;
		uint32_t lane = m->heap[at];

		for (size_t child = left; child < left + 2 && child < m->heap_count; child++)
			if (before(m, m->heap[child], m->heap[least]))
				least = child;
		if (least == at)
			return;
		m->heap[at] = m->heap[least];
		m->heap[least] = lane;
		at = least;
	}
}

void lane_merge_again(struct lane_merge *m)
{
	m->heap_count = 0;
	m->handed_out = false;
	for (uint32_t i = 0; i < m->lane_count; i++)
		if (m->lanes[i].has_head)
			m->heap[m->heap_count++] = i;
	for (size_t i = m->heap_count; i-- > 0;)
		sift_down(m, i);
}

// Every lane's first packet.
static int start(struct lane_merge *m)
{
	for (uint32_t i = 0; i < m->lane_count; i++) {
		int r = lane_reader_next(&m->lanes[i]);

		if (r < 0)
			return r;
	}
	lane_merge_again(m);
	return 0;
}

int lane_merge_init(struct lane_merge *m, const struct recording_dir *dir, const struct segment_list *list,
        const struct packet_choice *choice, struct verify_report *report)
{
	int r;

	*m = (struct lane_merge){0};
	m->heap = calloc(list->lane_count + 1, sizeof(*m->heap));
	m->lanes = calloc(list->lane_count + 1, sizeof(*m->lanes));
	if (!m->heap || !m->lanes)
		return -ENOMEM;
	r = lane_tools_init(&m->tools, dir, list, list->lane_count, report);
	m->tools.choice = choice;
	if (r == 0 && choice && choice->begin)
		r = choice->begin(choice->user, list);
	for (; m->lane_count < list->lane_count && r == 0; m->lane_count++)
		r = lane_reader_init(&m->lanes[m->lane_count], &m->tools, list->lanes[m->lane_count]);
	return r == 0 ? start(m) : r;
}

void lane_merge_release(struct lane_merge *m)
{
	for (size_t i = 0; i < m->lane_count; i++)
		lane_reader_release(&m->lanes[i]);
	lane_tools_release(&m->tools);
	free(m->lanes);
	free(m->heap);
	*m = (struct lane_merge){0};
}

int lane_merge_next(struct lane_merge *m, const struct lane_reader **ret_lane)
{
	struct lane_reader *lane;
	int r;

	// The packet that was handed out last is done with only now.
	if (m->handed_out) {
		lane = &m->lanes[m->heap[0]];
		r = lane_reader_next(lane);
		if (r < 0)
			return r;
		if (!lane->has_head)
			m->heap[0] = m->heap[--m->heap_count];
		sift_down(m, 0);
	}
	m->handed_out = m->heap_count > 0;
	*ret_lane = m->handed_out ? &m->lanes[m->heap[0]] : NULL;
	return 0;
}

bool lane_merge_beyond_signed(const struct lane_merge *m)
{
	for (size_t i = 0; i < m->lane_count; i++)
		if (m->lanes[i].beyond_signed)
			return true;
	return false;
}

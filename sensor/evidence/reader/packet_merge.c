// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/packet_merge.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/reader/lane_reader.h"
#include "sensor/evidence/reader/limits.h"

#define OUT_BYTES (1u << 20)
_Static_assert(OUT_BYTES > CAPLEN_MAX + 64, "any block fits");

struct merge {
	int fd;
	int dirfd;
	uint8_t *out;
	size_t used;
	struct lane_tools tools;
	struct lane_reader *lanes;
	size_t lane_count;
	uint32_t *heap; // lanes with a packet; the one to be written is heap[0]
	size_t heap_count;
};

static int flush(struct merge *m)
{
	size_t done = 0;

	while (done < m->used) {
		ssize_t n = write(m->fd, m->out + done, m->used - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	m->used = 0;
	return 0;
}

// Room for len bytes of output, or NULL with *ret_error.
static uint8_t *room(struct merge *m, size_t len, int *ret_error)
{
	if (OUT_BYTES - m->used < len) {
		*ret_error = flush(m);
		if (*ret_error < 0)
			return NULL;
	}
	m->used += len;
	return m->out + m->used - len;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, 4);
	return at + 4;
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	value = htole16(value);
	memcpy(at, &value, 2);
	return at + 2;
}

static int write_section(struct merge *m)
{
	int error = 0;
	uint8_t *at = room(m, 28, &error);

	if (!at)
		return error;
	at = put32(at, 0x0A0D0D0A);
	at = put32(at, 28);
	at = put32(at, 0x1A2B3C4D);
	at = put16(at, 1);
	at = put16(at, 0);
	at = put32(at, UINT32_MAX);
	at = put32(at, UINT32_MAX);
	put32(at, 28);
	return 0;
}

static int write_interface(struct merge *m, const struct listed_lane *lane)
{
	const uint32_t name_len = (uint32_t)strlen(lane->interface);
	const uint32_t name_padded = (name_len + 3) / 4 * 4;
	const uint32_t total = 20 + (name_len > 0 ? 4 + name_padded : 0) + 8 + 4;
	int error = 0;
	uint8_t *at = room(m, total, &error);

	if (!at)
		return error;
	at = put32(at, 1);
	at = put32(at, total);
	at = put16(at, (uint16_t)lane->linktype);
	at = put16(at, 0);
	at = put32(at, lane->snaplen);
	if (name_len > 0) {
		at = put16(at, 2); // if_name
		at = put16(at, (uint16_t)name_len);
		memset(at, 0, name_padded);
		memcpy(at, lane->interface, name_len);
		at += name_padded;
	}
	at = put16(at, 9); // if_tsresol
	at = put16(at, 1);
	at = put32(at, 9); // 10^-9, and padding
	at = put32(at, 0);
	put32(at, total);
	return 0;
}

// The block as stored, with the lane as its interface.
static int write_packet(struct merge *m, const struct lane_reader *lane)
{
	int error = 0;
	uint8_t *at = room(m, lane->head.block_len, &error);

	if (!at)
		return error;
	memcpy(at, lane->head.block, lane->head.block_len);
	put32(at + 8, lane->lane->number);
	return 0;
}

static bool before(const struct merge *m, uint32_t a, uint32_t b)
{
	uint64_t ta = m->lanes[a].head.packet.ts_ns, tb = m->lanes[b].head.packet.ts_ns;

	return ta != tb ? ta < tb : a < b;
}

static void sift_down(struct merge *m, size_t at)
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

// Every lane's first packet, then always the earliest.
static int merge_packets(struct merge *m, uint64_t *packets)
{
	int r;

	for (uint32_t i = 0; i < m->lane_count; i++) {
		r = lane_reader_next(&m->lanes[i]);
		if (r < 0)
			return r;
		if (m->lanes[i].has_head)
			m->heap[m->heap_count++] = i;
	}
	for (size_t i = m->heap_count; i-- > 0;)
		sift_down(m, i);
	while (m->heap_count > 0) {
		struct lane_reader *lane = &m->lanes[m->heap[0]];

		r = write_packet(m, lane);
		if (r == 0)
			r = lane_reader_next(lane);
		if (r < 0)
			return r;
		(*packets)++;
		if (!lane->has_head)
			m->heap[0] = m->heap[--m->heap_count];
		sift_down(m, 0);
	}
	return flush(m);
}

static int merge_run(struct merge *m, const struct segment_list *list, const struct packet_choice *choice,
        struct merge_result *result)
{
	int r;

	m->out = malloc(OUT_BYTES);
	m->heap = calloc(list->lane_count + 1, sizeof(*m->heap));
	m->lanes = calloc(list->lane_count + 1, sizeof(*m->lanes));
	if (!m->out || !m->heap || !m->lanes)
		return -ENOMEM;
	r = lane_tools_init(&m->tools, m->dirfd, list, list->lane_count, result->report);
	if (r < 0)
		return r;
	m->tools.choice = choice;
	r = choice && choice->begin ? choice->begin(choice->user, list) : 0;
	for (; m->lane_count < list->lane_count && r == 0; m->lane_count++)
		r = lane_reader_init(&m->lanes[m->lane_count], &m->tools, list->lanes[m->lane_count]);
	if (r == 0)
		r = write_section(m);
	for (size_t i = 0; i < list->lane_count && r == 0; i++)
		r = write_interface(m, list->lanes[i]);
	if (r == 0)
		r = merge_packets(m, &result->packets);
	for (size_t i = 0; i < m->lane_count; i++)
		result->beyond_signed = result->beyond_signed || m->lanes[i].beyond_signed;
	return r;
}

int packet_merge(int dirfd, int fd, const struct packet_choice *choice, struct merge_result *ret_result)
{
	struct merge m = {.fd = fd, .dirfd = dirfd};
	struct segment_list *list;
	int r;

	memset(ret_result, 0, sizeof(*ret_result));
	r = segment_list_read(dirfd, &list, &ret_result->report);
	if (r < 0)
		return r;
	r = merge_run(&m, list, choice, ret_result);
	for (size_t i = 0; i < m.lane_count; i++)
		lane_reader_release(&m.lanes[i]);
	lane_tools_release(&m.tools);
	free(m.lanes);
	free(m.heap);
	free(m.out);
	segment_list_free(list);
	return r;
}

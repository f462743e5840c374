// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/packet_merge.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/reader/lane_merge.h"
#include "sensor/evidence/reader/limits.h"

#define OUT_BYTES (1u << 20)
_Static_assert(OUT_BYTES > CAPLEN_MAX + 64, "any block fits");

struct merge {
	int fd;
	const struct recording_dir *dir;
	uint8_t *out;
	size_t used;
	struct lane_merge lanes;
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

static int merge_packets(struct merge *m, const struct packet_choice *choice, uint64_t *packets)
{
	const struct lane_reader *lane;
	int r;

	while ((r = lane_merge_next(&m->lanes, &lane)) == 0 && lane) {
		if (choice && choice->wants && !choice->wants(choice->user, lane->lane, &lane->head))
			continue;
		r = write_packet(m, lane);
		if (r < 0)
			return r;
		(*packets)++;
	}
	return r == 0 ? flush(m) : r;
}

static int merge_run(struct merge *m, const struct segment_list *list, const struct packet_choice *choice,
        struct merge_result *result)
{
	int r = lane_merge_init(&m->lanes, m->dir, list, choice, result->report);

	if (r < 0)
		return r;
	m->out = malloc(OUT_BYTES);
	if (!m->out)
		return -ENOMEM;
	r = write_section(m);
	for (size_t i = 0; i < list->lane_count && r == 0; i++)
		r = write_interface(m, list->lanes[i]);
	if (r == 0)
		r = merge_packets(m, choice, &result->packets);
	result->beyond_signed = lane_merge_beyond_signed(&m->lanes);
	result->frames = m->lanes.tools.frames;
	return r;
}

int packet_merge(
        const struct recording_dir *dir, int fd, const struct packet_choice *choice, struct merge_result *ret_result)
{
	struct merge m = {.fd = fd, .dir = dir};
	struct segment_list *list;
	int r;

	memset(ret_result, 0, sizeof(*ret_result));
	r = segment_list_read(dir, &list, &ret_result->report);
	if (r < 0)
		return r;
	r = merge_run(&m, list, choice, ret_result);
	lane_merge_release(&m.lanes);
	free(m.out);
	segment_list_free(list);
	return r;
}

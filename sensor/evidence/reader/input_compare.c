// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/input_compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/lane_reader.h"
#include "sensor/evidence/reader/report.h"

#define BATCH 256u
#define WAIT_MS 1000

struct compare {
	const char *path;
	struct segment_list *list;
	struct lane_tools tools;
	struct lane_reader *lanes; // of this source, in the order in which it found them
	uint64_t *taken;           // packets of each
	size_t lane_count;
	size_t lanes_seen; // of the file
	uint64_t packets;  // of the file
	struct verify_report *found;
	bool differs;
};

static void differ(struct compare *c, const char *where, const char *expected, const char *actual)
{
	report_add(c->found, VERDICT_INVALID, "input-packets", where, expected, actual);
	c->differs = true;
}

static const char *describe(
        struct note *n, uint64_t ts_ns, uint32_t caplen, uint32_t origlen, uint32_t flags, const uint8_t *data)
{
	uint8_t hash[DIGEST_LEN];

	digest_once(data, caplen, hash);
	return note(n, "time %s, %" PRIu32 " of %" PRIu32 " bytes, flags 0x%08" PRIx32 ", SHA-256 %s", NOTE_TIME(ts_ns),
	        caplen, origlen, flags, NOTE_HEX(hash));
}

static bool same_packet(const struct packet *p, const struct commit_packet *q)
{
	return p->ts_ns == q->ts_ns && p->caplen == q->caplen && p->origlen == q->origlen && p->flags == q->flags &&
	       memcmp(p->data, q->data, p->caplen) == 0;
}

static int compare_packet(struct compare *c, const struct packet *p)
{
	struct note expected = {{0}}, actual = {{0}}, where = {{0}};
	struct lane_reader *lane;
	const struct commit_packet *q;
	int r;

	note(&where, "%.100s packet %" PRIu64, c->path, c->packets);
	if (p->lane >= c->lane_count) {
		differ(c, where.text, NOTE("a lane for its interface %" PRIu32, p->lane),
		        NOTE("%zu lanes of this source", c->lane_count));
		return 0;
	}
	lane = &c->lanes[p->lane];
	r = lane_reader_next(lane);
	if (r < 0)
		return r;
	note(&where, "%.100s packet %" PRIu64 ", lane %" PRIu32 " packet %" PRIu64, c->path, c->packets,
	        lane->lane->number, c->taken[p->lane]++);
	q = &lane->head.packet;
	if (lane->has_head && same_packet(p, q))
		return 0;
	describe(&expected, p->ts_ns, p->caplen, p->origlen, p->flags, p->data);
	if (lane->has_head)
		describe(&actual, q->ts_ns, q->caplen, q->origlen, q->flags, q->data);
	differ(c, where.text, expected.text, lane->has_head ? actual.text : "the lane ends before it");
	return 0;
}

// Interfaces that the file described since the last time.
static void compare_lanes(struct compare *c, const struct source *s)
{
	for (; c->lanes_seen < s->lane_count && c->lanes_seen < c->lane_count && !c->differs; c->lanes_seen++) {
		const struct source_lane *in = &s->lanes[c->lanes_seen];
		const struct listed_lane *lane = c->lanes[c->lanes_seen].lane;

		if (in->linktype != lane->linktype || in->snaplen != lane->snaplen ||
		        strcmp(in->interface, lane->interface) != 0)
			differ(c, NOTE("%.100s interface %zu, lane %" PRIu32, c->path, c->lanes_seen, lane->number),
			        NOTE("\"%.60s\", link type %u, snaplen %" PRIu32, in->interface, in->linktype,
			                in->snaplen),
			        NOTE("\"%.60s\", link type %" PRIu32 ", snaplen %" PRIu32, lane->interface,
			                lane->linktype, lane->snaplen));
	}
}

// The file is over: no lane may hold more.
static int compare_ends(struct compare *c, const struct source *s)
{
	uint64_t recorded = 0;

	if (s->lane_count != c->lane_count && !c->differs)
		differ(c, NOTE("%.100s", c->path), NOTE("%u interfaces", s->lane_count),
		        NOTE("%zu lanes of this source", c->lane_count));
	for (size_t i = 0; i < c->lane_count && !c->differs; i++) {
		int r = lane_reader_next(&c->lanes[i]);

		if (r < 0)
			return r;
		if (c->lanes[i].has_head)
			differ(c, NOTE("%.100s, the end of lane %" PRIu32, c->path, c->lanes[i].lane->number),
			        NOTE("%" PRIu64 " packets", c->taken[i]), "more");
	}
	for (size_t i = 0; i < c->lane_count; i++)
		for (size_t k = 0; k < c->lanes[i].lane->count; k++)
			recorded += c->lanes[i].lane->segments[k].packets;
	if (recorded != s->end.packets)
		differ(c, NOTE("%.100s", c->path), NOTE("%" PRIu64 " packets", s->end.packets),
		        NOTE("%" PRIu64 " in the lanes of this source", recorded));
	return 0;
}

static int read_all(struct compare *c, struct source *s, struct error *e)
{
	struct packet batch[BATCH];
	int n, r = 0;

	while (r == 0 && (n = s->ops->recv(s, batch, BATCH, WAIT_MS)) >= 0) {
		compare_lanes(c, s);
		for (int i = 0; i < n && !c->differs && r == 0; i++, c->packets++)
			r = compare_packet(c, &batch[i]);
		if (n > 0)
			s->ops->release(s);
	}
	if (r < 0)
		return error_set(e, r, "the recording cannot be read: %s", strerror(-r));
	if (n != -ENODATA)
		return error_set(e, n, "%s: cannot be read: %s", c->path, strerror(-n));
	compare_lanes(c, s);
	r = compare_ends(c, s);
	return r < 0 ? error_set(e, r, "the recording cannot be read: %s", strerror(-r)) : 0;
}

// The lanes of one source, out of those of the recording that r is about.
static int lanes_open(struct compare *c, const struct recording_dir *dir, size_t source, const struct verify_report *r,
        struct error *e)
{
	struct verify_report *listed;
	int n = segment_list_read(dir, &c->list, &listed);

	if (n < 0)
		return error_set(e, n, "the recording cannot be read: %s", strerror(-n));
	report_join(c->found, listed);
	if (memcmp(listed->recording_id, r->recording_id, DIGEST_LEN) != 0 || listed->lines < r->lines)
		n = error_set(e, -ESTALE, "the recording was changed while it was read");
	verify_report_free(listed);
	if (n < 0)
		return n;
	c->lanes = calloc(c->list->lane_count + 1, sizeof(*c->lanes));
	c->taken = calloc(c->list->lane_count + 1, sizeof(*c->taken));
	n = c->lanes && c->taken ? lane_tools_init(&c->tools, dir, c->list, c->list->lane_count, c->found) : -ENOMEM;
	for (size_t i = 0; n == 0 && i < c->list->lane_count; i++)
		if (c->list->lanes[i]->source == source)
			n = lane_reader_init(&c->lanes[c->lane_count++], &c->tools, c->list->lanes[i]);
	return n < 0 ? error_set(e, n, "no memory to read the recording") : 0;
}

int input_compare(const struct recording_dir *dir, int fd, const char *path, size_t source,
        const struct verify_report *r, struct verify_report *found, struct source_end *ret_end, struct error *e)
{
	struct source_file_config config = {.fd = fd, .name = path, .extra_fd = -1};
	struct compare c = {.path = path, .found = found};
	struct source *s;
	int n = source_file_open(&config, &s, e);

	if (n < 0) {
		close(fd);
		return n;
	}
	n = lanes_open(&c, dir, source, r, e);
	if (n == 0)
		n = read_all(&c, s, e);
	if (n == 0)
		*ret_end = s->end;
	s->ops->close(s);
	for (size_t i = 0; i < c.lane_count; i++)
		lane_reader_release(&c.lanes[i]);
	lane_tools_release(&c.tools);
	segment_list_free(c.list);
	free(c.lanes);
	free(c.taken);
	return n;
}

// SPDX-License-Identifier: Apache-2.0
// What the recorder may ask of the keeper, in which state: one table. The recorder handles hostile bytes, so nothing
// that it says is taken on trust that the keeper can check; what the state does not permit ends it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/commit.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/keeper/keeper.h"

bool counters_law_holds(const struct counters *c, bool shunts)
{
	uint64_t sum = 0;
	bool over = __builtin_add_overflow(sum, c->recorded, &sum);

	over |= __builtin_add_overflow(sum, c->filtered, &sum);
	over |= __builtin_add_overflow(sum, c->out_of_scope, &sum);
	over |= __builtin_add_overflow(sum, c->shunted, &sum);
	for (int i = 0; i < DROP_CAUSES; i++)
		over |= __builtin_add_overflow(sum, c->dropped[i], &sum);
	if (c->driver_mask & COUNTERS_XDP) {
		uint64_t lost = 0;

		for (int i = 0; i < XSK_LOSSES; i++)
			over |= __builtin_add_overflow(lost, c->xsk[i], &lost);
		over |= !(c->driver_mask & COUNTERS_DRIVER_DROPPED) || lost != c->driver_dropped;
	}
	// Nothing in this issue of the format counts out_of_scope.
	return !over && sum == c->received && c->out_of_scope == 0 && (shunts || c->shunted == 0);
}

static bool counters_grew(const struct counters *from, const struct counters *to)
{
	uint64_t both = from->driver_mask & to->driver_mask;

	if ((both & COUNTERS_DRIVER_RECEIVED) && to->driver_received < from->driver_received)
		return false;
	if ((both & COUNTERS_DRIVER_DROPPED) && to->driver_dropped < from->driver_dropped)
		return false;
	for (int i = 0; i < NIC_COUNTERS && (both & COUNTERS_NIC); i++)
		if (to->nic[i] < from->nic[i])
			return false;
	for (int i = 0; i < XSK_COUNTERS && (both & COUNTERS_XDP); i++)
		if (to->xsk[i] < from->xsk[i])
			return false;
	for (int i = 0; i < DROP_CAUSES; i++)
		if (to->dropped[i] < from->dropped[i])
			return false;
	return to->received >= from->received && to->recorded >= from->recorded && to->filtered >= from->filtered &&
	       to->shunted >= from->shunted;
}

// From what was signed of a segment to what is said now: everything grows, or the file is as it was.
static bool state_grew(const struct wire_segment_state *from, const struct wire_segment_state *to)
{
	if (!counters_grew(&from->counters, &to->counters))
		return false;
	if (to->frames == from->frames)
		return to->bytes == from->bytes && to->packets == from->packets &&
		       memcmp(to->root, from->root, DIGEST_LEN) == 0;
	return to->frames > from->frames && to->bytes > from->bytes && to->packets >= from->packets;
}

static struct keeper_segment *find_open(struct keeper *k, uint32_t lane, uint32_t number, struct keeper_lane **ret_lane)
{
	if (lane >= k->lane_count)
		return NULL;
	*ret_lane = &k->lanes[lane];
	for (unsigned i = 0; i < (*ret_lane)->open_count; i++)
		if ((*ret_lane)->open[i].number == number)
			return &(*ret_lane)->open[i];
	return NULL;
}

static int detail(struct keeper *k, int fd, const union wire_message *m)
{
	if (m->plain.number >= k->job->source_count || !wire_text_ok(m->plain.text, sizeof(m->plain.text)))
		return -EPROTO;
	memcpy(k->details[m->plain.number], m->plain.text, sizeof(m->plain.text));
	return wire_send_plain(fd, WIRE_DETAIL, 0, 0, NULL);
}

static int start(struct keeper *k, int fd, const union wire_message *m)
{
	return wire_send_plain(fd, WIRE_START, 0, 0, NULL);
}

static void secret_for(struct keeper *k, uint32_t lane, uint32_t number, struct wire_begin_answer *answer)
{
	uint8_t id[SEGMENT_ID_LEN];

	memcpy(answer->recording_id, k->recording_id, DIGEST_LEN);
	segment_id(k->recording_id, lane, number, id);
	segment_salt_key(k->salts_key, id, answer->salt_key);
}

// The ledger and the segment must give the same name, so it has to be one that the ledger's form leaves as it is.
// Anything else would also grow by that form, beyond what a verifier takes.
static bool interface_ok(const char *name, size_t size)
{
	json_t *as_written = wire_text_ok(name, size) ? json_text(name, strlen(name)) : NULL;
	bool ok = as_written && strcmp(json_string_value(as_written), name) == 0;

	json_decref(as_written);
	return ok;
}

static int begin(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_begin *b = &m->begin;
	struct wire_begin_answer answer = {0};
	struct keeper_lane *lane;
	int r;

	if (!interface_ok(b->interface, sizeof(b->interface)) || b->source >= k->job->source_count ||
	        b->linktype > 65535 || b->lane > k->lane_count || b->lane >= LANES_MAX)
		return -EPROTO;
	if (b->lane == k->lane_count) {
		struct keeper_lane *more = realloc(k->lanes, (k->lane_count + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->lanes = more;
		memset(&more[k->lane_count], 0, sizeof(*more));
		more[k->lane_count].is = *b;
		k->lane_count++;
	}
	lane = &k->lanes[b->lane];
	if (b->number != lane->next_number || lane->open_count == KEEPER_OPEN_SEGMENTS ||
	        b->source != lane->is.source || b->linktype != lane->is.linktype || b->snaplen != lane->is.snaplen ||
	        strcmp(b->interface, lane->is.interface) != 0)
		return -EPROTO;
	// The answer lets the first byte reach the disk, so the line must be there before.
	r = keeper_record_begin(k, b);
	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0)
		return r;
	lane->open[lane->open_count] = (struct keeper_segment){.number = b->number};
	lane->open[lane->open_count].progress = (struct wire_segment_state){.lane = b->lane, .number = b->number};
	lane->open_count++;
	lane->next_number++;
	k->segments++;
	secret_for(k, b->lane, b->number, &answer);
	return wire_send(fd, WIRE_BEGIN, &answer, sizeof(answer), -1);
}

static int progress(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_progress *p = &m->progress;
	struct keeper_segment *s;
	struct keeper_lane *lane;
	int r;

	if (p->count == 0 || p->count > WIRE_PROGRESS_SEGMENTS)
		return -EPROTO;
	for (unsigned i = 0; i < p->count; i++) {
		const struct wire_segment_state *now = &p->segment[i];

		s = find_open(k, now->lane, now->number, &lane);
		if (!s || now->frames == 0 || !counters_law_holds(&now->counters, k->job->cutoff_bytes > 0) ||
		        !state_grew(&s->progress, now) || !counters_grew(&lane->end, &now->counters))
			return -EPROTO;
		// Each once, or the second could go back behind the first.
		for (unsigned before = 0; before < i; before++)
			if (p->segment[before].lane == now->lane && p->segment[before].number == now->number)
				return -EPROTO;
	}
	r = keeper_record_progress(k, p);
	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < p->count; i++) {
		s = find_open(k, p->segment[i].lane, p->segment[i].number, &lane);
		s->progress = p->segment[i];
	}
	return wire_send_plain(fd, WIRE_PROGRESS, 0, 0, NULL);
}

static int seal(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_seal *s = &m->seal;
	struct keeper_lane *lane;
	struct keeper_segment *open = find_open(k, s->state.lane, s->state.number, &lane);
	int r;

	// A complete segment has one frame more than any progress of it: the last.
	if (!open || open != &lane->open[0] || s->state.frames == open->progress.frames || s->adopted > 1 ||
	        !state_grew(&open->progress, &s->state) ||
	        !counters_law_holds(&s->state.counters, k->job->cutoff_bytes > 0) ||
	        !counters_grew(&lane->end, &s->state.counters) ||
	        s->state.counters.recorded - lane->end.recorded != s->state.packets)
		return -EPROTO;
	r = keeper_record_segment(k, lane, s);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	if (r < 0)
		return r;
	lane->end = s->state.counters;
	lane->open_count--;
	memmove(&lane->open[0], &lane->open[1], lane->open_count * sizeof(lane->open[0]));
	k->packets += s->state.packets;
	r = keeper_retention_sealed(k, s);
	return r < 0 ? r : wire_send_plain(fd, WIRE_SEAL, 0, 0, NULL);
}

static int loss(struct keeper *k, int fd, const union wire_message *m)
{
	int r;

	if (m->loss.lane >= k->lane_count || m->loss.cause >= DROP_CAUSES || m->loss.frames == 0)
		return -EPROTO;
	r = keeper_record_loss(k, &m->loss);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	if (r == 0)
		k->lanes[m->loss.lane].losses[m->loss.cause] += m->loss.frames;
	return r < 0 ? r : wire_send_plain(fd, WIRE_LOSS, 0, 0, NULL);
}

static int shunt(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_shunt *s = &m->shunt;
	int r;

	if (!k->job->cutoff_bytes || s->lane >= k->lane_count || s->frames == 0)
		return -EPROTO;
	r = keeper_record_shunt(k, s);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	if (r == 0) {
		k->lanes[s->lane].shunted += s->frames;
		k->lanes[s->lane].shunted_bytes += s->bytes;
	}
	return r < 0 ? r : wire_send_plain(fd, WIRE_SHUNT, 0, 0, NULL);
}

static int source(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_source *s = &m->source;
	int r;

	if (k->job->kind != JOB_INGEST || s->index >= k->job->source_count || k->stated[s->index] ||
	        !wire_text_ok(s->format, sizeof(s->format)) ||
	        !wire_text_ok(s->damage_reason, sizeof(s->damage_reason)))
		return -EPROTO;
	r = keeper_record_source(k, s);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	k->stated[s->index] = true;
	return r < 0 ? r : wire_send_plain(fd, WIRE_SOURCE, 0, 0, NULL);
}

static int incident(struct keeper *k, int fd, const union wire_message *m)
{
	static const char *const kinds[] = {"recorder-resumed", "adopted", "disk-full", "disk-error", "source-failed",
	        "interface-down", "overload", "stalled", "interface-up", "interface-renamed", "interface-back",
	        "carrier-lost", "carrier-back", "mtu-changed", "interface-removed", "queues-changed", "offload-changed",
	        "promiscuous-lost", "starved", "kernel-time"};
	bool known = false;
	int r;

	if (!wire_text_ok(m->incident.kind, sizeof(m->incident.kind)) ||
	        !wire_text_ok(m->incident.detail, sizeof(m->incident.detail)))
		return -EPROTO;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		known |= strcmp(kinds[i], m->incident.kind) == 0;
	if (!known)
		return -EPROTO;
	r = keeper_record_incident(k, m->incident.kind, m->incident.detail);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	return r < 0 ? r : wire_send_plain(fd, WIRE_INCIDENT, 0, 0, NULL);
}

static int adopt(struct keeper *k, int fd, const union wire_message *m)
{
	uint32_t id = m->plain.number;
	struct wire_adopt answer = {0};

	if (id < k->lane_count) {
		const struct keeper_lane *lane = &k->lanes[id];

		answer.next_number = lane->next_number;
		answer.counters_begin = lane->end;
		memcpy(answer.losses, lane->losses, sizeof(answer.losses));
		answer.shunted = lane->shunted;
		answer.shunted_bytes = lane->shunted_bytes;
		if (lane->open_count > 0) {
			answer.open = 1;
			answer.last = lane->open_count == 1;
			answer.begin = lane->is;
			answer.begin.number = lane->open[0].number;
			answer.progress = lane->open[0].progress;
			secret_for(k, id, lane->open[0].number, &answer.secret);
		}
	}
	return wire_send(fd, WIRE_ADOPT, &answer, sizeof(answer), -1);
}

static int finished(struct keeper *k, int fd, const union wire_message *m)
{
	k->finished = true;
	return wire_send_plain(fd, WIRE_FINISHED, 0, 0, NULL);
}

enum state { BEFORE = 1, RUNNING = 2 };

static const struct {
	enum wire_type type;
	size_t len;
	unsigned states;
	int (*handler)(struct keeper *k, int fd, const union wire_message *m);
} table[] = {
        {WIRE_DETAIL, sizeof(struct wire_plain), BEFORE | RUNNING, detail},
        {WIRE_START, sizeof(struct wire_plain), BEFORE | RUNNING, start},
        {WIRE_ADOPT, sizeof(struct wire_plain), RUNNING, adopt},
        {WIRE_BEGIN, sizeof(struct wire_begin), RUNNING, begin},
        {WIRE_PROGRESS, sizeof(struct wire_progress), RUNNING, progress},
        {WIRE_SEAL, sizeof(struct wire_seal), RUNNING, seal},
        {WIRE_LOSS, sizeof(struct wire_loss), RUNNING, loss},
        {WIRE_SHUNT, sizeof(struct wire_shunt), RUNNING, shunt},
        {WIRE_SOURCE, sizeof(struct wire_source), RUNNING, source},
        {WIRE_INCIDENT, sizeof(struct wire_incident), RUNNING, incident},
        {WIRE_FINISHED, sizeof(struct wire_plain), RUNNING, finished},
        {WIRE_RETIRE, sizeof(struct wire_retire), RUNNING, keeper_retire},
};

int keeper_recorder_request(struct keeper *k, int fd, const union wire_message *m, struct error *e)
{
	unsigned state = k->opened ? RUNNING : BEFORE;

	if (k->finished)
		return error_set(e, -EPROTO, "the recorder asked for something after it had finished");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int r;

		if (table[i].type != m->h.type || table[i].len != m->h.len || !(table[i].states & state))
			continue;
		if (m->h.type == WIRE_START && !k->opened) {
			r = keeper_open(k, e);
			if (r < 0) // never the recorder's fault, nor does -EPIPE of the signer's socket speak of the
			           // recorder's
				return r == -EPIPE || r == -EPROTO ? -EIO : r;
		}
		r = table[i].handler(k, fd, m);
		return r < 0 ? error_set(e, r, "request %u of the recorder: %s", m->h.type, strerror(-r)) : 0;
	}
	return error_set(e, -EPROTO, "the recorder sent request %u of %u bytes, which its state does not permit",
	        m->h.type, m->h.len);
}

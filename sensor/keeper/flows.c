// SPDX-License-Identifier: Apache-2.0
// What the flow log may ask of the keeper: one table. Flow files are the inspector's word: the ledger says which bytes
// they have and nothing about their truth. The flow log reads what a process that may have been taken over says, so
// what its state does not permit ends it too. Keeper's one thread.
#include <errno.h>
#include <string.h>

#include "sensor/keeper/keeper.h"

// Nothing waits for the flow log: one that takes no answers is at fault.
static int answer(int fd, enum wire_type type, void *message, size_t len)
{
	int r = wire_try_send(fd, type, message, len);

	return r == -EAGAIN ? -EPROTO : r;
}

static int answer_plain(int fd, enum wire_type type, unsigned number)
{
	struct wire_plain plain = {.number = number};

	return answer(fd, type, &plain, sizeof(plain));
}

static int start(struct keeper *k, int fd, const union wire_message *m)
{
	struct wire_flows_answer state = {.next_number = k->flows_next};

	memcpy(state.recording_id, k->recording_id, DIGEST_LEN);
	return answer(fd, WIRE_FLOWS_START, &state, sizeof(state));
}

// Numbers may be left out: a flow log that died has left its file unsealed.
static int flows(struct keeper *k, int fd, const union wire_message *m)
{
	const struct wire_flows *f = &m->flows;
	int r;

	if (f->number < k->flows_next || f->number == UINT32_MAX || f->bytes == 0 || f->frames == 0 ||
	        f->raw_bytes < f->frames)
		return -EPROTO;
	r = keeper_record_flows(k, f);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	if (r < 0)
		return r;
	k->flows_next = f->number + 1;
	r = keeper_retention_flows(k, f);
	if (r == 0)
		r = keeper_retire_flows(k);
	return r < 0 ? r : answer_plain(fd, WIRE_FLOWS, k->retention.flows_gone);
}

static int incident(struct keeper *k, int fd, const union wire_message *m)
{
	int r;

	if (!wire_text_ok(m->incident.kind, sizeof(m->incident.kind)) ||
	        !wire_text_ok(m->incident.detail, sizeof(m->incident.detail)) ||
	        strcmp(m->incident.kind, "flows-ended") != 0)
		return -EPROTO;
	r = keeper_record_incident(k, m->incident.kind, m->incident.detail);
	if (r == 0)
		r = keeper_checkpoint(k, false);
	return r < 0 ? r : answer_plain(fd, WIRE_INCIDENT, 0);
}

static const struct {
	uint32_t type;
	size_t len;
	int (*handler)(struct keeper *k, int fd, const union wire_message *m);
} table[] = {
        {WIRE_FLOWS_START, sizeof(struct wire_plain), start},
        {WIRE_FLOWS, sizeof(struct wire_flows), flows},
        {WIRE_INCIDENT, sizeof(struct wire_incident), incident},
};

int keeper_flowlog_request(struct keeper *k, int fd, const union wire_message *m, struct error *e)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int r;

		if (table[i].type != m->h.type || table[i].len != m->h.len)
			continue;
		r = table[i].handler(k, fd, m);
		return r < 0 ? error_set(e, r, "request %u of the flow log: %s", m->h.type, strerror(-r)) : 0;
	}
	return error_set(
	        e, -EPROTO, "the flow log sent request %u of %u bytes, which is none of its own", m->h.type, m->h.len);
}

// SPDX-License-Identifier: Apache-2.0
// What the supervisor hears about the ledger for its operator, and the marks that it brings from there.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/keeper/keeper.h"

#define TELL_NS 1000000000ULL

void keeper_tell_incident(struct keeper *k, const char *kind, const char *detail)
{
	struct wire_incident m = {0};

	k->status.incidents++;
	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	snprintf(m.detail, sizeof(m.detail), "%s", detail);
	wire_try_send(k->tell_fd, WIRE_INCIDENT, &m, sizeof(m));
}

void keeper_tell(struct keeper *k, bool at_once)
{
	struct wire_ledger m = k->status;
	struct clock_now now;

	clock_read(&now);
	if (!at_once && now.boot_ns - k->told_ns < TELL_NS)
		return;
	if (memcmp(&m, &k->told, sizeof(m)) == 0 || wire_try_send(k->tell_fd, WIRE_LEDGER, &m, sizeof(m)) < 0)
		return;
	k->told = k->status;
	k->told_ns = now.boot_ns;
}

static int answer(struct keeper *k, uint32_t number, int result, uint64_t seq, uint64_t t_real)
{
	struct wire_mark_answer m = {
	        .result = result, .number = number, .seq = seq, .t_real = t_real, .size = k->status.size};

	// The supervisor asks for one at a time, so there is room.
	wire_try_send(k->tell_fd, WIRE_MARK, &m, sizeof(m));
	return 0;
}

int keeper_mark(struct keeper *k, const struct wire_mark *m)
{
	uint64_t seq, t_real;
	int r;

	if (!k->opened || k->closed)
		return answer(k, m->number, -EAGAIN, 0, 0);
	if (!wire_text_ok(m->by, sizeof(m->by)) || !wire_text_ok(m->text, sizeof(m->text)) || !text_plain(m->text))
		return answer(k, m->number, -EINVAL, 0, 0);
	r = keeper_record_mark(k, m);
	seq = k->ledger.tree.size - 1;
	t_real = k->clock.last_real_ns;
	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0) {
		answer(k, m->number, r, 0, 0);
		return r;
	}
	k->status.marks++;
	keeper_tell(k, true);
	return answer(k, m->number, 0, seq, t_real);
}

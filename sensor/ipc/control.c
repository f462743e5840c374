// SPDX-License-Identifier: Apache-2.0
// The form of messages on a control socket. Pure: any bytes come in.
#include "sensor/ipc/control.h"

#include <string.h>

#include "sensor/evidence/ledger_line.h"

#define ENDS(field) (memchr((field), '\0', sizeof(field)) != NULL)

static bool header_ok(const struct control_header *h, size_t len)
{
	return len >= sizeof(*h) && h->magic == CONTROL_MAGIC && h->len == len && h->reserved == 0;
}

int control_request_check(const union control_request *m, size_t len)
{
	if (!header_ok(&m->h, len))
		return -EBADMSG;
	if (m->h.type == CONTROL_STATUS && len == sizeof(m->status))
		return CONTROL_STATUS;
	if (m->h.type == CONTROL_MARK && len == sizeof(m->mark) && ENDS(m->mark.text) && text_plain(m->mark.text))
		return CONTROL_MARK;
	return -EBADMSG;
}

static bool exports_ok(const struct control_run *r)
{
	if (r->exports > JOB_EXPORTS_MAX)
		return false;
	for (uint32_t i = 0; i < r->exports; i++)
		if (!ENDS(r->export[i].target) || !ENDS(r->export[i].progress.error))
			return false;
	return true;
}

static bool run_ok(const struct control_run *r)
{
	return r->state >= CONTROL_STARTING && r->state <= CONTROL_ENDING && r->lanes <= LANES_MAX &&
	       r->inspection.state < INSPECTION_STATES && ENDS(r->incident.kind) && ENDS(r->incident.detail) &&
	       ENDS(r->recording) && ENDS(r->sensor) && ENDS(r->reference) && ENDS(r->operator_name) &&
	       ENDS(r->driver) && exports_ok(r);
}

int control_answer_check(const union control_answer *m, size_t len)
{
	if (!header_ok(&m->h, len))
		return -EBADMSG;
	if (m->h.type == CONTROL_RUN && len == sizeof(m->run) && run_ok(&m->run))
		return CONTROL_RUN;
	if (m->h.type == CONTROL_LANE && len == sizeof(m->lane) && ENDS(m->lane.lane.interface) && ENDS(m->lane.source))
		return CONTROL_LANE;
	if (m->h.type == CONTROL_MARKED && len == sizeof(m->marked) && ENDS(m->marked.by))
		return CONTROL_MARKED;
	if (m->h.type == CONTROL_REFUSED && len == sizeof(m->refused))
		return CONTROL_REFUSED;
	return -EBADMSG;
}

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_pack.h"

#include <errno.h>
#include <string.h>

struct writer {
	uint8_t *texts;
	size_t used, room;
	int error;
};

#define TEXTS_MAX (5 + FLOW_TEXTS + FLOW_RISKS_MAX)

// All texts of a record, one after the other; returns how many there are.
static unsigned texts_of(struct flow_record *r, const char **ret_texts[TEXTS_MAX])
{
	const char **fixed[] = {&r->category, &r->confidence, &r->recording, &r->sensor, &r->complete};
	unsigned count = sizeof(fixed) / sizeof(*fixed);

	memcpy(ret_texts, fixed, sizeof(fixed));
	for (unsigned i = 0; i < FLOW_TEXTS; i++)
		ret_texts[count++] = &r->text[i];
	for (unsigned i = 0; i < r->risk_count; i++)
		ret_texts[count++] = &r->risks[i];
	return count;
}

// A text's place in the message, plus one; 0 stands for none.
static const char *put(struct writer *w, const char *text)
{
	size_t len, at = w->used;

	if (!text)
		return NULL;
	len = strlen(text) + 1;
	if (len > w->room - w->used) {
		w->error = -EMSGSIZE;
		return NULL;
	}
	memcpy(w->texts + at, text, len);
	w->used += len;
	return (const char *)(uintptr_t)(at + 1);
}

int flow_pack(const struct flow_record *record, uint8_t out[FLOW_PACKED_MAX])
{
	struct writer w = {.texts = out + sizeof(*record), .room = FLOW_PACKED_MAX - sizeof(*record)};
	struct flow_record r = *record;
	const char **texts[TEXTS_MAX];
	const unsigned count = texts_of(&r, texts);

	for (unsigned i = r.risk_count; i < FLOW_RISKS_MAX; i++)
		r.risks[i] = NULL;
	for (unsigned i = 0; i < count; i++)
		*texts[i] = put(&w, *texts[i]);
	if (w.error < 0)
		return w.error;
	memcpy(out, &r, sizeof(r));
	return (int)(sizeof(r) + w.used);
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool numbers_hold(const struct flow_record *r)
{
	return r->vlan_count <= FLOW_VLANS_MAX && (r->ip_version == 4 || r->ip_version == 6) &&
	       r->state < FLOW_STATES && r->reason < FLOW_REASONS && r->tunnel.kind < FLOW_TUNNEL_KINDS &&
	       r->risk_count <= FLOW_RISKS_MAX && r->segments_count <= FLOW_LANES_MAX &&
	       ends(r->community_id, sizeof(r->community_id)) && ends(r->app_proto, sizeof(r->app_proto)) &&
	       ends(r->app, sizeof(r->app)) && ends(r->app_number, sizeof(r->app_number));
}

int flow_unpack(const uint8_t *data, size_t len, struct flow_record *ret_record)
{
	struct flow_record *r = ret_record;
	const char *texts = (const char *)data + sizeof(*r), **text[TEXTS_MAX];
	unsigned count;
	size_t room;
	uint8_t flag;

	if (len < sizeof(*r) || len > FLOW_PACKED_MAX)
		return -EBADMSG;
	memcpy(r, data, sizeof(*r));
	memcpy(&flag, (const uint8_t *)r + offsetof(struct flow_record, segments_more), 1);
	room = len - sizeof(*r);
	if (flag > 1 || !numbers_hold(r) || (room > 0 && texts[room - 1] != '\0'))
		return -EBADMSG;
	count = texts_of(r, text);
	for (unsigned i = 0; i < count; i++) {
		const uintptr_t at = (uintptr_t)*text[i];

		if (at > room)
			return -EBADMSG;
		*text[i] = at ? texts + at - 1 : NULL;
	}
	for (unsigned i = 0; i < FLOW_RISKS_MAX; i++) {
		if (i >= r->risk_count)
			r->risks[i] = NULL;
		else if (!r->risks[i])
			return -EBADMSG;
	}
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/selection.h"

int selection_init(struct selection *s, const char *expression, struct error *e)
{
	*s = (struct selection){.to_ns = UINT64_MAX};
	return filter_new(expression, &s->filter, e);
}

void selection_release(struct selection *s)
{
	filter_free(s->filter);
	s->filter = NULL;
}

int selection_prepare(struct selection *s, uint32_t linktype, struct error *e)
{
	return s->filter ? filter_prepare(s->filter, (uint16_t)linktype, e) : 0;
}

bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns)
{
	return last_ns >= s->from_ns && first_ns <= s->to_ns;
}

bool selection_wants(const struct selection *s, uint32_t linktype, const struct commit_packet *packet)
{
	if (!selection_overlaps(s, packet->ts_ns, packet->ts_ns))
		return false;
	return !s->filter ||
	       filter_accepts(s->filter, (uint16_t)linktype, packet->data, packet->caplen, packet->origlen);
}

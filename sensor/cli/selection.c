// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/selection.h"

#include <string.h>
#include <sys/random.h>

int selection_set_expression(struct selection *s, const char *expression, struct error *e)
{
	index_terms_of_expression(expression, &s->derived);
	return filter_new(expression, &s->filter, e);
}

int selection_forget(struct selection *s)
{
	flow_set_free(s->set);
	s->set = NULL;
	return flow_set_new(s->seed, &s->set);
}

int selection_begin(struct selection *s, struct error *e)
{
	int r = 0;

	if (!flow_filter_asks_flows(&s->flows))
		return 0;
	if (getrandom(&s->seed, sizeof(s->seed), 0) != (ssize_t)sizeof(s->seed))
		return error_set(e, -errno, "no random numbers: %s", strerror(errno));
	if (flow_filter_asks_names(&s->flows))
		r = selection_forget(s);
	if (r == 0)
		r = packet_flows_new(s->seed, &s->packet_flows);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

void selection_release(struct selection *s)
{
	filter_free(s->filter);
	flow_set_free(s->set);
	packet_flows_free(s->packet_flows);
	s->filter = NULL;
	s->set = NULL;
	s->packet_flows = NULL;
}

int selection_prepare(struct selection *s, uint32_t linktype, struct error *e)
{
	return s->filter ? filter_prepare(s->filter, (uint16_t)linktype, e) : 0;
}

bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t first, last;

	if (last_ns < s->flows.from_ns || first_ns > s->flows.to_ns)
		return false;
	return !s->set || (flow_set_times(s->set, &first, &last) && last_ns >= first && first_ns <= last);
}

// --- by index

static bool may_have_fragment(const struct indexed_frame *frame)
{
	return indexed_frame_may_have(frame, KEY_OF_FRAGMENT);
}

static bool may_have_ends(const struct flow_filter *f, const struct indexed_frame *frame)
{
	bool id = f->community_id_count == 0;

	for (unsigned i = 0; i < f->host_count; i++) {
		const struct flow_filter_host *h = &f->hosts[i];

		if (h->bits == (h->ip_version == 4 ? 32 : 128) &&
		        !indexed_frame_may_have(frame, key_of_host(h->ip_version, h->address)))
			return false;
	}
	for (unsigned i = 0; i < f->port_count; i++)
		if (!indexed_frame_may_have(frame, key_of_port(f->ports[i])) && !may_have_fragment(frame))
			return false;
	for (unsigned i = 0; i < f->community_id_count; i++)
		id = id || indexed_frame_may_have(frame, key_of_community_id(f->community_ids[i]));
	return id || may_have_fragment(frame);
}

bool selection_may_want(const struct selection *s, const struct indexed_frame *frame)
{
	if (frame->packets == 0 || !selection_overlaps(s, frame->ts_min, frame->ts_max))
		return false;
	for (unsigned i = 0; i < s->derived.count; i++)
		if (!indexed_frame_may_have(frame, s->derived.key[i]))
			return false;
	return may_have_ends(&s->flows, frame) && (!s->set || flow_set_may_be_in(s->set, frame));
}

// --- packet by packet

// What is no IP packet has no flow and yet can have a host: ARP, and headers that contradict themselves, as libpcap
// reads them. Ports too, of the latter.
static bool wants_other(struct selection *s, uint32_t linktype, const struct commit_packet *packet)
{
	const struct flow_filter *f = &s->flows;
	uint64_t wanted[2 * FLOW_FILTER_EACH_MAX];
	unsigned count = 0, found = 0;

	if (s->set || f->proto_count > 0 || f->community_id_count > 0)
		return false;
	for (unsigned i = 0; i < f->host_count; i++) {
		if (f->hosts[i].bits != (f->hosts[i].ip_version == 4 ? 32 : 128))
			return false;
		wanted[count++] = key_of_host(f->hosts[i].ip_version, f->hosts[i].address);
	}
	for (unsigned i = 0; i < f->port_count; i++)
		wanted[count++] = key_of_port(f->ports[i]);
	packet_keys_make(linktype, packet->data, packet->caplen, packet->origlen, &s->keys);
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < s->keys.count; k++)
			found += s->keys.key[k] == wanted[i];
	return found == count;
}

static bool wants_flows(struct selection *s, uint32_t linktype, const struct commit_packet *packet)
{
	const struct packet_flows_seen *seen = packet_flows_of(
	        s->packet_flows, linktype, packet->data, packet->caplen, packet->origlen, packet->ts_ns);
	const bool by_ports = s->set || s->flows.port_count > 0 || s->flows.community_id_count > 0;
	bool wanted = false;

	if (seen->decoded.count == 0)
		return wants_other(s, linktype, packet);
	for (unsigned i = 0; i < seen->decoded.count; i++) {
		const struct decoded_flow *f = &seen->decoded.flows[i];
		struct flow_key key;
		bool wants = flow_filter_matches_packet(&s->flows, f);

		if (wants && s->set) {
			flow_key_make(f, &key);
			wants = flow_set_take(s->set, &key, packet->ts_ns);
		}
		s->left_out += wants && by_ports ? seen->before[i] : 0;
		wanted = wanted || wants;
	}
	return wanted;
}

bool selection_wants(struct selection *s, uint32_t linktype, const struct commit_packet *packet)
{
	// First, and of every packet: it remembers.
	if (s->packet_flows && !wants_flows(s, linktype, packet))
		return false;
	if (packet->ts_ns < s->flows.from_ns || packet->ts_ns > s->flows.to_ns)
		return false;
	return !s->filter ||
	       filter_accepts(s->filter, (uint16_t)linktype, packet->data, packet->caplen, packet->origlen);
}

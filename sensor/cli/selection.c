// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/selection.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/community_id.h"
#include "sensor/cli/quantity.h"

int selection_set_expression(struct selection *s, const char *expression, struct error *e)
{
	index_terms_of_expression(expression, &s->derived);
	return filter_new(expression, &s->filter, e);
}

void selection_release(struct selection *s)
{
	filter_free(s->filter);
	s->filter = NULL;
}

static int add(struct selection *s, uint64_t key, struct error *e)
{
	if (s->keys.count == INDEX_TERMS_MAX)
		return error_set(e, -EINVAL, "at most %u hosts, ports and flows together", INDEX_TERMS_MAX);
	s->keys.key[s->keys.count++] = key;
	return 0;
}

int selection_add_host(struct selection *s, const char *address, struct error *e)
{
	uint8_t addr[FLOW_ADDR_LEN] = {0};

	if (inet_pton(AF_INET, address, addr) == 1)
		return add(s, key_of_host(4, addr), e);
	if (inet_pton(AF_INET6, address, addr) == 1)
		return add(s, key_of_host(6, addr), e);
	return error_set(e, -EINVAL, "--host takes an IPv4 or IPv6 address, not \"%s\"", address);
}

int selection_add_port(struct selection *s, const char *port, struct error *e)
{
	uint64_t number;

	if (quantity_count(port, &number) < 0 || number > UINT16_MAX)
		return error_set(e, -EINVAL, "--port takes a number up to 65535, not \"%s\"", port);
	return add(s, key_of_port((uint16_t)number), e);
}

int selection_add_community_id(struct selection *s, const char *id, struct error *e)
{
	// "1:" and the Base64 of a SHA-1.
	if (strncmp(id, "1:", 2) != 0 || strlen(id) != 30)
		return error_set(e, -EINVAL, "--community-id takes a version 1 id such as 1:%s, not \"%s\"",
		        "wCb3OG7yAFWelaUydu0D+125CLM=", id);
	return add(s, key_of_community_id(id), e);
}

int selection_prepare(struct selection *s, uint32_t linktype, struct error *e)
{
	return s->filter ? filter_prepare(s->filter, (uint16_t)linktype, e) : 0;
}

bool selection_overlaps(const struct selection *s, uint64_t first_ns, uint64_t last_ns)
{
	return last_ns >= s->from_ns && first_ns <= s->to_ns;
}

static bool frame_has(const struct index_terms *terms, const struct indexed_frame *frame)
{
	for (unsigned i = 0; i < terms->count; i++)
		if (!indexed_frame_may_have(frame, terms->key[i]))
			return false;
	return true;
}

bool selection_may_want(const struct selection *s, const struct indexed_frame *frame)
{
	return frame->packets > 0 && selection_overlaps(s, frame->ts_min, frame->ts_max) &&
	       frame_has(&s->keys, frame) && frame_has(&s->derived, frame);
}

static bool packet_has(const struct packet_keys *packet, uint64_t key)
{
	for (unsigned i = 0; i < packet->count; i++)
		if (packet->key[i] == key)
			return true;
	for (unsigned i = 0; i < packet->decoded.count; i++) {
		char id[COMMUNITY_ID_MAX];
		struct flow_key flow;

		flow_key_make(&packet->decoded.flows[i], &flow);
		community_id(&flow, id);
		if (key_of_community_id(id) == key)
			return true;
	}
	return false;
}

bool selection_wants(struct selection *s, uint32_t linktype, const struct commit_packet *packet)
{
	if (!selection_overlaps(s, packet->ts_ns, packet->ts_ns))
		return false;
	if (s->filter && !filter_accepts(s->filter, (uint16_t)linktype, packet->data, packet->caplen, packet->origlen))
		return false;
	if (s->keys.count == 0)
		return true;
	packet_keys_make(linktype, packet->data, packet->caplen, packet->origlen, &s->packet);
	for (unsigned i = 0; i < s->keys.count; i++)
		if (!packet_has(&s->packet, s->keys.key[i]))
			return false;
	return true;
}

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_meter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/community_id.h"
#include "analyzers/fragment_table.h"
#include "analyzers/tcp_gap.h"

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_ICMPV6 58

#define LINKTYPE_ETHERNET 1

#define TELL_AGAIN 64u // packets of a flow

struct flow_meter {
	struct flow_meter_config config;
	struct flow_table *table;
	struct fragment_table *fragments;
	struct dpi *dpi; // NULL: none
	struct tcp_gaps *gaps;
	struct flow_meter_stats stats;
	struct decoded decoded;
	struct flow_cutoff cutoff;
};

static void describe_tunnel(const struct flow *f, struct flow_record *r)
{
	r->tunnel.kind = f->key.tunnel & 15;
	r->tunnel.depth = f->key.tunnel >> 4;
	if (r->tunnel.kind == FLOW_TUNNEL_NONE)
		return;
	r->groups |= FLOW_GROUP_TUNNEL;
	r->tunnel.id = f->tunnel_id;
	r->tunnel.ip_version = f->tunnel_ip_version;
	memcpy(r->tunnel.src, f->tunnel_src, FLOW_ADDR_LEN);
	memcpy(r->tunnel.dest, f->tunnel_dest, FLOW_ADDR_LEN);
}

static void describe_tcp(const struct flow *f, const struct tcp_gap *gap, struct flow_record *r)
{
	r->groups |= FLOW_GROUP_TCP;
	memcpy(r->tcp_flags, f->tcp_flags, sizeof(r->tcp_flags));
	r->tcp_flags_both = r->tcp_flags[0] | r->tcp_flags[1];
	for (unsigned d = 0; gap && d < FLOW_DIRECTIONS; d++, gap++) {
		if (!gap->seen) {
			r->unseen_bytes[d] = gap->acked_bytes;
			continue;
		}
		r->acked_bytes[d] = gap->acked_bytes;
		r->missed_bytes[d] = gap->missed_bytes;
		r->gaps[d] = gap->gaps;
		r->has_gaps |= gap->gaps > 0 ? (uint8_t)(1u << d) : 0;
	}
}

static void describe(const struct flow *f, const struct tcp_gap *gap, enum flow_reason reason, struct flow_record *r)
{
	memset(r, 0, sizeof(*r));
	r->start_ns = f->start_ns;
	r->end_ns = f->last_ns;
	r->age_s = f->last_ns > f->start_ns ? (f->last_ns - f->start_ns) / 1000000000 : 0;
	memcpy(r->pkts, f->pkts, sizeof(r->pkts));
	memcpy(r->bytes, f->bytes, sizeof(r->bytes));
	memcpy(r->ip_bytes, f->ip_bytes, sizeof(r->ip_bytes));
	memcpy(r->src, f->key.addr[f->source], FLOW_ADDR_LEN);
	memcpy(r->dest, f->key.addr[!f->source], FLOW_ADDR_LEN);
	memcpy(r->vlan, f->key.vlan, sizeof(r->vlan));
	r->vlan_count = f->vlan_count;
	r->ip_version = f->key.ip_version;
	r->proto = f->key.proto;
	r->state = (uint8_t)flow_state_of(f);
	r->reason = (uint8_t)reason;
	r->cut = f->cut;
	if (r->proto == PROTO_ICMP || r->proto == PROTO_ICMPV6) {
		r->groups |= f->has_ports ? FLOW_GROUP_ICMP : 0;
		r->icmp_type = f->icmp_type;
		r->icmp_code = f->icmp_code;
	} else if (f->has_ports) {
		r->groups |= FLOW_GROUP_PORTS;
		r->src_port = f->key.port[f->source];
		r->dest_port = f->key.port[!f->source];
	}
	if (r->proto == PROTO_TCP)
		describe_tcp(f, gap, r);
	describe_tunnel(f, r);
	community_id(&f->key, r->community_id);
	r->segments_count = f->segments_count;
	r->segments_more = f->segments_more;
	memcpy(r->segments, f->segments, sizeof(r->segments));
}

static void flow_ended(void *user, struct flow *f, enum flow_reason reason)
{
	struct flow_meter *m = user;
	struct flow_record record;

	describe(f, tcp_gap_of(m->gaps, f->gap), reason, &record);
	if (m->dpi) {
		if (reason != FLOW_REASON_ACTIVE_TIMEOUT)
			dpi_finish(m->dpi, f);
		dpi_describe(m->dpi, f, &record);
	}
	m->stats.records++;
	m->config.record(m->config.user, &record);
	if (reason == FLOW_REASON_ACTIVE_TIMEOUT) {
		tcp_gap_next_record(m->gaps, f->gap);
		return;
	}
	tcp_gap_end(m->gaps, &f->gap);
	if (m->dpi)
		dpi_forget(m->dpi, f);
}

int flow_meter_new(const struct flow_meter_config *config, struct flow_meter **ret_meter)
{
	struct flow_meter *m = calloc(1, sizeof(*m));
	struct flow_table_config table = {.flows_max = config->flows_max,
	        .seed = config->seed,
	        .idle_tcp_ns = config->idle_tcp_ns,
	        .idle_other_ns = config->idle_other_ns,
	        .close_ns = config->close_ns,
	        .active_ns = config->active_ns,
	        .ended = flow_ended,
	        .user = m};
	int r;

	if (!m)
		return -ENOMEM;
	m->config = *config;
	r = flow_table_new(&table, &m->table);
	if (r == 0)
		r = fragment_table_new(config->seed, &m->fragments);
	if (r == 0)
		r = tcp_gaps_new(config->flows_max, &m->gaps);
	if (r == 0 && config->dpi)
		r = dpi_new(&config->dpi_config, &m->dpi);
	if (r < 0) {
		flow_meter_free(m);
		return r;
	}
	*ret_meter = m;
	return 0;
}

void flow_meter_free(struct flow_meter *m)
{
	if (!m)
		return;
	dpi_free(m->dpi);
	tcp_gaps_free(m->gaps);
	fragment_table_free(m->fragments);
	flow_table_free(m->table);
	free(m);
}

static void lost(struct flow_meter *m, const struct fragment_waiting *waiting)
{
	enum flow_direction direction;

	m->stats.fragments_lost += waiting->arrival.pkts;
	flow_table_add(m->table, &waiting->packet, &waiting->arrival, &direction);
}

static struct flow *add(struct flow_meter *m, struct decoded_flow *p, const struct flow_arrival *arrival)
{
	struct fragment_waiting forgotten;
	struct flow_arrival before;
	bool has_forgotten = false, has_before = false;
	enum flow_direction direction;
	struct flow *f;

	if (p->fragment_first)
		has_before = fragment_table_first(m->fragments, p, arrival->ts_ns, &before, &forgotten, &has_forgotten);
	else if (p->fragment &&
	         fragment_table_next(m->fragments, p, arrival, &forgotten, &has_forgotten) == FRAGMENT_WAITS)
		p = NULL;
	if (has_forgotten)
		lost(m, &forgotten);
	if (!p)
		return NULL;
	f = flow_table_add(m->table, p, arrival, &direction);
	if (has_before)
		flow_table_credit(f, direction, &before);
	if (has_before && m->config.fragments_before)
		m->config.fragments_before(m->config.user, p, arrival->ts_ns, before.ts_ns);
	// Beyond the cutoff frames are missing on purpose.
	if (p->proto == PROTO_TCP && !f->cut && (!p->fragment || p->fragment_first))
		tcp_gap_packet(m->gaps, &f->gap, direction, f->tcp_flags, p);
	if (m->dpi && (!p->fragment || p->fragment_first))
		dpi_packet(m->dpi, f, p->l3, p->l3_len, arrival->ts_ns);
	return f;
}

void flow_meter_cutoff(struct flow_meter *m, const struct flow_cutoff *cutoff)
{
	m->cutoff = *cutoff;
}

// Whether the flow has a cutoff, as far as is known; tells of it.
static bool has_cutoff(struct flow_meter *m, struct flow *f, const struct shunt_key *key, uint64_t ns)
{
	if (!m->cutoff.apps)
		return true;
	if (!f->app_done || f->app_guessed || f->cut_not || !app_set_has(m->cutoff.apps, f))
		return false;
	if (m->cutoff.tell && ns >= f->start_ns + m->cutoff.tell_ns &&
	        (!f->cut_told || (f->pkts[0] + f->pkts[1]) % TELL_AGAIN == 0))
		f->cut_told = m->cutoff.tell(m->config.user, key, ns);
	return true;
}

// Counts what was recorded of the flow as the recorder did.
static void follow_cutoff(struct flow_meter *m, struct flow *f, const struct metered_packet *packet)
{
	struct shunt_flow counted = {f->cut_bytes, packet->ts_ns}; // after a silence it is another flow here
	struct shunt_frame frame;

	if (packet->linktype != LINKTYPE_ETHERNET ||
	        !shunt_read(packet->data, packet->data + packet->caplen, 0, 0, &frame))
		return;
	if (shunt_begins(&counted, &frame, packet->ts_ns)) {
		f->cut_bytes = 0;
		f->cut_not = f->app_done; // a SYN that is sent again comes before anything is settled
	}
	f->cut_bytes += packet->origlen;
	if (has_cutoff(m, f, &frame.key, packet->ts_ns) && f->cut_bytes >= m->cutoff.bytes)
		f->cut = 1;
}

void flow_meter_packet(struct flow_meter *m, const struct metered_packet *packet)
{
	decode_packet(packet->linktype, packet->data, packet->caplen, packet->origlen, &m->decoded);
	flow_meter_decoded(m, packet, &m->decoded);
}

void flow_meter_decoded(struct flow_meter *m, const struct metered_packet *packet, struct decoded *d)
{
	m->stats.packets++;
	switch (d->end) {
	case DECODE_IP:
		m->stats.ip++;
		break;
	case DECODE_NOT_IP:
		m->stats.not_ip++;
		break;
	case DECODE_LINK_UNKNOWN:
		m->stats.link_unknown++;
		break;
	case DECODE_MALFORMED:
		m->stats.malformed++;
		break;
	}
	m->stats.inner_malformed += d->inner_malformed;
	m->stats.inner += d->count > 0 ? d->count - 1 : 0;
	for (unsigned i = 0; i < d->count; i++) {
		struct flow *f;
		struct flow_arrival arrival = {.ts_ns = packet->ts_ns,
		        .pkts = 1,
		        .bytes = d->flows[i].bytes,
		        .ip_bytes = d->flows[i].ip_bytes,
		        .lane = packet->lane,
		        .segment = packet->segment};

		f = add(m, &d->flows[i], &arrival);
		if (i == 0 && f && m->cutoff.bytes)
			follow_cutoff(m, f, packet);
	}
}

void flow_meter_tick(struct flow_meter *m, uint64_t ts_ns)
{
	flow_table_tick(m->table, ts_ns);
}

void flow_meter_end(struct flow_meter *m)
{
	struct fragment_waiting waiting;

	while (fragment_table_drain(m->fragments, &waiting))
		lost(m, &waiting);
	flow_table_end(m->table);
}

void flow_meter_stats(const struct flow_meter *m, struct flow_meter_stats *ret_stats)
{
	*ret_stats = m->stats;
	flow_table_stats(m->table, &ret_stats->table);
	tcp_gaps_stats(m->gaps, &ret_stats->gap);
	if (m->dpi)
		dpi_stats(m->dpi, &ret_stats->dpi);
}

void flow_meter_stats_add(struct flow_meter_stats *sum, const struct flow_meter_stats *more)
{
	uint64_t to[sizeof(*sum) / sizeof(uint64_t)], from[sizeof(*sum) / sizeof(uint64_t)];

	_Static_assert(sizeof(to) == sizeof(*sum), "every member is a uint64_t");
	memcpy(to, sum, sizeof(to));
	memcpy(from, more, sizeof(from));
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		to[i] += from[i];
	memcpy(sum, to, sizeof(to));
}

struct dpi *flow_meter_dpi(struct flow_meter *m)
{
	return m->dpi;
}

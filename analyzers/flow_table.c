// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/timer_wheel.h"

#define PROTO_TCP 6

struct flow_table {
	struct flow_table_config config;
	struct flow *flows;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t fresh;  // first that was never used
	uint32_t unused; // list of those that were, by hash_next
	uint32_t lru_oldest, lru_newest;
	struct timer_wheel wheel;
	struct flow_table_stats stats;
};

int flow_table_new(const struct flow_table_config *config, struct flow_table **ret_table)
{
	struct flow_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = 1024;

	if (!t)
		return -ENOMEM;
	t->config = *config;
	if (t->config.flows_max == 0)
		t->config.flows_max = 1;
	while (buckets < t->config.flows_max && buckets < (1u << 30))
		buckets *= 2;
	t->flows = calloc(t->config.flows_max, sizeof(*t->flows)); // pages come when they are touched
	t->buckets = malloc(buckets * sizeof(*t->buckets));
	if (!t->flows || !t->buckets) {
		flow_table_free(t);
		return -ENOMEM;
	}
	memset(t->buckets, 0xff, buckets * sizeof(*t->buckets));
	t->bucket_mask = buckets - 1;
	t->unused = t->lru_oldest = t->lru_newest = FLOW_NONE;
	timer_wheel_init(&t->wheel);
	*ret_table = t;
	return 0;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	free(t->flows);
	free(t->buckets);
	free(t);
}

static struct flow *at(struct flow_table *t, uint32_t index)
{
	return &t->flows[index];
}

static uint32_t index_of(const struct flow_table *t, const struct flow *f)
{
	return (uint32_t)(f - t->flows);
}

static void lru_remove(struct flow_table *t, struct flow *f)
{
	*(f->lru_prev == FLOW_NONE ? &t->lru_oldest : &at(t, f->lru_prev)->lru_next) = f->lru_next;
	*(f->lru_next == FLOW_NONE ? &t->lru_newest : &at(t, f->lru_next)->lru_prev) = f->lru_prev;
}

static void lru_append(struct flow_table *t, struct flow *f)
{
	const uint32_t index = index_of(t, f);

	f->lru_prev = t->lru_newest;
	f->lru_next = FLOW_NONE;
	*(t->lru_newest == FLOW_NONE ? &t->lru_oldest : &at(t, t->lru_newest)->lru_next) = index;
	t->lru_newest = index;
}

static uint64_t idle_ns(const struct flow_table *t, const struct flow *f)
{
	if (f->closed)
		return t->config.close_ns;
	return f->key.proto == PROTO_TCP ? t->config.idle_tcp_ns : t->config.idle_other_ns;
}

// The tick at which it will have been idle for its time; FLOW_NONE: never.
static uint32_t due(const struct flow_table *t, const struct flow *f)
{
	const uint64_t idle = idle_ns(t, f);
	uint64_t tick;

	if (idle == 0)
		return FLOW_NONE;
	// Two more, so that packets a little out of order find it.
	tick = f->last_tick + idle / TIMER_TICK_NS + 2;
	return tick < FLOW_NONE ? (uint32_t)tick : FLOW_NONE - 1;
}

static void schedule(struct flow_table *t, struct flow *f)
{
	const uint32_t when = due(t, f);

	if (when != FLOW_NONE)
		timer_wheel_insert(&t->wheel, t->flows, index_of(t, f), when);
}

static void end(struct flow_table *t, struct flow *f, enum flow_reason reason)
{
	uint32_t *link = &t->buckets[f->hash & t->bucket_mask];

	t->config.ended(t->config.user, f, reason);
	t->stats.ended[reason]++;
	t->stats.now--;
	while (*link != index_of(t, f))
		link = &at(t, *link)->hash_next;
	*link = f->hash_next;
	lru_remove(t, f);
	timer_wheel_remove(&t->wheel, t->flows, index_of(t, f));
	f->hash_next = t->unused;
	t->unused = index_of(t, f);
}

static void expire(struct flow_table *t)
{
	uint32_t index, next;

	for (uint32_t list; timer_wheel_due(&t->wheel, t->flows, &list);) {
		for (index = list; index != FLOW_NONE; index = next) {
			struct flow *f = at(t, index);

			next = f->wheel_next;
			f->wheel_slot = FLOW_NONE;
			if (due(t, f) <= t->wheel.now)
				end(t, f, FLOW_REASON_TIMEOUT);
			else
				schedule(t, f);
		}
	}
}

static struct flow *find(struct flow_table *t, const struct flow_key *key, uint32_t hash)
{
	for (uint32_t i = t->buckets[hash & t->bucket_mask]; i != FLOW_NONE; i = at(t, i)->hash_next)
		if (at(t, i)->hash == hash && flow_key_equal(&at(t, i)->key, key))
			return at(t, i);
	return NULL;
}

static struct flow *begin(struct flow_table *t, const struct flow_key *key, uint32_t hash)
{
	struct flow *f;
	uint32_t index;

	if (t->unused == FLOW_NONE && t->fresh == t->config.flows_max)
		end(t, at(t, t->lru_oldest), FLOW_REASON_FORCED);
	if (t->unused != FLOW_NONE) {
		index = t->unused;
		t->unused = at(t, index)->hash_next;
	} else {
		index = t->fresh++;
	}
	f = at(t, index);
	memset(f, 0, sizeof(*f));
	f->key = *key;
	f->hash = hash;
	f->hash_next = t->buckets[hash & t->bucket_mask];
	f->wheel_slot = f->app_state = FLOW_NONE;
	t->buckets[hash & t->bucket_mask] = index;
	lru_append(t, f);
	t->stats.begun++;
	t->stats.now++;
	if (t->stats.now > t->stats.now_max)
		t->stats.now_max = t->stats.now;
	return f;
}

static void describe(struct flow *f, const struct decoded_flow *p, unsigned source)
{
	// An answer to an opening that was not seen: the sender is the server.
	if (p->proto == PROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		source = !source;
	f->source = (uint8_t)source;
	f->vlan_count = p->vlan_count;
	f->has_ports = p->has_ports;
	f->icmp_type = p->icmp_type;
	f->icmp_code = p->icmp_code;
	f->tunnel_id = p->tunnel.id;
	f->tunnel_ip_version = p->tunnel.ip_version;
	memcpy(f->tunnel_src, p->tunnel.src, FLOW_ADDR_LEN);
	memcpy(f->tunnel_dest, p->tunnel.dest, FLOW_ADDR_LEN);
}

static void reset_counts(struct flow *f)
{
	f->start_ns = 0;
	memset(f->pkts, 0, sizeof(f->pkts));
	memset(f->bytes, 0, sizeof(f->bytes));
	memset(f->ip_bytes, 0, sizeof(f->ip_bytes));
	f->segments_count = 0;
	f->segments_more = 0;
}

// Whether this packet still belongs to the flow; when not, its record is made.
static bool goes_on(struct flow_table *t, struct flow *f, const struct decoded_flow *p, uint64_t ts_ns)
{
	const uint64_t idle = idle_ns(t, f), quiet = ts_ns > f->last_ns ? ts_ns - f->last_ns : 0;

	if (idle != 0 && quiet >= idle) {
		end(t, f, FLOW_REASON_TIMEOUT);
		return false;
	}
	if ((f->closed || f->cut) && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		end(t, f, FLOW_REASON_TCP_REUSE);
		return false;
	}
	if (t->config.active_ns != 0 && ts_ns > f->start_ns && ts_ns - f->start_ns >= t->config.active_ns) {
		t->config.ended(t->config.user, f, FLOW_REASON_ACTIVE_TIMEOUT);
		t->stats.ended[FLOW_REASON_ACTIVE_TIMEOUT]++;
		t->stats.begun++;
		reset_counts(f);
	}
	return true;
}

static void touch_segment(struct flow *f, uint32_t lane, uint32_t segment)
{
	for (unsigned i = 0; i < f->segments_count; i++) {
		struct flow_segments *s = &f->segments[i];

		if (s->lane == lane) {
			s->first = segment < s->first ? segment : s->first;
			s->last = segment > s->last ? segment : s->last;
			return;
		}
	}
	if (f->segments_count == FLOW_LANES_MAX)
		f->segments_more = 1;
	else
		f->segments[f->segments_count++] = (struct flow_segments){lane, segment, segment};
}

void flow_table_credit(struct flow *f, enum flow_direction direction, const struct flow_arrival *a)
{
	const bool first = f->pkts[0] + f->pkts[1] == 0;

	if (first || a->ts_ns < f->start_ns)
		f->start_ns = a->ts_ns;
	if (a->ts_ns > f->last_ns || first)
		f->last_ns = a->ts_ns;
	f->pkts[direction] += a->pkts;
	f->bytes[direction] += a->bytes;
	f->ip_bytes[direction] += a->ip_bytes;
	touch_segment(f, a->lane, a->segment);
}

static void follow_tcp(struct flow *f, const struct decoded_flow *p, enum flow_direction direction)
{
	f->tcp_flags[direction] |= p->tcp_flags;
	if ((p->tcp_flags & TCP_RST) || (f->tcp_flags[0] & f->tcp_flags[1] & TCP_FIN))
		f->closed = 1;
}

struct flow *flow_table_add(struct flow_table *t, const struct decoded_flow *packet, const struct flow_arrival *arrival,
        enum flow_direction *ret_direction)
{
	struct flow_key key;
	const unsigned source = flow_key_make(packet, &key);
	const uint32_t hash = flow_key_hash(&key, t->config.seed);
	enum flow_direction direction;
	struct flow *f;

	timer_wheel_clock(&t->wheel, arrival->ts_ns);
	expire(t);
	f = find(t, &key, hash);
	if (f && !goes_on(t, f, packet, arrival->ts_ns))
		f = NULL;
	if (!f) {
		f = begin(t, &key, hash);
		describe(f, packet, source);
	} else {
		lru_remove(t, f);
		lru_append(t, f);
	}
	direction = source == f->source ? FLOW_TO_SERVER : FLOW_TO_CLIENT;
	flow_table_credit(f, direction, arrival);
	f->last_tick = t->wheel.now;
	if (packet->proto == PROTO_TCP) {
		const bool open = !f->closed;

		follow_tcp(f, packet, direction);
		// The only way in which a flow's time gets shorter.
		if (f->closed && open)
			timer_wheel_remove(&t->wheel, t->flows, index_of(t, f));
	}
	if (f->wheel_slot == FLOW_NONE)
		schedule(t, f);
	*ret_direction = direction;
	return f;
}

void flow_table_tick(struct flow_table *t, uint64_t ts_ns)
{
	if (!t->wheel.started || ts_ns <= t->wheel.latest_ns)
		return;
	timer_wheel_clock(&t->wheel, ts_ns);
	expire(t);
}

void flow_table_end(struct flow_table *t)
{
	while (t->lru_oldest != FLOW_NONE)
		end(t, at(t, t->lru_oldest), FLOW_REASON_SHUTDOWN);
}

void flow_table_stats(const struct flow_table *t, struct flow_table_stats *ret_stats)
{
	*ret_stats = t->stats;
}

enum flow_state flow_state_of(const struct flow *f)
{
	if (f->closed)
		return FLOW_CLOSED;
	if (f->key.proto == PROTO_TCP)
		return f->tcp_flags[0] & f->tcp_flags[1] & TCP_ACK ? FLOW_ESTABLISHED : FLOW_NEW;
	return f->pkts[0] > 0 && f->pkts[1] > 0 ? FLOW_ESTABLISHED : FLOW_NEW;
}

// SPDX-License-Identifier: Apache-2.0
// Section 2.3: the law of counters and how they may grow.
#include "sensor/evidence/reader/verify_state.h"

bool counters_lawful(const struct counters *c, bool shunts)
{
	uint64_t sum = 0;
	bool over = __builtin_add_overflow(sum, c->recorded, &sum);

	over = __builtin_add_overflow(sum, c->filtered, &sum) || over;
	over = __builtin_add_overflow(sum, c->out_of_scope, &sum) || over;
	over = __builtin_add_overflow(sum, c->shunted, &sum) || over;
	for (int i = 0; i < DROP_CAUSES; i++)
		over = __builtin_add_overflow(sum, c->dropped[i], &sum) || over;
	if (c->driver_mask & COUNTERS_XDP) {
		uint64_t lost = 0;

		for (int i = 0; i < XSK_LOSSES; i++)
			over = __builtin_add_overflow(lost, c->xsk[i], &lost) || over;
		if (!(c->driver_mask & COUNTERS_DRIVER_DROPPED) || lost != c->driver_dropped)
			return false;
	}
	// out_of_scope is 0 in this issue.
	return !over && sum == c->received && c->out_of_scope == 0 && (shunts || c->shunted == 0);
}

bool counters_equal(const struct counters *a, const struct counters *b)
{
	bool same = a->received == b->received && a->recorded == b->recorded && a->filtered == b->filtered &&
	            a->out_of_scope == b->out_of_scope && a->shunted == b->shunted &&
	            a->driver_mask == b->driver_mask && a->driver_received == b->driver_received &&
	            a->driver_dropped == b->driver_dropped;

	for (int i = 0; i < DROP_CAUSES; i++)
		same = same && a->dropped[i] == b->dropped[i];
	for (int i = 0; i < NIC_COUNTERS; i++)
		same = same && a->nic[i] == b->nic[i];
	for (int i = 0; i < XSK_COUNTERS; i++)
		same = same && a->xsk[i] == b->xsk[i];
	return same;
}

bool counters_zero(const struct counters *c)
{
	struct counters zero = {.driver_mask = c->driver_mask};

	return counters_equal(c, &zero);
}

const char *counters_decrease(const struct counters *a, const struct counters *b)
{
	uint64_t both = a->driver_mask & b->driver_mask;

	if (b->received < a->received)
		return "received";
	if (b->recorded < a->recorded)
		return "recorded";
	if (b->filtered < a->filtered)
		return "filtered";
	if (b->shunted < a->shunted)
		return "shunted";
	for (int i = 0; i < DROP_CAUSES; i++)
		if (b->dropped[i] < a->dropped[i])
			return drop_cause_names[i];
	if ((both & COUNTERS_DRIVER_RECEIVED) && b->driver_received < a->driver_received)
		return "driver.received";
	if ((both & COUNTERS_DRIVER_DROPPED) && b->driver_dropped < a->driver_dropped)
		return "driver.dropped";
	for (int i = 0; i < NIC_COUNTERS && (both & COUNTERS_NIC); i++)
		if (b->nic[i] < a->nic[i])
			return nic_counter_names[i];
	for (int i = 0; i < XSK_COUNTERS && (both & COUNTERS_XDP); i++)
		if (b->xsk[i] < a->xsk[i])
			return xsk_counter_names[i];
	return NULL;
}

static void add_saturating(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

void counters_add(struct counters *sum, const struct counters *c)
{
	add_saturating(&sum->received, c->received);
	add_saturating(&sum->recorded, c->recorded);
	add_saturating(&sum->filtered, c->filtered);
	add_saturating(&sum->out_of_scope, c->out_of_scope);
	add_saturating(&sum->shunted, c->shunted);
	for (int i = 0; i < DROP_CAUSES; i++)
		add_saturating(&sum->dropped[i], c->dropped[i]);
	add_saturating(&sum->driver_received, c->driver_received);
	add_saturating(&sum->driver_dropped, c->driver_dropped);
	for (int i = 0; i < NIC_COUNTERS; i++)
		add_saturating(&sum->nic[i], c->nic[i]);
	for (int i = 0; i < XSK_COUNTERS; i++)
		add_saturating(&sum->xsk[i], c->xsk[i]);
	sum->driver_mask |= c->driver_mask;
}

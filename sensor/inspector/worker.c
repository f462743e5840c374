// SPDX-License-Identifier: Apache-2.0
#include "sensor/inspector/worker.h"

#include <string.h>
#include <unistd.h>

#include "analyzers/flow_share.h"
#include "sealtap/block.h"

#define LOOK_MS 500
#define ORPHAN_LOOKS 20 // looks without a loan, and without a supervisor, until the end

void worker_record(void *user, const struct flow_record *record)
{
	struct worker *w = user;

	teller_record(&w->teller, record);
}

bool worker_claim(void *user, const struct shunt_key *key, uint64_t ns)
{
	struct worker *w = user;
	const struct inspection *i = w->inspection;
	struct loan_claims *to = &i->reply->claims[w->index];
	const uint32_t told = atomic_load_explicit(&to->told, memory_order_relaxed);

	// Acquire: what was there before has been read (pairs with the release in claims_carry).
	if (told - atomic_load_explicit(&i->loans->heard[w->index], memory_order_acquire) >= LOAN_CLAIMS)
		return false;
	to->ring[told & (LOAN_CLAIMS - 1)] = (struct loan_claim){.key = *key, .ns = ns};
	// Release: it is written (pairs with the acquire in claims_carry).
	atomic_store_explicit(&to->told, told + 1, memory_order_release);
	return true;
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static void inspect_packet(struct worker *w, const struct metered_packet *p)
{
	const struct inspection *i = w->inspection;

	decode_packet(p->linktype, p->data, p->caplen, p->origlen, &w->decoded);
	if (flow_share(&w->decoded, i->workers, i->seed) == w->index)
		flow_meter_decoded(w->meter, p, &w->decoded);
}

// The recorder wrote these EPBs; that they lie within the block is checked all the same.
static void inspect_block(struct worker *w, const struct loan *loan)
{
	const uint8_t *data = w->inspection->data + (size_t)loan->block * BLOCK_BYTES;

	if (loan->block >= w->inspection->blocks || loan->bytes > BLOCK_BYTES)
		return;
	for (uint32_t at = 0; loan->bytes - at >= EPB_FIXED + 4;) {
		const uint32_t total = get32(data + at + 4), caplen = get32(data + at + 20);

		if (total > loan->bytes - at || total < EPB_FIXED + 4 || caplen > total - EPB_FIXED - 4)
			return;
		inspect_packet(w, &(struct metered_packet){.data = data + at + EPB_FIXED,
		                          .caplen = caplen,
		                          .origlen = get32(data + at + 24),
		                          .linktype = loan->linktype,
		                          .ts_ns = (uint64_t)get32(data + at + 12) << 32 | get32(data + at + 16),
		                          .lane = loan->lane,
		                          .segment = loan->segment});
		at += total;
	}
}

// The first worker tells the order: it is the same for all.
static void tell_order(struct worker *w, const struct loan *loan)
{
	const struct inspected entry = {.kind = loan->kind == LOAN_TICK ? INSPECTED_TICK : INSPECTED_FRAME,
	        .lane = loan->lane,
	        .segment = loan->segment,
	        .frame = loan->frame,
	        .ns = loan->ns};

	if (w->index == 0)
		teller_order(&w->teller, &entry);
}

static void show(struct worker *w)
{
	struct loan_worker *out = &w->inspection->reply->worker[w->index];
	struct flow_meter_stats stats;

	flow_meter_stats(w->meter, &stats);
	atomic_store_explicit(&out->packets, stats.packets, memory_order_relaxed);
	atomic_store_explicit(&out->flows, stats.table.now, memory_order_relaxed);
	atomic_store_explicit(&out->flows_forced, stats.table.ended[FLOW_REASON_FORCED], memory_order_relaxed);
	atomic_store_explicit(&out->acked_bytes, stats.gap.acked_bytes, memory_order_relaxed);
	atomic_store_explicit(&out->missed_bytes, stats.gap.missed_bytes, memory_order_relaxed);
	atomic_store_explicit(&out->records, w->teller.records, memory_order_relaxed);
	atomic_store_explicit(&out->records_lost, w->teller.lost, memory_order_relaxed);
}

// True: go on.
static bool take_loans(struct worker *w)
{
	const struct inspection *i = w->inspection;
	// Acquire: the loans before it are whole, and so are their blocks (pairs with the lender's release).
	const uint32_t tail = atomic_load_explicit(&i->loans->tail, memory_order_acquire);

	while (w->next != tail && atomic_load(&i->loans->ending) != LOAN_ENDS_NOW) {
		const struct loan loan = i->loans->ring[w->next & (LOANS_MAX - 1)];

		if (loan.kind == LOAN_BLOCK)
			inspect_block(w, &loan);
		else
			flow_meter_tick(w->meter, loan.ns);
		tell_order(w, &loan);
		w->next++;
		// Release: the block was read (pairs with the lender's acquire).
		atomic_store_explicit(&i->reply->worker[w->index].done, w->next, memory_order_release);
		show(w);
	}
	if (atomic_load(&i->loans->attached) != i->inspector || atomic_load(&i->loans->ending) == LOAN_ENDS_NOW)
		return false;
	return atomic_load(&i->loans->ending) == LOAN_GOES_ON ||
	       w->next != atomic_load_explicit(&i->loans->tail, memory_order_acquire);
}

// Until the recorder lends to this one.
static bool wait_for_loans(struct worker *w)
{
	const struct inspection *i = w->inspection;

	for (;;) {
		uint32_t bell = loans_bell(i->loans);

		if (atomic_load(&i->loans->attached) == i->inspector)
			break;
		if (getppid() != i->parent)
			return false;
		loans_wait(i->loans, bell, LOOK_MS);
	}
	w->next = atomic_load(&i->loans->first);
	atomic_store(&i->reply->worker[w->index].done, w->next);
	return true;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	const struct inspection *i = w->inspection;
	unsigned alone = 0;

	if (!wait_for_loans(w))
		return NULL;
	if (w->index == 0)
		teller_order(
		        &w->teller, &(struct inspected){.kind = INSPECTED_START, .lane = i->workers, .ns = i->seed});
	for (;;) {
		uint32_t bell = loans_bell(i->loans), before = w->next;

		if (!take_loans(w))
			break;
		teller_flush(&w->teller);
		alone = before == w->next && getppid() != i->parent ? alone + 1 : 0;
		if (alone == ORPHAN_LOOKS)
			break;
		loans_wait(i->loans, bell, LOOK_MS);
	}
	flow_meter_end(w->meter);
	show(w);
	teller_flush(&w->teller);
	return NULL;
}

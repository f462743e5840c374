// SPDX-License-Identifier: Apache-2.0
// The lender against whatever an inspector may write into its reply, between any calls of the recorder and the
// supervisor: each block comes back exactly once, and from an inspector that borrows not before all its workers say
// that they are through with it and none says what cannot be; at most a quarter of each RX thread's blocks is on loan,
// no refused inspector is lent anything, and when there is none, all comes back. Of claims none comes that was not
// told, and whoever tells more than there is room for is refused.
//
// Input: a byte of settings, then commands of a byte, of which some take bytes of their own.
#include "sealtap/block.h"
#include "sensor/recorder/claims.h"
#include "sensor/recorder/lender.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define BLOCKS 64u
#define RX 2u
#define SHARE (BLOCKS / RX)
#define TOLD_NS 77u // of every claim

struct world {
	struct loans loans;
	struct loan_reply reply;
	struct lender *lender;
	struct claims *claims;
	uint32_t workers, inspectors;
	bool lossless, out[BLOCKS];
	uint32_t of_rx[RX];
};

struct input {
	const uint8_t *at, *end;
};

static uint8_t next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

// A block that came back while somebody borrows.
static void check_through(const struct world *w, uint32_t block)
{
	const uint32_t inspector = atomic_load(&w->loans.inspector), tail = atomic_load(&w->loans.tail);
	uint32_t number = tail - 1;

	if (inspector == LOAN_NOBODY || atomic_load(&w->loans.attached) != inspector ||
	        atomic_load(&w->loans.refused) == inspector)
		return;
	while (w->loans.ring[number % LOANS_MAX].kind != LOAN_BLOCK || w->loans.ring[number % LOANS_MAX].block != block)
		MUST(tail - --number <= LOANS_MAX);
	for (uint32_t i = 0; i < w->workers; i++) {
		const uint32_t done = atomic_load(&w->reply.worker[i].done);

		MUST((int32_t)(done - number) > 0 && (int32_t)(tail - done) >= 0);
	}
}

static bool take_back(struct world *w)
{
	uint32_t block;

	if (!lender_returned(w->lender, &block))
		return false;
	MUST(block < BLOCKS && w->out[block]);
	w->out[block] = false;
	w->of_rx[block / SHARE]--;
	check_through(w, block);
	return true;
}

// What has been told is heard now, unless somebody has told more than he could.
static void hear(struct world *w)
{
	const uint32_t inspector = atomic_load(&w->loans.inspector);
	struct loan_claim claim;
	bool lied = false;

	if (inspector != LOAN_NOBODY && inspector != LOAN_NEVER && atomic_load(&w->loans.attached) == inspector &&
	        atomic_load(&w->loans.refused) != inspector)
		for (uint32_t i = 0; i < w->workers; i++) {
			const uint32_t told = atomic_load(&w->reply.claims[i].told);

			lied |= told != atomic_load(&w->loans.heard[i]);
		}
	MUST(!lied);
	for (unsigned i = 0; i < 4 && claims_take(w->claims, i % RX, &claim); i++)
		MUST(claim.ns == TOLD_NS);
}

static void lend(struct world *w, uint8_t which)
{
	const struct loan loan = {.kind = LOAN_BLOCK, .block = which % BLOCKS, .packets = 1};
	const uint32_t rx = loan.block / SHARE, inspector = atomic_load(&w->loans.inspector);
	const bool refused = inspector != LOAN_NOBODY && atomic_load(&w->loans.refused) == inspector;
	const uint64_t lent = atomic_load(&w->loans.lent_blocks);

	if (w->out[loan.block])
		return;
	if (lender_lend(w->lender, &loan, rx, which & 128)) {
		w->out[loan.block] = true;
		w->of_rx[rx]++;
		MUST(w->lossless || (w->of_rx[rx] <= SHARE / 4 && !(which & 128)));
	}
	MUST(!refused || atomic_load(&w->loans.lent_blocks) == lent);
}

static void command(struct world *w, struct input *in)
{
	const uint8_t c = next(in);
	struct loan_worker *worker = &w->reply.worker[c >> 4 & 3];
	uint32_t number;

	switch (c & 7) {
	case 0:
	case 1:
		lend(w, next(in));
		break;
	case 2:
		lender_tick(w->lender, c);
		break;
	case 3: // a number near the truth
		number = atomic_load(&w->loans.tail) + (uint32_t)(int8_t)next(in);
		atomic_store(&worker->done, number);
		break;
	case 4: // any
		number = next(in) | (uint32_t)next(in) << 8 | (uint32_t)next(in) << 16 | (uint32_t)next(in) << 24;
		atomic_store(&worker->done, number);
		break;
	case 5: // the supervisor, whose inspectors each have a number of their own
		number = c & 16 ? LOAN_NEVER : c & 8 ? LOAN_NOBODY : ++w->inspectors;
		atomic_store(&w->loans.inspector, number);
		break;
	case 6: // claims, as many as there is room for and more
		number = next(in) * 2u;
		atomic_fetch_add(&w->reply.claims[c >> 4 & 3].told, c & 8 ? number : number << 20);
		break;
	default:
		take_back(w);
		hear(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	const uint8_t settings = next(&in);
	struct world *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	struct lender_config config = {.workers = 1 + (settings & 3),
	        .blocks = BLOCKS,
	        .rx_count = RX,
	        .share = SHARE,
	        .lossless = settings & 4};
	unsigned returned = 0, lent = 0;

	MUST(w);
	memset(w, 0, sizeof(*w));
	config.loans = &w->loans;
	config.reply = &w->reply;
	for (uint32_t i = 0; i < LOAN_WORKERS_MAX * LOAN_CLAIMS; i++)
		w->reply.claims[i / LOAN_CLAIMS].ring[i % LOAN_CLAIMS].ns = TOLD_NS;
	w->lossless = config.lossless;
	w->workers = config.workers;
	w->inspectors = 1;
	atomic_store(&w->loans.tail, settings & 8 ? UINT32_MAX - 5 : 0); // an earlier recorder's; numbers wrap
	atomic_store(&w->loans.inspector, 1);
	MUST(claims_new(&w->loans, &w->reply, w->workers, RX, &w->claims) == 0);
	config.claims = w->claims;
	MUST(lender_new(&config, &w->lender) == 0);
	for (unsigned i = 0; i < 4096 && in.at < in.end; i++)
		command(w, &in);
	lender_end(w->lender);
	atomic_store(&w->loans.inspector, LOAN_NEVER);
	for (unsigned i = 0; i < BLOCKS; i++)
		lent += w->out[i];
	while (returned <= BLOCKS && take_back(w))
		returned++;
	MUST(returned == lent && !lender_has_loans(w->lender));
	lender_free(w->lender);
	claims_free(w->claims);
	free(w);
	return 0;
}

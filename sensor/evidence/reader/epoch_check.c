// SPDX-License-Identifier: Apache-2.0
// The epoch rule of section 2.4: how long a key signs, and that none signs twice. Holds every key of the ledger.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/verify_state.h"

struct named_key {
	uint8_t key[ED25519_KEY_LEN];
	uint64_t line;
};

// Before the line is handled: one that names a key is still signed by the key before.
void epoch_time(struct verify *v, uint64_t step_ns, bool gap)
{
	struct epochs *e = &v->epochs;

	if (!gap && __builtin_add_overflow(e->lasted_ns, step_ns, &e->lasted_ns))
		e->lasted_ns = UINT64_MAX;
	if (v->epoch == 0 || e->lasted_ns <= EPOCH_MOST_NS || e->told_long)
		return;
	e->told_long = true;
	report_add(v->report, VERDICT_INVALID, "epoch-long", LINE_WHERE(v),
	        NOTE("a new key at most 90 seconds of boot time after that of epoch %" PRIu64, v->epoch),
	        NOTE("%" PRIu64 " ns later", e->lasted_ns));
}

void epoch_begin(struct verify *v, const uint8_t key[ED25519_KEY_LEN])
{
	struct epochs *e = &v->epochs;

	e->lasted_ns = 0;
	e->told_long = false;
	if (e->count == e->room) {
		size_t room = e->room ? 2 * e->room : 64;
		struct named_key *more = reallocarray(e->key, room, sizeof(*more));

		if (!more) {
			report_errno(v->report, "ledger.jsonl", -ENOMEM);
			return;
		}
		e->key = more;
		e->room = room;
	}
	memcpy(e->key[e->count].key, key, ED25519_KEY_LEN);
	e->key[e->count++].line = v->lines;
}

static int by_key(const void *a, const void *b)
{
	const struct named_key *x = a, *y = b;
	int r = memcmp(x->key, y->key, ED25519_KEY_LEN);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

static void twice(struct verify *v, uint64_t line, const char *other)
{
	report_add(v->report, VERDICT_INVALID, "key-reused", NOTE("ledger.jsonl line %" PRIu64, line),
	        "a key of its own for each epoch", other);
}

void epochs_finish(struct verify *v)
{
	struct epochs *e = &v->epochs;

	if (e->count > 1)
		qsort(e->key, e->count, sizeof(*e->key), by_key);
	for (size_t i = 0; i < e->count; i++) {
		if (v->report->has_open && memcmp(e->key[i].key, v->report->origin_key, ED25519_KEY_LEN) == 0)
			twice(v, e->key[i].line, "the origin key");
		if (i > 0 && memcmp(e->key[i].key, e->key[i - 1].key, ED25519_KEY_LEN) == 0)
			twice(v, e->key[i].line, NOTE("the key of line %" PRIu64, e->key[i - 1].line));
	}
	free(e->key);
	*e = (struct epochs){0};
}

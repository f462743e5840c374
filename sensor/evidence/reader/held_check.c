// SPDX-License-Identifier: Apache-2.0
// Check 16: checkpoints that somebody held outside the recording. The only check that an owner of the keys cannot
// satisfy with another history: what was signed and given away must still stand here, at its place.
#include <inttypes.h>
#include <string.h>

#include "sensor/evidence/reader/verify_state.h"

static void contradicts(struct verify_report *r, const char *expected, const char *actual)
{
	report_add(r, VERDICT_INVALID, "checkpoint-contradicts", "ledger.jsonl", expected, actual);
}

void held_line(struct verify *v)
{
	for (size_t i = 0; i < v->options->held_count; i++) {
		const struct checkpoint *c = &v->options->held[i];
		uint8_t root[DIGEST_LEN];

		if (c->size != v->lines || memcmp(c->recording_id, v->report->recording_id, DIGEST_LEN) != 0)
			continue;
		merkle_root(&v->tree, root);
		if (memcmp(c->root, root, DIGEST_LEN) != 0)
			contradicts(v->report,
			        NOTE("root %s of the first %" PRIu64 " lines, as a checkpoint held outside says",
			                NOTE_HEX(c->root), c->size),
			        NOTE_HEX(root));
		else if (memcmp(c->head, v->line_hash, DIGEST_LEN) != 0)
			contradicts(v->report,
			        NOTE("head %s of the first %" PRIu64 " lines, as a checkpoint held outside says",
			                NOTE_HEX(c->head), c->size),
			        NOTE_HEX(v->line_hash));
	}
}

void held_finish(struct verify *v)
{
	for (size_t i = 0; i < v->options->held_count; i++) {
		const struct checkpoint *c = &v->options->held[i];

		if (memcmp(c->recording_id, v->report->recording_id, DIGEST_LEN) == 0 && c->size > v->lines)
			contradicts(v->report,
			        NOTE("at least %" PRIu64 " signed lines, as a checkpoint held outside says", c->size),
			        NOTE("%" PRIu64 " signed lines", v->lines));
	}
}

void verify_held(struct series_member *members, size_t count, const struct checkpoint *held, size_t held_count)
{
	for (size_t i = 0; i < held_count; i++) {
		bool known = false;

		for (size_t m = 0; m < count; m++)
			known = known || !members[m].report->has_open ||
			        memcmp(held[i].recording_id, members[m].report->recording_id, DIGEST_LEN) == 0;
		if (!known)
			contradicts(members[0].report,
			        NOTE("recording %s, as a checkpoint held outside says", NOTE_HEX(held[i].recording_id)),
			        NOTE("recording %s", NOTE_HEX(members[0].report->recording_id)));
	}
}

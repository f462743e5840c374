// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/unrecorded.h"

void unrecorded_resume(struct unrecorded *u, const struct pool_lane *shared)
{
	for (int i = 0; i < DROP_CAUSES; i++)
		u->loss[i].counted = shared->losses[i];
	u->shunt.counted = shared->shunted;
	u->shunt.counted_bytes = shared->shunted_bytes;
}

static void note_losses(struct unrecorded *u, const struct counters *c, const struct block *b)
{
	for (unsigned i = 0; i < DROP_CAUSES; i++) {
		struct unrecorded_loss *loss = &u->loss[i];
		uint64_t now = c->dropped[i];
		uint64_t first = i == DROP_DISK ? b->ts_min : b->loss[i].t_first;
		uint64_t last = i == DROP_DISK ? b->ts_max : b->loss[i].t_last;

		if (now == loss->counted)
			continue;
		if (loss->frames == 0)
			loss->t_first = first;
		loss->t_last = last;
		loss->frames += now - loss->counted;
		loss->counted = now;
	}
}

static void note_shunted(struct unrecorded_shunt *s, const struct counters *c, const struct block *b)
{
	if (c->shunted == s->counted)
		return;
	if (s->frames == 0)
		s->t_first = b->shunt.t_first;
	s->t_last = b->shunt.t_last;
	s->frames += c->shunted - s->counted;
	s->bytes += b->shunt.bytes - s->counted_bytes;
	s->counted = c->shunted;
	s->counted_bytes = b->shunt.bytes;
}

void unrecorded_note(struct unrecorded *u, const struct counters *counters, const struct block *block)
{
	note_losses(u, counters, block);
	note_shunted(&u->shunt, counters, block);
}

static void give_losses(struct unrecorded *u, uint32_t lane, struct notary *n)
{
	for (unsigned i = 0; i < DROP_CAUSES; i++) {
		struct unrecorded_loss *loss = &u->loss[i];
		struct notary_job *job;

		if (loss->frames == 0)
			continue;
		job = notary_job_take(n);
		if (!job)
			return;
		job->kind = NOTARY_LOSS;
		job->loss = (struct wire_loss){.lane = lane,
		        .cause = i,
		        .frames = loss->frames,
		        .t_first = loss->t_first,
		        .t_last = loss->t_last};
		notary_job_give(n, job);
		loss->frames = 0;
	}
}

static void give_shunted(struct unrecorded_shunt *s, uint32_t lane, struct notary *n)
{
	struct notary_job *job;

	if (s->frames == 0)
		return;
	job = notary_job_take(n);
	if (!job)
		return;
	job->kind = NOTARY_SHUNT;
	job->shunt = (struct wire_shunt){
	        .lane = lane, .frames = s->frames, .bytes = s->bytes, .t_first = s->t_first, .t_last = s->t_last};
	notary_job_give(n, job);
	s->frames = s->bytes = 0;
}

void unrecorded_give(struct unrecorded *u, uint32_t lane, struct notary *n)
{
	give_losses(u, lane, n);
	give_shunted(&u->shunt, lane, n);
}

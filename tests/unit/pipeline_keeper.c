// SPDX-License-Identifier: Apache-2.0
// A keeper that notes what it is told and whether that was lawful; it writes nothing. A thread of its own, and told is
// read when it has ended.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/pipeline_world.h"

struct told told;

bool lawful(const struct counters *c)
{
	return c->received == c->recorded + c->filtered + c->dropped[DROP_POOL] + c->dropped[DROP_DISK] +
	                              c->dropped[DROP_OVERSIZE] + c->dropped[DROP_CRASH];
}

const struct counters *told_end(uint32_t lane)
{
	return &told.lane[lane].segment[told.lane[lane].sealed - 1].seal.state.counters;
}

static const char *tell_begin(const struct wire_begin *b)
{
	struct told_lane *lane = &told.lane[b->lane];

	if (b->lane > told.lane_count || b->lane >= LANES_ALL)
		return "begin: a lane was left out";
	if (b->lane == told.lane_count) {
		told.lane_count++;
		lane->is = *b;
	}
	if (b->number != lane->begun || b->number >= SEGMENTS_MAX)
		return "begin: not the lane's next segment";
	if (lane->begun - lane->sealed >= 4)
		return "begin: too many segments under way";
	lane->begun++;
	return NULL;
}

static const char *tell_progress(const struct wire_progress *p)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct wire_segment_state *s = &p->segment[i];
		struct told_segment *old = &told.lane[s->lane].segment[s->number];

		if (s->lane >= told.lane_count || s->number >= told.lane[s->lane].begun || old->sealed)
			return "progress: of a segment that is not under way";
		if (s->frames <= old->progress.frames || s->bytes <= old->progress.bytes ||
		        s->packets < old->progress.packets || !lawful(&s->counters))
			return "progress: does not go forward";
		old->progress = *s;
	}
	return NULL;
}

static const char *tell_seal(const struct wire_seal *s)
{
	struct told_lane *lane = &told.lane[s->state.lane];
	struct told_segment *segment = &lane->segment[s->state.number];
	uint64_t before = s->state.number ? lane->segment[s->state.number - 1].seal.state.counters.recorded : 0;

	if (s->state.lane >= told.lane_count || s->state.number != lane->sealed || s->state.number >= lane->begun)
		return "seal: not the oldest segment under way";
	if (s->state.frames <= segment->progress.frames || s->state.packets < segment->progress.packets ||
	        !lawful(&s->state.counters) || s->state.counters.recorded - before != s->state.packets)
		return "seal: does not fit what was said before";
	segment->seal = *s;
	segment->sealed = true;
	lane->sealed++;
	told.order[told.sealed % SEGMENTS_MAX][0] = s->state.lane;
	told.order[told.sealed++ % SEGMENTS_MAX][1] = s->state.number;
	return NULL;
}

static const char *tell_retire(const struct wire_retire *request)
{
	struct wire_retire *answer = &told.removing;
	bool gone = request->what == WIRE_RETIRE_REMOVE;
	const char *wrong = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/%u/%08u.pcapng.zst", disks.directory, answer->lane, answer->number);
	if (gone != (answer->what == WIRE_RETIRE_REMOVE))
		wrong = "retire: does not say what became of the segment";
	else if (gone && (request->lane != answer->lane || request->number != answer->number))
		wrong = "retire: speaks of another segment";
	else if (gone && access(path, F_OK) == 0)
		wrong = "retire: says that a file is gone which is there";
	*answer = (struct wire_retire){.what = WIRE_RETIRE_NOTHING};
	if (told.keep && atomic_load(&disks.fallocates_left) == 1 && told.retired < told.sealed) {
		const uint32_t *oldest = told.order[told.retired++ % SEGMENTS_MAX];

		*answer = (struct wire_retire){.what = WIRE_RETIRE_REMOVE, .lane = oldest[0], .number = oldest[1]};
		atomic_store(&disks.fallocates_left, 4);
	}
	wire_send(told.fd, WIRE_RETIRE, answer, sizeof(*answer), -1);
	return wrong;
}

void *keeper_main(void *arg)
{
	static union wire_message m;
	int type;

	while ((type = wire_recv(told.fd, &m, NULL)) > 0) {
		const char *wrong = NULL;

		if (told.requests_max && ++told.requests > told.requests_max)
			break;
		if (type == WIRE_BEGIN)
			wrong = tell_begin(&m.begin);
		else if (type == WIRE_PROGRESS)
			wrong = tell_progress(&m.progress);
		else if (type == WIRE_SEAL)
			wrong = tell_seal(&m.seal);
		else if (type == WIRE_RETIRE)
			wrong = tell_retire(&m.retire);
		else if (type == WIRE_LOSS)
			told.lane[m.loss.lane].losses[m.loss.cause] += m.loss.frames;
		else if (type == WIRE_INCIDENT && told.incidents++ == 0)
			memcpy(told.incident, m.incident.kind, sizeof(told.incident));
		if (wrong && !told.wrong)
			told.wrong = wrong;
		if (type == WIRE_BEGIN) {
			struct wire_begin_answer answer = {.recording_id = {1}, .salt_key = {2}};

			wire_send(told.fd, WIRE_BEGIN, &answer, sizeof(answer), -1);
		} else if (type != WIRE_RETIRE) {
			wire_send_plain(told.fd, (enum wire_type)type, 0, 0, NULL);
		}
	}
	close(told.fd);
	return NULL;
}

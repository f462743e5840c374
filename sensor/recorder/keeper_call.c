// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "sensor/ipc/roles.h"
#include "sensor/recorder/recorder.h"

int keeper_call(struct recorder *r, enum wire_type type, void *request, size_t len, size_t answer_len,
        union wire_message *answer)
{
	int result;

	pthread_mutex_lock(&r->keeper_mutex);
	result = wire_send(RECORDER_KEEPER_FD, type, request, len, -1);
	if (result == 0)
		result = wire_expect(RECORDER_KEEPER_FD, type, answer_len, answer);
	pthread_mutex_unlock(&r->keeper_mutex);
	return result;
}

int keeper_incident(struct recorder *r, const char *kind, const char *format, ...)
{
	struct wire_incident incident = {0};
	union wire_message answer;
	va_list args;
	int result;

	snprintf(incident.kind, sizeof(incident.kind), "%s", kind);
	va_start(args, format);
	vsnprintf(incident.detail, sizeof(incident.detail), format, args);
	va_end(args);
	result = keeper_call(r, WIRE_INCIDENT, &incident, sizeof(incident), sizeof(answer.plain), &answer);
	if (result < 0)
		recorder_stop(r, STOP_FAILED);
	return result;
}

int recorder_place_lost(struct place *p, struct recorder *r, enum stop_reason reason, const char *what)
{
	const char *kind = reason == STOP_DISK_FULL ? "disk-full" : "disk-error";
	int result;

	if (atomic_exchange(&p->lost, true))
		return 0;
	// Each of the others counts once; the last to be lost, or the ledger's own, ends the recording.
	if (atomic_fetch_add(&r->places_lost, 1) + 1 == r->place_count || p->index == 0)
		atomic_store(&p->ends, true);
	if (r->place_count == 1)
		result = keeper_incident(r, kind, "%s", what);
	else
		result = keeper_incident(r, kind, "disk %u of %u: %s", p->index + 1, r->place_count, what);
	if (atomic_load(&p->ends)) {
		fprintf(stderr, "sealtap: %s: recording ends; what is sealed stays valid\n", what);
		recorder_stop(r, reason);
		return result;
	}
	fprintf(stderr,
	        "sealtap: disk %u of %u: %s: it takes no more, and what comes for its lanes is counted as lost; the "
	        "others go on\n",
	        p->index + 1, r->place_count, what);
	return result;
}

void recorder_stop(struct recorder *r, enum stop_reason reason)
{
	int none = STOP_NONE;

	// Failure overrides: nothing more can be sealed, so nobody may wait for it.
	if (reason == STOP_FAILED)
		atomic_store(&r->stop, STOP_FAILED);
	else
		atomic_compare_exchange_strong(&r->stop, &none, reason);
	for (unsigned i = 0; i < r->source_count; i++)
		r->source[i]->ops->interrupt(r->source[i]);
}

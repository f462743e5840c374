// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sensor/supervisor/run_state.h"

#define OVER_NS 5000000000ULL  // without a lost frame a loss is over
#define APART_NS 5000000000ULL // between two lines about incidents of one kind

static const char *cause_text(unsigned cause)
{
	static const char *const text[EVENT_CAUSES] = {
	        [DROP_POOL] = "pool: no free block, sealing or the disk is too slow",
	        [DROP_DISK] = "disk: it could not be written",
	        [DROP_OVERSIZE] = "oversize: longer than a recording can hold",
	        [DROP_CRASH] = "crash: with the recorder that died",
	        [EVENT_DRIVER] = "before us: counted by the driver, not received",
	        [EVENT_NIC] = "before us: no room in the interface, at least so many",
	};

	return text[cause];
}

static uint64_t lane_frames(const struct wire_lane *l, unsigned cause)
{
	const uint64_t *nic = l->counters.nic;
	uint64_t most = nic[NIC_MISSED];

	if (cause < DROP_CAUSES)
		return l->dropped[cause];
	if (cause == EVENT_DRIVER)
		return l->counters.driver_mask & COUNTERS_DRIVER_DROPPED ? l->counters.driver_dropped : 0;
	if (!(l->counters.driver_mask & COUNTERS_NIC))
		return 0;
	// They may speak of the same frames (docs/evidence-format.md section 2.3), so they are not added up.
	most = nic[NIC_FIFO] > most ? nic[NIC_FIFO] : most;
	return nic[NIC_OVER] > most ? nic[NIC_OVER] : most;
}

// What the driver says of its drops, for people: only xdp tells them apart.
static void driver_says(const struct run *run, char *out, size_t size)
{
	static const char *const text[XSK_LOSSES] = {
	        [XSK_NO_SOCKET] = "of a queue without a socket",
	        [XSK_DROPPED] = "without a free chunk, or longer than one",
	        [XSK_RING_FULL] = "at a full ring",
	};
	struct counters c;
	size_t used = 0;

	tally_counters(&run->tally, &c);
	out[0] = '\0';
	for (int i = 0; i < XSK_LOSSES; i++)
		if (c.xsk[i] && used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64 " %s",
			        used ? ", " : "; since the start ", c.xsk[i], text[i]);
}

// Where a cause has grown, for people: one interface, and how many more.
static void where(const struct run *run, unsigned cause, char *out, size_t size)
{
	const struct tally *t = &run->tally;
	uint64_t most = 0;
	unsigned lanes = 0, at = 0;

	for (uint32_t i = 0; i < t->lane_count; i++) {
		uint64_t frames = lane_frames(&t->lane[i], cause);

		lanes += frames > 0;
		if (frames > most) {
			most = frames;
			at = i;
		}
	}
	if (most == 0)
		snprintf(out, size, "no lane");
	else if (lanes == 1)
		snprintf(out, size, "%.100s", run->job->source[t->lane[at].source].name);
	else
		snprintf(out, size, "%.100s and %u more lanes", run->job->source[t->lane[at].source].name, lanes - 1);
}

static void loss_begins(struct run *run, unsigned cause, uint64_t now, uint64_t frames)
{
	struct event_loss *l = &run->events.loss[cause];
	char place[160], why[200] = "";

	l->at_start = l->frames;
	l->began_ns = now;
	where(run, cause, place, sizeof(place));
	if (cause == EVENT_DRIVER)
		driver_says(run, why, sizeof(why));
	report_line(run, "FRAMES ARE BEING LOST on %s: %" PRIu64 " so far (%s%s)", place, frames - l->frames,
	        cause_text(cause), why);
}

static void loss_ends(struct run *run, unsigned cause)
{
	struct event_loss *l = &run->events.loss[cause];
	char why[200] = "";

	if (cause == EVENT_DRIVER)
		driver_says(run, why, sizeof(why));
	report_line(run, "no more frames are lost: %" PRIu64 " were within %" PRIu64 " s (%s%s)",
	        l->frames - l->at_start, (l->rose_ns - l->began_ns) / 1000000000 + 1, cause_text(cause), why);
	l->rose_ns = 0;
}

void events_status(struct run *run)
{
	uint64_t now = tally_clock_ns(), frames[EVENT_CAUSES] = {0};

	for (uint32_t lane = 0; lane < run->tally.lane_count; lane++)
		for (unsigned i = 0; i < EVENT_CAUSES; i++)
			frames[i] += lane_frames(&run->tally.lane[lane], i);
	for (unsigned i = 0; i < EVENT_CAUSES; i++) {
		struct event_loss *l = &run->events.loss[i];

		if (frames[i] > l->frames && i == DROP_CRASH) { // not a state, but over when it is known
			report_line(
			        run, "%" PRIu64 " frames were lost with the recorder that died", frames[i] - l->frames);
			l->frames = frames[i];
		} else if (frames[i] > l->frames) {
			if (!l->rose_ns)
				loss_begins(run, i, now, frames[i]);
			l->rose_ns = now;
			l->frames = frames[i];
		} else if (l->rose_ns && now - l->rose_ns >= OVER_NS) {
			loss_ends(run, i);
		}
	}
}

void events_end(struct run *run)
{
	for (unsigned i = 0; i < EVENT_CAUSES; i++)
		if (run->events.loss[i].rose_ns)
			loss_ends(run, i);
}

// For all others the recorder, or the supervisor itself, has words of its own.
static bool said_here(const char *kind)
{
	static const char *const kinds[] = {"overload", "adopted", "recorder-resumed"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i], kind) == 0)
			return true;
	return false;
}

static struct event_kind *kind_of(struct events *e, const char *kind)
{
	for (unsigned i = 0; i < EVENT_KINDS; i++) {
		if (e->kind[i].kind[0] == '\0')
			snprintf(e->kind[i].kind, sizeof(e->kind[i].kind), "%s", kind);
		if (strcmp(e->kind[i].kind, kind) == 0)
			return &e->kind[i];
	}
	return &e->kind[EVENT_KINDS - 1];
}

void events_incident(struct run *run, const struct wire_incident *m)
{
	uint64_t now = tally_clock_ns();
	struct event_kind *k;

	if (!said_here(m->kind))
		return;
	k = kind_of(&run->events, m->kind);
	if (k->said_ns && now - k->said_ns < APART_NS) {
		k->held_back++;
		return;
	}
	if (k->held_back)
		report_line(run, "%s: %s (and %u like it since the last word)", m->kind, m->detail, k->held_back);
	else
		report_line(run, "%s: %s", m->kind, m->detail);
	k->said_ns = now;
	k->held_back = 0;
}

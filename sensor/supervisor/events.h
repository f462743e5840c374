// SPDX-License-Identifier: Apache-2.0
// One line on stderr for each change of state: frames are being lost, none are lost any more, the level, a recorder
// that took over. (The recorder speaks of interfaces and disks itself.) Bounded: a cause begins or ends at most once in
// some seconds, and so does each kind of incident; what was held back is counted in the next line. Supervisor, its one
// thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/wire.h"

// Lost before us, beside the causes of our own.
#define EVENT_DRIVER DROP_CAUSES
#define EVENT_NIC (DROP_CAUSES + 1)
#define EVENT_CAUSES (DROP_CAUSES + 2)
#define EVENT_KINDS 16u // of incidents

struct event_loss {
	uint64_t frames;   // up to now
	uint64_t at_start; // of the loss under way
	uint64_t rose_ns;  // when it was last seen to rise; 0: no loss is under way
	uint64_t began_ns;
};

struct event_kind {
	char kind[32];
	uint64_t said_ns;
	unsigned held_back;
};

struct events {
	struct event_loss loss[EVENT_CAUSES];
	struct event_kind kind[EVENT_KINDS];
};

struct run;

void events_status(struct run *run); // after each status of the recorder
void events_incident(struct run *run, const struct wire_incident *m);
void events_end(struct run *run); // the loss under way is summed up

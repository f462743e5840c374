// SPDX-License-Identifier: Apache-2.0
// What recorder and keeper have said about the run so far: a copy that the supervisor may show at any moment without
// asking anybody. Bounded by LANES_MAX, whatever a recorder says. Supervisor, its one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/job.h"
#include "sensor/ipc/wire.h"

struct tally {
	struct wire_lane *lane; // in the order in which they were heard of
	uint32_t lane_count;
	uint16_t at[LANES_MAX];    // by number: index + 1, 0 is unknown
	struct wire_status before; // of recorders that have died
	struct wire_status now;    // of the present one
	struct wire_ledger ledger;
	struct wire_incident incident; // the newest
	uint64_t incident_ns;          // CLOCK_REALTIME
	uint64_t since_ns;             // CLOCK_REALTIME of the first frame's chance; 0: none yet
	uint64_t since_boot_ns;
	uint64_t heard_ns;  // CLOCK_BOOTTIME: when the rates were taken
	uint64_t packets;   // recorded by then
	uint64_t raw_bytes; // of the present recorder
	uint64_t packets_per_second;
	uint64_t bytes_per_second;
};

uint64_t tally_clock_ns(void); // CLOCK_BOOTTIME
void tally_capturing(struct tally *t);
void tally_recorder_died(struct tally *t);
// False when it is not well-formed: the recorder handles hostile bytes.
bool tally_lanes(struct tally *t, const struct job *job, const struct wire_lanes *m);
bool tally_status(struct tally *t, const struct wire_status *m);
bool tally_incident(struct tally *t, const struct wire_incident *m);
void tally_free(struct tally *t);

struct wire_status tally_total(const struct tally *t); // of all recorders
// Sums over the lanes; a driver counter is there when any lane has it.
void tally_counters(const struct tally *t, struct counters *ret_counters);
void tally_dropped(const struct tally *t, uint64_t ret_dropped[DROP_CAUSES]); // up to this moment

// SPDX-License-Identifier: Apache-2.0
// Reads the clocks and notices steps, pauses and suspends, which the ledger must state. Keeper's one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_BOOT_ID_MAX 64

struct clock_now {
	uint64_t real_ns;
	uint64_t boot_ns;
	uint64_t asleep_ns; // BOOTTIME - MONOTONIC: grows only while the machine is suspended
};

struct clock_watch {
	bool started;
	uint64_t offset_ns;    // REALTIME - BOOTTIME as last stated
	uint64_t last_real_ns; // of the last line
	uint64_t last_boot_ns;
	uint64_t last_asleep_ns;
};

struct clock_quality {
	bool synchronised;
	uint64_t max_error_ns;
};

enum clock_event { CLOCK_GAP_PAUSE = 1, CLOCK_GAP_SUSPEND = 2, CLOCK_STEP = 4 };

void clock_read(struct clock_now *ret_now);
void clock_read_boot_id(char out[CLOCK_BOOT_ID_MAX]); // reads /proc: before the sandbox closes
void clock_read_quality(struct clock_quality *ret_quality);
// What must be stated before a line made at `now`: a mask of enum clock_event.
unsigned clock_watch_check(const struct clock_watch *w, const struct clock_now *now);
void clock_watch_line(struct clock_watch *w, const struct clock_now *now);   // a line was made at now
void clock_watch_stated(struct clock_watch *w, const struct clock_now *now); // a `clock` line was made at now

// SPDX-License-Identifier: Apache-2.0
// Turns the ticks of a free-running counter (TSC, a NIC's clock) into nanoseconds of CLOCK_REALTIME. Anchored again and
// again between two readings, so that neither drift nor a step of the clock is carried on. RX thread; pure.
#pragma once

#include <stdint.h>

struct rate_clock {
	uint64_t ticks; // of the anchor
	uint64_t ns;    // since 1970, at the anchor
	uint64_t scale; // nanoseconds per tick, times 2^32
	uint64_t nominal;
	uint64_t base_ticks; // where the measurement of the rate began
	uint64_t base_ns;
};

// hz: nominal frequency, 0 when it is not known; then times are right only after the second anchor.
void rate_clock_init(struct rate_clock *c, uint64_t hz, uint64_t ticks, uint64_t ns);
void rate_clock_anchor(struct rate_clock *c, uint64_t ticks, uint64_t ns);
uint64_t rate_clock_ns(const struct rate_clock *c, uint64_t ticks);

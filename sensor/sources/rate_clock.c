// SPDX-License-Identifier: Apache-2.0
#include "sensor/sources/rate_clock.h"

#include <stdbool.h>

#define MEASURE_NS 20000000ULL // a rate needs a base of at least so long: 100 ns of jitter are then 5 ppm
#define BASE_NS 10000000000ULL // and no longer than this, to follow a clock that is slewed
#define TOLERANCE_PPM 1000ULL  // an oscillator is within 100 ppm, adjtimex slews by 500: beyond it the clock stepped

static uint64_t scale_of(uint64_t ticks, uint64_t ns)
{
	return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

static bool plausible(const struct rate_clock *c, uint64_t scale)
{
	uint64_t tolerance = c->nominal / 1000000 * TOLERANCE_PPM;

	return c->nominal == 0 || (scale > c->nominal - tolerance && scale < c->nominal + tolerance);
}

void rate_clock_init(struct rate_clock *c, uint64_t hz, uint64_t ticks, uint64_t ns)
{
	c->nominal = c->scale = hz ? scale_of(hz, 1000000000) : 0;
	c->ticks = c->base_ticks = ticks;
	c->ns = c->base_ns = ns;
}

void rate_clock_anchor(struct rate_clock *c, uint64_t ticks, uint64_t ns)
{
	if (ns > c->base_ns && ticks > c->base_ticks && ns - c->base_ns >= MEASURE_NS) {
		uint64_t scale = scale_of(ticks - c->base_ticks, ns - c->base_ns);

		if (plausible(c, scale)) {
			c->scale = scale;
			if (c->nominal == 0)
				c->nominal = scale;
		} else {
			c->base_ticks = ticks; // the clock stepped: measure anew
			c->base_ns = ns;
		}
		if (ns - c->base_ns > BASE_NS) {
			c->base_ticks = c->ticks;
			c->base_ns = c->ns;
		}
	} else if (ns <= c->base_ns || ticks <= c->base_ticks) {
		c->base_ticks = ticks;
		c->base_ns = ns;
	}
	c->ticks = ticks;
	c->ns = ns;
}

uint64_t rate_clock_ns(const struct rate_clock *c, uint64_t ticks)
{
	if (ticks < c->ticks) // a frame that came before the anchor
		return c->ns - (uint64_t)((unsigned __int128)(c->ticks - ticks) * c->scale >> 32);
	return c->ns + (uint64_t)((unsigned __int128)(ticks - c->ticks) * c->scale >> 32);
}

// SPDX-License-Identifier: Apache-2.0
// An error for people: what failed, why, and what to do next. Cold paths only.
// Functions return 0 or a count, else a negative errno; those that can explain themselves also fill a struct error.
#pragma once

#include <errno.h>

struct error {
	int code; // negative errno, 0 when unset
	char text[512];
};

// Fills e (which may be NULL) and returns code, so that a function can end with `return error_set(...)`.
int error_set(struct error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// SPDX-License-Identifier: Apache-2.0
// What the readers of the file source share: how a reader reports, and how lanes are added.
// One thread: RX of the recorder, or the verifier only. Public face: source_file_open in sealtap/source.h.
// Must not be included outside the file source and its tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/source.h"

// Why a reader returned less than it was asked for.
struct reader_report {
	size_t need;      // bytes from here on that the next step needs
	const char *what; // that these are, for people
	bool boundary;    // the input may end here
	uint64_t damage_offset;
	char damage[200]; // not empty: the input is damaged and nothing further can be read
};

void reader_damage(struct reader_report *report, uint64_t offset, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
void reader_need(struct reader_report *report, size_t need, const char *what, bool boundary);

// The new lane's index; -ENOBUFS when there are LANES_MAX.
int source_file_add_lane(struct source *s, const struct source_lane *lane);

// Any bytes as an interface name: up to the first NUL, valid UTF-8 of at most 255 bytes, never U+007F. What is not
// becomes U+FFFD, as a ledger writer would do (section 2.1), so that ledger and segment say the same.
void source_file_name(const uint8_t *bytes, size_t len, char out[256]);

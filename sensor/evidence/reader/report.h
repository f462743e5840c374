// SPDX-License-Identifier: Apache-2.0
// How checks write down what they found. Not part of the public face of the verifier.
#pragma once

#include "sensor/evidence/reader/verify.h"

struct verify_report *report_new(void);

// Adds a finding. The verdict counts even when the finding itself can no longer be kept.
void report_add(struct verify_report *r, enum verdict v, const char *code, const char *where, const char *expected,
        const char *actual);

// Adds the findings of another report about the same recording that r does not have yet.
void report_join(struct verify_report *r, const struct verify_report *from);

// What an errno says about the recording: missing, a link or misshapen is invalid, everything else is unreadable.
enum verdict errno_verdict(int r);
// Adds `missing-file`, `not-a-regular-file` or `unreadable`.
void report_errno(struct verify_report *report, const char *where, int r);

// A short text made in place: note(&(struct note){{0}}, "frame %u", k).
struct note {
	char text[240];
};
const char *note(struct note *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define NOTE(...) note(&(struct note){{0}}, __VA_ARGS__)
#define NOTE_U64(value) NOTE("%llu", (unsigned long long)(value))
const char *note_hex(struct note *n, const uint8_t *bytes, size_t len);
#define NOTE_HEX(bytes) note_hex(&(struct note){{0}}, bytes, DIGEST_LEN)
const char *note_time(struct note *n, uint64_t ns);
#define NOTE_TIME(ns) note_time(&(struct note){{0}}, ns)

// A copy that is safe on a terminal and in JSON: controls, invisible characters and what is not UTF-8 read \xNN; cut at
// 400 bytes. NULL: no memory.
char *text_safe(const char *text);

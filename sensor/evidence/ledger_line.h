// SPDX-License-Identifier: Apache-2.0
// The text form of ledger lines (section 2.1): canonical JSON by jansson, times and 64-bit numbers as strings.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

#define TIME_TEXT_MAX 24 // "18446744073.999999999"

// Prints object in the canonical form with LF: a malloc'ed string, or NULL when it does not fit max.
char *ledger_line_print(const json_t *object, size_t max, size_t *ret_len);
// Parses one line without its LF, and refuses every form but the canonical one: 0, -EBADMSG, -ENOMEM.
int ledger_line_parse(const char *line, size_t len, size_t max, json_t **ret_object);

void time_print(uint64_t ns, char out[TIME_TEXT_MAX]);
int time_parse(const char *text, uint64_t *ret_ns);   // -EBADMSG
int u64_parse(const char *text, uint64_t *ret_value); // canonical decimal, -EBADMSG

// Any bytes to a JSON string: what is not UTF-8, U+0000 and U+007F become U+FFFD.
json_t *json_text(const char *bytes, size_t len);
// A line of text for people: UTF-8 without control characters, and more than blanks.
bool text_plain(const char *text);
json_t *json_hex(const uint8_t *bytes, size_t len);
json_t *json_u64(uint64_t value);
json_t *json_time(uint64_t ns);
json_t *json_counters(const struct counters *c);

// SPDX-License-Identifier: Apache-2.0
// Flow records as text: walks over the table of include/sealtap/flow.h. Pure, any thread.
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "sealtap/flow.h"

#define FLOW_VALUE_MAX 512u // texts from packets are kept shorter than this (dpi_text.h), lists are cut with "..."
#define RFC3339_MAX 80u

extern const char *const flow_state_names[FLOW_STATES];
extern const char *const flow_reason_names[FLOW_REASONS];
extern const char *const flow_tunnel_names[FLOW_TUNNEL_KINDS];

// "2026-11-21T20:58:01.123456789Z"
const char *rfc3339(uint64_t ns, char out[RFC3339_MAX]);
// "TCP", or the number.
const char *proto_name(uint8_t proto, char out[16]);
const char *address_text(uint8_t ip_version, const uint8_t *address, char out[64]);

// The value as one line, empty when the record does not have the field.
const char *flow_value(const struct flow_field *field, const struct flow_record *record, char out[FLOW_VALUE_MAX]);
// An object as in Suricata's EVE; NULL: no memory.
json_t *flow_json(const struct flow_record *record);
// All columns of the table, quoted. A value that a spreadsheet would take for a formula begins with \xNN instead.
void flow_csv_header(FILE *out);
void flow_csv(const struct flow_record *record, FILE *out);

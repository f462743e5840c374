// SPDX-License-Identifier: Apache-2.0
// A line of JSON back as a flow record: flow_format's flow_json the other way, over the same table. Lines come out of
// files that anybody may have written: every type, range and length is checked, and texts must be safe to show. Pure,
// any thread.
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "sealtap/flow.h"

#define FLOW_LINE_MAX 65535u // bytes of a line, without its LF

// One object, or NULL: too long, not JSON, a key twice, no object. To be given to json_decref.
json_t *flow_line_load(const char *line, size_t len);
// The object's "event_type".
bool flow_line_is(const json_t *object, const char *event_type);
// 0, or -EBADMSG. Texts of *ret_record point into the object. Keys that the table does not have are passed over; what
// the table has must be there as flow_json would have written it.
int flow_parse(const json_t *object, struct flow_record *ret_record);
// "2026-11-21T20:58:01.123456789Z" and no other form.
bool rfc3339_parse(const char *text, uint64_t *ret_ns);
// Whether all names in a record are printable ASCII and as short as flow_parse takes them.
bool flow_texts_safe(const struct flow_record *record);

// SPDX-License-Identifier: Apache-2.0
#include "sensor/flowlog/flow_order.h"

#include <errno.h>
#include <string.h>

#include "analyzers/flow_format.h"
#include "analyzers/flow_parse.h"

static const char *const names[INSPECTED_KINDS] = {"start", "frame", "tick", "lost", "end"};

static json_t *entry_json(const struct inspected *e)
{
	char time[RFC3339_MAX];

	switch (e->kind) {
	case INSPECTED_FRAME:
		return json_pack("[s, I, I, I]", names[e->kind], (json_int_t)e->lane, (json_int_t)e->segment,
		        (json_int_t)e->frame);
	case INSPECTED_TICK:
		return json_pack("[s, s]", names[e->kind], rfc3339(e->ns, time));
	case INSPECTED_LOST:
		return e->ns <= INT64_MAX ? json_pack("[s, I]", names[e->kind], (json_int_t)e->ns) : NULL;
	case INSPECTED_START:
		return e->ns <= INT64_MAX
		               ? json_pack("[s, I, I]", names[e->kind], (json_int_t)e->lane, (json_int_t)e->ns)
		               : NULL;
	case INSPECTED_END:
		return json_pack("[s]", names[e->kind]);
	default:
		return NULL;
	}
}

json_t *flow_order_json(const struct inspected *entries, unsigned count)
{
	json_t *list = json_array(), *o;

	for (unsigned i = 0; i < count; i++)
		if (json_array_append_new(list, entry_json(&entries[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	o = json_object();
	if (!o || json_object_set_new(o, "event_type", json_string(FLOW_ORDER_EVENT)) < 0 ||
	        json_object_set(o, "order", list) < 0) {
		json_decref(o);
		o = NULL;
	}
	json_decref(list);
	return o;
}

static bool u32(const json_t *v, uint32_t *ret_value)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)n;
	return true;
}

static bool u63(const json_t *v, uint64_t *ret_value)
{
	*ret_value = (uint64_t)json_integer_value(v);
	return json_is_integer(v) && json_integer_value(v) >= 0;
}

static bool entry_parse(const json_t *item, struct inspected *e)
{
	const char *name = json_string_value(json_array_get(item, 0)), *time;
	const size_t count = json_array_size(item);
	const json_t *value = json_array_get(item, 1);

	memset(e, 0, sizeof(*e));
	while (name && e->kind < INSPECTED_KINDS && strcmp(names[e->kind], name) != 0)
		e->kind++;
	if (!name)
		return false;
	switch (e->kind) {
	case INSPECTED_FRAME:
		return count == 4 && u32(value, &e->lane) && u32(json_array_get(item, 2), &e->segment) &&
		       u32(json_array_get(item, 3), &e->frame);
	case INSPECTED_TICK:
		time = json_string_value(value);
		return count == 2 && time && rfc3339_parse(time, &e->ns);
	case INSPECTED_LOST:
		return count == 2 && u63(value, &e->ns);
	case INSPECTED_START:
		return count == 3 && u32(value, &e->lane) && u63(json_array_get(item, 2), &e->ns);
	case INSPECTED_END:
		return count == 1;
	default:
		return false;
	}
}

int flow_order_parse(const json_t *object, struct inspected ret_entries[FLOW_STREAM_ORDER_MAX])
{
	const json_t *list = json_object_get(object, "order");
	const size_t count = json_array_size(list);

	if (!flow_line_is(object, FLOW_ORDER_EVENT) || !json_is_array(list) || count > FLOW_STREAM_ORDER_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < count; i++)
		if (!entry_parse(json_array_get(list, i), &ret_entries[i]))
			return -EBADMSG;
	return (int)count;
}

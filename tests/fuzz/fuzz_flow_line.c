// SPDX-License-Identifier: Apache-2.0
// Any bytes as a line of a flow file: what is taken for a record, or for an order of inspection, is written again as
// the same, and no text of it reaches a terminal's controls.
#include "analyzers/flow_format.h"
#include "analyzers/flow_parse.h"
#include "sensor/flowlog/flow_order.h"
#include "tests/fuzz/fuzz.h"

static void check_record(const struct flow_record *r)
{
	struct flow_record again;
	char out[FLOW_VALUE_MAX];
	json_t *o = flow_json(r), *twice;

	MUST(o != NULL && flow_texts_safe(r));
	for (size_t i = 0; i < flow_field_count; i++)
		for (const char *at = flow_value(&flow_fields[i], r, out); *at; at++)
			MUST(*at >= ' ' && *at <= '~');
	if (r->segments_count > 0) { // one without segments has no lane either
		MUST(flow_parse(o, &again) == 0);
		twice = flow_json(&again);
		MUST(json_equal(o, twice));
		json_decref(twice);
	}
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inspected entries[FLOW_STREAM_ORDER_MAX];
	struct flow_record r;
	json_t *o, *list, *again;
	int count;

	o = flow_line_load((const char *)data, size);
	if (!o)
		return 0;
	MUST(size <= FLOW_LINE_MAX && json_is_object(o));
	if (flow_parse(o, &r) == 0)
		check_record(&r);
	count = flow_order_parse(o, entries);
	if (count >= 0) {
		list = json_object_get(o, "order");
		again = flow_order_json(entries, (unsigned)count);
		MUST(again && json_equal(list, json_object_get(again, "order")));
		json_decref(again);
	}
	json_decref(o);
	return 0;
}

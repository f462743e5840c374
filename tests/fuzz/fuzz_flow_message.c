// SPDX-License-Identifier: Apache-2.0
// What a hostile inspector tells the flow log: a record with any of its bytes changed, cut anywhere, or an order of
// inspection. What is taken becomes a line that readers of flow files take again.
//
// Input: a byte that chooses. 0, a record: patches of two bytes for the place, from the end when the highest bit is
// set, and one for the value. Else an order: its entries as they are.
#include "analyzers/flow_format.h"
#include "analyzers/flow_pack.h"
#include "analyzers/flow_parse.h"
#include "sensor/flowlog/flow_order.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static size_t pack(uint8_t out[FLOW_PACKED_MAX])
{
	struct flow_record r = {.start_ns = 1700000000000000000,
	        .end_ns = 1700000001000000000,
	        .age_s = 1,
	        .pkts = {3, 2},
	        .ip_version = 4,
	        .proto = 6,
	        .vlan_count = 2,
	        .vlan = {7, 8},
	        .groups = UINT32_MAX,
	        .tunnel = {.kind = FLOW_TUNNEL_VXLAN, .ip_version = 6, .depth = 1},
	        .community_id = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
	        .app_proto = "tls",
	        .app = "TLS.Example",
	        .app_number = "91.5",
	        .category = "Web",
	        .confidence = "DPI",
	        .risks = {"Self-signed", "Weak cipher"},
	        .risk_count = 2,
	        .segments = {{1, 2, 3}, {2, 0, 0}},
	        .segments_count = 2};
	int len;

	for (unsigned i = 0; i < FLOW_TEXTS; i++)
		r.text[i] = "www.example.org";
	len = flow_pack(&r, out);
	MUST(len > 0);
	return (size_t)len;
}

// As a reader of flow files has it.
static json_t *read_back(json_t *written)
{
	char *line;
	json_t *o;

	MUST(written != NULL);
	line = json_dumps(written, JSON_COMPACT);
	MUST(line != NULL);
	o = flow_line_load(line, strlen(line));
	free(line);
	return o;
}

static void record(const uint8_t *data, size_t size)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	struct flow_record r, again;
	size_t len = pack(packed);
	uint8_t *exact;

	for (; size >= 3; data += 3, size -= 3) {
		const size_t place = (data[0] & 127u) << 8 | data[1];

		if (data[0] & 128)
			packed[len - 1 - place % len] = data[2];
		else
			packed[place % len] = data[2];
	}
	if (size > 0)
		len -= data[0] * len / 256;
	exact = malloc(len ? len : 1);
	MUST(exact);
	memcpy(exact, packed, len);
	if (flow_unpack(exact, len, &r) == 0 && flow_texts_safe(&r)) {
		json_t *o = flow_json(&r), *back;

		MUST(o != NULL);
		back = read_back(o);
		MUST(back != NULL);
		if (flow_parse(back, &again) == 0) {
			json_t *twice = flow_json(&again);

			MUST(json_equal(back, twice));
			json_decref(twice);
		}
		json_decref(back);
		json_decref(o);
	}
	free(exact);
}

static void order(const uint8_t *data, size_t size)
{
	struct inspected entries[FLOW_STREAM_ORDER_MAX], again[FLOW_STREAM_ORDER_MAX];
	const size_t count = size / sizeof(*entries);
	json_t *o, *back;

	if (count == 0 || count > FLOW_STREAM_ORDER_MAX)
		return;
	memcpy(entries, data, count * sizeof(*entries));
	o = flow_order_json(entries, (unsigned)count);
	if (!o)
		return;
	back = read_back(o);
	MUST(back != NULL && flow_order_parse(back, again) == (int)count);
	for (size_t i = 0; i < count; i++) {
		const struct inspected *a = &entries[i], *b = &again[i];

		MUST(a->kind == b->kind);
		MUST(a->kind != INSPECTED_FRAME ||
		        (a->lane == b->lane && a->segment == b->segment && a->frame == b->frame));
		MUST(a->kind == INSPECTED_FRAME || a->kind == INSPECTED_END || a->ns == b->ns);
		MUST(a->kind != INSPECTED_START || a->lane == b->lane);
	}
	json_decref(back);
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0)
		record(data + 1, size - 1);
	else
		order(data + 1, size - 1);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Any lines as ledger lines: what is accepted is in the one form of section 2.1, so that printing it again gives the
// same bytes, and fits the table of section 2.2.
#include <string.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "tests/fuzz/fuzz.h"

static void check_entries(const struct ledger_line *line)
{
	struct ledger_progress_entry entry;
	struct field_fault fault;
	json_t *item;
	size_t i;

	if (line->type != LINE_PROGRESS)
		return;
	json_array_foreach(line->progress.segments, i, item)
	        MUST(fields_parse(item, progress_entry_fields, &entry, &fault) == 0 && entry.lane < LANES_MAX);
}

static void one_line(const char *text, size_t len)
{
	struct field_fault fault = {0};
	struct ledger_line line;
	json_t *object = NULL;
	size_t again_len = 0;
	char *again;

	if (ledger_line_parse(text, len, LEDGER_LINE_MAX, &object) < 0)
		return;
	again = ledger_line_print(object, LEDGER_LINE_MAX, &again_len);
	MUST(again && again_len == len + 1 && memcmp(again, text, len) == 0 && again[len] == '\n');
	free(again);
	if (ledger_line_take(object, &line, &fault) == 0) {
		MUST(line.type < LINE_TYPES);
		check_entries(&line);
	} else {
		MUST(fault.key && fault.expected);
	}
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size;

		one_line(text, len);
		text += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
	return 0;
}

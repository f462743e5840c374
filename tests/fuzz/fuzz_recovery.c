// SPDX-License-Identifier: Apache-2.0
// Any bytes as recovery.json (section 6): accepted is one form only, and the statement that is signed leaves out the
// signature and nothing else.
#include <string.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/evidence/reader/limits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recovery_segment segment;
	struct field_fault fault = {0};
	struct recovery recovery = {0};
	json_t *object = NULL, *item;
	size_t len, i;
	char *text;

	if (size < 1 || data[size - 1] != '\n' ||
	        ledger_line_parse((const char *)data, size - 1, RECOVERY_MAX, &object) < 0)
		return 0;
	text = ledger_line_print(object, RECOVERY_MAX, &len);
	MUST(text && len == size && memcmp(text, data, size) == 0);
	free(text);
	if (fields_parse(object, recovery_fields, &recovery, &fault) == 0) {
		json_array_foreach(recovery.segments, i, item)
		        MUST(fields_parse(item, recovery_segment_fields, &segment, &fault) == 0);
		json_object_del(object, "origin_signature");
		text = ledger_line_print(object, RECOVERY_MAX, &len);
		MUST(text && len == size - (recovery.has_signature ? strlen(",\"origin_signature\":\"\"") + 128 : 0));
		free(text);
	}
	json_decref(object);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Owns the rule by which bytes of an input become an interface name.
// One thread: RX of the recorder, or the verifier; no state.
// Must not fail: a capture with a broken name is a capture.
#include <string.h>

#include "sensor/sources/file/source_file.h"

// Length of the well-formed UTF-8 sequence (Unicode 15, table 3-7) at bytes, 0 when there is none.
static size_t utf8_sequence(const uint8_t *bytes, size_t len)
{
	uint8_t first = bytes[0], low = 0x80, high = 0xbf;
	size_t need;

	if (first < 0x7f)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	need = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (len < need)
		return 0;
	if (first == 0xe0)
		low = 0xa0; // no overlong forms
	else if (first == 0xed)
		high = 0x9f; // no surrogates
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f; // nothing above U+10FFFF
	if (bytes[1] < low || bytes[1] > high)
		return 0;
	for (size_t i = 2; i < need; ++i)
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	return need;
}

void source_file_name(const uint8_t *bytes, size_t len, char out[256])
{
	static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd};
	size_t used = 0;

	while (len && *bytes) {
		size_t taken = utf8_sequence(bytes, len);
		const uint8_t *from = taken ? bytes : replacement;
		size_t put = taken ? taken : sizeof(replacement);

		if (used + put > 255)
			break;
		memcpy(out + used, from, put);
		used += put;
		bytes += taken ? taken : 1;
		len -= taken ? taken : 1;
	}
	out[used] = 0;
}

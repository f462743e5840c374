// SPDX-License-Identifier: Apache-2.0
// Any bytes as an index, with a hash that fits them: what is given out lies within them.
#include <openssl/evp.h>
#include <string.h>

#include "analyzers/segment_index.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_index index;
	struct indexed_frame f;
	uint8_t *file;
	uint32_t frames = 0;

	if (size > 65536)
		return 0;
	file = malloc(size + INDEX_HASH_LEN);
	MUST(file);
	memcpy(file, data, size);
	EVP_Digest(file, size, file + size, NULL, EVP_sha256(), NULL);
	// Of the segment that it says it is of.
	if (size >= 56 &&
	        segment_index_open(&index, file, size + INDEX_HASH_LEN, file + 16,
	                (uint64_t)file[48] | (uint64_t)file[49] << 8 | (uint64_t)file[50] << 16 |
	                        (uint64_t)file[51] << 24 | (uint64_t)file[52] << 32 | (uint64_t)file[53] << 40 |
	                        (uint64_t)file[54] << 48 | (uint64_t)file[55] << 56) == 0) {
		while (segment_index_next(&index, &f) > 0) {
			MUST(++frames <= index.frames);
			MUST(f.filter >= file && f.filter + f.filter_bytes <= file + size);
			MUST(f.root >= file && f.root + INDEX_HASH_LEN <= file + size);
			indexed_frame_may_have(&f, frames);
		}
	}
	free(file);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// `verify --input FILE`: is FILE what an ingested recording says it read?
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/recording_dir.h"

#define ROOM (1u << 20)

static int hash_input(const char *path, uint64_t *ret_bytes, uint8_t out[DIGEST_LEN])
{
	struct digest *d = digest_new();
	uint8_t *buffer = malloc(ROOM);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	long n = fd < 0 ? -errno : 0;
	uint64_t bytes = 0;

	if (!d || !buffer)
		n = -ENOMEM;
	while (n >= 0 && (n = read_full(fd, buffer, ROOM)) > 0) {
		digest_update(d, buffer, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (n == 0) {
		digest_peek(d, out);
		*ret_bytes = bytes;
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	digest_free(d);
	return (int)n;
}

void verify_input(struct verify_report *r, const char *path)
{
	uint8_t hash[DIGEST_LEN];
	uint64_t bytes = 0;
	int error = hash_input(path, &bytes, hash);

	if (error < 0) {
		report_add(r, VERDICT_UNREADABLE, "input-unreadable", path, "a readable file", strerror(-error));
		return;
	}
	for (size_t i = 0; i < r->source_count; i++)
		if (r->sources[i].read && r->sources[i].bytes == bytes &&
		        memcmp(r->sources[i].sha256, hash, DIGEST_LEN) == 0)
			return;
	report_add(r, VERDICT_INVALID, "input-mismatch", path,
	        "size and SHA-256 of one of the recording's `source` lines",
	        NOTE("%" PRIu64 " bytes, %s", bytes, NOTE_HEX(hash)));
}

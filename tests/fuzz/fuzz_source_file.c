// SPDX-License-Identifier: Apache-2.0
// Any bytes as an input file: the source must end, keep to its bounds, and count what it delivered.
// Must not write outside a memfd.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sealtap/source.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "tests/fuzz/fuzz.h"

static int memfd_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
}

// The ledger must be able to say a name as the segment does.
static void check_names(const struct source *s)
{
	for (unsigned i = 0; i < s->lane_count; i++) {
		const char *name = s->lanes[i].interface;
		json_t *text = json_text(name, strlen(name));

		MUST(text && strcmp(json_string_value(text), name) == 0 && strlen(name) <= 255);
		json_decref(text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source_file_config config = {.name = "fuzz", .extra_fd = memfd_create("extra", MFD_CLOEXEC)};
	struct packet batch[17];
	struct source *s;
	uint64_t packets = 0, sum = 0;
	int n;

	config.fd = memfd_of(data, size);
	if (digest_init() < 0)
		abort();
	if (source_file_open(&config, &s, NULL) < 0) {
		close(config.fd);
		goto out;
	}
	while ((n = s->ops->recv(s, batch, 17, 0)) >= 0) {
		for (int i = 0; i < n; ++i) {
			if (batch[i].caplen > CAPLEN_MAX || batch[i].lane >= s->lane_count)
				abort();
			for (uint32_t k = 0; k < batch[i].caplen; ++k)
				sum += batch[i].data[k];
		}
		packets += (unsigned)n;
		s->ops->release(s);
	}
	if (n != -ENODATA || s->end.packets != packets || s->end.bytes != size || sum > UINT64_MAX / 2)
		abort();
	if (s->end.damaged != (s->end.damage_reason[0] != 0))
		abort();
	check_names(s);
	s->ops->close(s);
out:
	close(config.extra_fd);
	return 0;
}

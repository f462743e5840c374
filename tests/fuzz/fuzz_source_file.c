// SPDX-License-Identifier: Apache-2.0
// Any bytes as an input file: the source must end, keep to its bounds, and count what it delivered.
// One process, one thread; libFuzzer's entry point, or with -DFUZZ_ONE_FILE a main that runs the files it is given.
// Must not write outside a memfd.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sealtap/source.h"
#include "sensor/evidence/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memfd_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	return fd;
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
	s->ops->close(s);
out:
	close(config.extra_fd);
	return 0;
}

#ifdef FUZZ_ONE_FILE
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; ++i) {
		FILE *f = fopen(argv[i], "rb");
		size_t size = 0, room = 1 << 16, n;
		uint8_t *data = malloc(room);

		if (!f || !data)
			return 1;
		while ((n = fread(data + size, 1, room - size, f)) > 0) {
			size += n;
			if (size == room && !(data = realloc(data, room *= 2)))
				return 1;
		}
		fclose(f);
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	return 0;
}
#endif

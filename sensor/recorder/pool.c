// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/pool.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static size_t header_bytes(uint32_t blocks)
{
	size_t bytes = sizeof(struct pool_shared) + blocks * sizeof(struct block);

	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static size_t pool_bytes(uint32_t blocks)
{
	return header_bytes(blocks) + (size_t)blocks * BLOCK_BYTES;
}

int pool_create(uint32_t blocks, int *ret_fd, struct error *e)
{
	int fd = memfd_create("sealtap-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_set(e, -errno, "cannot make the block pool: %s", strerror(errno));
	if (ftruncate(fd, (off_t)pool_bytes(blocks)) < 0 ||
	        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int r = -errno;

		close(fd);
		return error_set(e, r, "cannot size the block pool of %u MiB: %s", blocks, strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

int pool_map(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e)
{
	struct pool p = {.blocks = blocks};
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0 || st.st_size != (off_t)pool_bytes(blocks))
		return error_set(e, -EBADMSG, "the block pool has not the size that the job states");
	map = mmap(NULL, pool_bytes(blocks), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error_set(e, -errno, "cannot map the block pool: %s", strerror(errno));
	p.shared = map;
	p.block = (struct block *)(p.shared + 1);
	p.data = (uint8_t *)map + header_bytes(blocks);
	if (p.shared->magic == 0) {
		p.shared->magic = POOL_MAGIC;
		p.shared->blocks = blocks;
	} else if (p.shared->magic != POOL_MAGIC || p.shared->blocks != blocks ||
	           atomic_load(&p.shared->lane_count) > LANES_MAX) {
		return error_set(e, -EBADMSG, "the block pool is not well-formed");
	} else {
		p.shared->generation++;
	}
	*ret_pool = p;
	return 0;
}

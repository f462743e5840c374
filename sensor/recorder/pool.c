// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PAGE 4096u
#define HUGE_PAGE (2u << 20)
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // Linux 5.14
#endif

static size_t header_bytes(uint32_t blocks)
{
	size_t bytes = sizeof(struct pool_shared) + blocks * sizeof(struct block);

	return (bytes + PAGE - 1) / PAGE * PAGE;
}

// The same on pages of either size; what lies beyond the last block is never touched.
static size_t pool_bytes(uint32_t blocks)
{
	size_t bytes = header_bytes(blocks) + (size_t)blocks * BLOCK_BYTES;

	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

static int make(uint32_t blocks, unsigned flags)
{
	int fd = memfd_create("sealtap-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	int r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)pool_bytes(blocks)) == 0 &&
	        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

// Mapping reserves the pages for as long as the file lives: the recorder will have them.
static int make_huge(uint32_t blocks)
{
	int fd = make(blocks, MFD_HUGETLB | MFD_HUGE_2MB);
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, pool_bytes(blocks), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	munmap(map, pool_bytes(blocks));
	return fd;
}

int pool_create(uint32_t blocks, bool huge, int *ret_fd, struct error *e)
{
	int fd = huge ? make_huge(blocks) : -ENOMEM;

	if (fd < 0)
		fd = make(blocks, 0);
	if (fd < 0)
		return error_set(e, fd, "cannot make the block pool of %u MiB: %s", blocks, strerror(-fd));
	*ret_fd = fd;
	return 0;
}

static int map(int fd, uint32_t blocks, int protection, struct pool *ret_pool, struct error *e)
{
	struct statfs fs;
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0 || st.st_size != (off_t)pool_bytes(blocks))
		return error_set(e, -EBADMSG, "the block pool has not the size that the job states");
	at = mmap(NULL, pool_bytes(blocks), protection, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(e, -errno, "cannot map the block pool: %s", strerror(errno));
	*ret_pool = (struct pool){.blocks = blocks,
	        .huge = fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC,
	        .shared = at,
	        .block = (struct block *)((struct pool_shared *)at + 1),
	        .data = (uint8_t *)at + header_bytes(blocks)};
	return 0;
}

int pool_map_readonly(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e)
{
	return map(fd, blocks, PROT_READ, ret_pool, e);
}

int pool_map(int fd, uint32_t blocks, struct pool *ret_pool, struct error *e)
{
	struct pool p;
	int r = map(fd, blocks, PROT_READ | PROT_WRITE, &p, e);

	if (r < 0)
		return r;
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

int pool_fill(const struct pool *p, uint32_t first, uint32_t end, struct error *e)
{
	// The first of them takes the headers along; a page is populated whole.
	uint8_t *from = first == 0 ? (uint8_t *)p->block : pool_data(p, first), *to = pool_data(p, end);
	size_t page = p->huge ? HUGE_PAGE : PAGE;

	from -= (uintptr_t)from % page;
	if (madvise(from, (size_t)(to - from), MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL) // which an older kernel says
		return error_set(e, -errno, "no memory for a pool of %u MiB: %s; give a smaller --pool, or free some",
		        p->blocks, strerror(errno));
	for (volatile uint8_t *at = from; at < to; at += page)
		*at = *at;
	return 0;
}

void pool_lock(struct pool *p)
{
	p->locked = p->huge || mlock(p->block, (size_t)(pool_data(p, p->blocks) - (uint8_t *)p->block)) == 0;
}

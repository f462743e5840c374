// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/export_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define TRIES 4 // to read between two turns

int export_state_make(int *ret_fd)
{
	int fd = memfd_create("sealtap-export", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct export_state)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

struct export_state *export_state_map(int fd, bool write)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0 || st.st_size != sizeof(struct export_state) ||
	        (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
		return NULL;
	map = mmap(NULL, sizeof(struct export_state), write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

void export_state_put(struct export_slot *slot, const struct export_progress *progress)
{
	uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_relaxed) + 1;

	atomic_thread_fence(memory_order_release); // the turn before stands before this copy changes
	slot->copy[turn & 1] = *progress;
	atomic_store_explicit(&slot->turn, turn, memory_order_release); // pairs with export_state_get
}

void export_state_get(const struct export_slot *slot, struct export_progress *ret_progress)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

		*ret_progress = slot->copy[turn & 1];
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->turn, memory_order_relaxed) == turn)
			break;
	}
	ret_progress->error[sizeof(ret_progress->error) - 1] = '\0';
}

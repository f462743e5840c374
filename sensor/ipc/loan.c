// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/loan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int memory_readonly(int fd)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

// Of a size that nobody can change: what is mapped stays there.
static int make(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

int loans_create(int *ret_loans_fd, int *ret_loans_readonly_fd, int *ret_reply_fd, struct error *e)
{
	int loans = make("sealtap-loans", sizeof(struct loans)),
	    reply = make("sealtap-reply", sizeof(struct loan_reply));
	int readonly = loans < 0 ? loans : memory_readonly(loans), r = readonly < 0 ? readonly : reply;

	if (r >= 0) {
		*ret_loans_fd = loans;
		*ret_loans_readonly_fd = readonly;
		*ret_reply_fd = reply;
		return 0;
	}
	if (loans >= 0)
		close(loans);
	if (readonly >= 0)
		close(readonly);
	if (reply >= 0)
		close(reply);
	return error_set(e, r, "cannot make the memory for loans: %s", strerror(-r));
}

static int map(int fd, size_t size, bool writable, void **ret_map, struct error *e)
{
	struct stat st;
	void *at;

	if (fstat(fd, &st) < 0 || st.st_size != (off_t)size)
		return error_set(e, -EBADMSG, "the memory for loans has not the size that it should have");
	at = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return error_set(e, -errno, "cannot map the memory for loans: %s", strerror(errno));
	*ret_map = at;
	return 0;
}

int loans_map(int fd, bool writable, struct loans **ret_loans, struct error *e)
{
	void *at = NULL;
	int r = map(fd, sizeof(struct loans), writable, &at, e);

	*ret_loans = at;
	return r;
}

int loan_reply_map(int fd, bool writable, struct loan_reply **ret_reply, struct error *e)
{
	void *at = NULL;
	int r = map(fd, sizeof(struct loan_reply), writable, &at, e);

	*ret_reply = at;
	return r;
}

void loans_ring(struct loans *l)
{
	atomic_fetch_add_explicit(&l->bell, 1, memory_order_seq_cst);
	syscall(SYS_futex, &l->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint32_t loans_bell(const struct loans *l)
{
	return atomic_load_explicit(&l->bell, memory_order_seq_cst);
}

void loans_wait(const struct loans *l, uint32_t seen, int timeout_ms)
{
	struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};

	// On memory that this process cannot write: the kernel only reads it.
	syscall(SYS_futex, &l->bell, FUTEX_WAIT, seen, &timeout, NULL, 0);
}

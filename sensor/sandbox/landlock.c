// SPDX-License-Identifier: Apache-2.0
// Landlock by its three system calls: Debian 12's libc has no wrappers.
#include "sensor/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13) // ABI 2, kernel 5.19
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) // ABI 3, kernel 6.2
#endif
#define ACCESS_FS_ABI_1 ((1ULL << 13) - 1)

#define ACCESS_WRITE_DIR                                                                                               \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                  \
	        LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |           \
	        LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static int add_rule(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr beneath = {.allowed_access = access, .parent_fd = fd};

	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
}

// A file has not the rights of a directory.
static int add_path(int ruleset, const char *path, uint64_t access)
{
	int fd = open(path, O_PATH | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	r = add_rule(ruleset, fd, access);
	close(fd);
	return r;
}

static int ruleset_new(uint64_t *ret_handled)
{
	// Only the fields of ABI 1, so that every kernel takes the size.
	struct {
		uint64_t handled_access_fs;
	} attr = {ACCESS_FS_ABI_1};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset;

	if (abi < 1)
		return -ENOTSUP;
	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	*ret_handled = attr.handled_access_fs;
	return ruleset;
}

// Takes the ruleset, also when r says that it could not be completed.
static int enter(int ruleset, int r)
{
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	close(ruleset);
	return r;
}

int landlock_restrict(const int *write_dirs, unsigned count, const char *read_dir)
{
	uint64_t handled = 0;
	int ruleset = ruleset_new(&handled), r = 0;

	if (ruleset < 0)
		return ruleset;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = add_rule(ruleset, write_dirs[i], ACCESS_WRITE_DIR & handled);
	if (r == 0 && read_dir)
		r = add_path(ruleset, read_dir, ACCESS_READ);
	return enter(ruleset, r);
}

int landlock_restrict_reading(const struct landlock_reading *l)
{
	uint64_t handled = 0;
	int ruleset = ruleset_new(&handled), r = 0;

	if (ruleset < 0)
		return ruleset;
	for (unsigned i = 0; i < l->read_dir_count && r == 0; i++)
		r = add_rule(ruleset, l->read_dirs[i], ACCESS_READ);
	for (unsigned i = 0; i < l->path_count; i++)
		add_path(ruleset, l->paths[i], ACCESS_READ); // what fails here fails when it is opened
	for (unsigned i = 0; i < l->write_dir_count && r == 0; i++)
		r = add_rule(ruleset, l->write_dirs[i], ACCESS_WRITE_DIR & handled);
	return enter(ruleset, r);
}

int landlock_restrict_listing(const char *const *dirs, unsigned count, const char *also)
{
	uint64_t handled = 0;
	int ruleset = ruleset_new(&handled), r = 0;

	if (ruleset < 0)
		return ruleset;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = dirs[i] ? add_path(ruleset, dirs[i], LANDLOCK_ACCESS_FS_READ_DIR) : 0;
	if (r == 0 && also)
		r = add_path(ruleset, also, ACCESS_READ);
	return enter(ruleset, r);
}

int landlock_restrict_writing(const int *write_dirs, unsigned count)
{
	uint64_t handled = 0, existing = ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
	int ruleset = ruleset_new(&handled), r;

	if (ruleset < 0)
		return ruleset;
	r = add_path(ruleset, "/", ACCESS_READ);
	if (r == 0)
		r = add_path(ruleset, "/dev", existing & handled);
	if (r == 0)
		r = add_path(ruleset, "/sys", existing & handled);
	for (unsigned i = 0; i < count && r == 0; i++)
		r = add_rule(ruleset, write_dirs[i], ACCESS_WRITE_DIR & handled);
	return enter(ruleset, r);
}

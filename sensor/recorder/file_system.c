// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/file_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROBE_BYTES (1 << 20)

int file_system_of(int fd, struct file_system *ret_fs)
{
	// From linux/magic.h and, where that has none, the file systems' own sources.
	static const struct {
		uint32_t type;
		struct file_system fs;
	} known[] = {
	        {0xEF53, {FILE_SYSTEM_LOCAL, "ext2/3/4"}},
	        {0x58465342, {FILE_SYSTEM_LOCAL, "xfs"}},
	        {0x9123683E, {FILE_SYSTEM_LOCAL, "btrfs"}},
	        {0x794C7630, {FILE_SYSTEM_LOCAL, "overlay"}},
	        {0x2FC12FC1, {FILE_SYSTEM_LOCAL, "zfs"}},
	        {0xF2F52010, {FILE_SYSTEM_LOCAL, "f2fs"}},
	        {0x01021994, {FILE_SYSTEM_MEMORY, "tmpfs"}},
	        {0x858458F6, {FILE_SYSTEM_MEMORY, "ramfs"}},
	        {0x00006969, {FILE_SYSTEM_REMOTE, "nfs"}},
	        {0x0000517B, {FILE_SYSTEM_REMOTE, "smb"}},
	        {0xFF534D42, {FILE_SYSTEM_REMOTE, "cifs"}},
	        {0xFE534D42, {FILE_SYSTEM_REMOTE, "smb2"}},
	        {0x00C36400, {FILE_SYSTEM_REMOTE, "ceph"}},
	        {0x01021997, {FILE_SYSTEM_REMOTE, "9p"}},
	        {0x65735546, {FILE_SYSTEM_REMOTE, "fuse"}},
	        {0x0BD00BD0, {FILE_SYSTEM_REMOTE, "lustre"}},
	        {0x19830326, {FILE_SYSTEM_REMOTE, "beegfs"}},
	        {0x6B414653, {FILE_SYSTEM_REMOTE, "afs"}},
	        {0x786F4256, {FILE_SYSTEM_REMOTE, "vboxsf"}},
	        {0x00004D44, {FILE_SYSTEM_NO_OWNERS, "vfat"}},
	        {0x2011BAB0, {FILE_SYSTEM_NO_OWNERS, "exfat"}},
	        {0x5346544E, {FILE_SYSTEM_NO_OWNERS, "ntfs"}},
	        {0x7366746E, {FILE_SYSTEM_NO_OWNERS, "ntfs3"}},
	};
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return -errno;
	*ret_fs = (struct file_system){.kind = FILE_SYSTEM_LOCAL};
	snprintf(ret_fs->name, sizeof(ret_fs->name), "type 0x%x", (unsigned)(uint32_t)s.f_type);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].type == (uint32_t)s.f_type)
			*ret_fs = known[i].fs;
	return 0;
}

const char *file_system_caution(enum file_system_kind kind)
{
	switch (kind) {
	case FILE_SYSTEM_REMOTE:
		return "that what is synced survives a power cut is the word of whoever serves it";
	case FILE_SYSTEM_MEMORY:
		return "in memory, gone with the power";
	default:
		return NULL;
	}
}

int file_system_nameless(int dir_fd)
{
	char name[40];
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	snprintf(name, sizeof(name), ".sealtap-probe.%ld", (long)getpid());
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlinkat(dir_fd, name, 0);
	return fd;
}

int file_system_reserves(int nameless_fd)
{
	return fallocate(nameless_fd, FALLOC_FL_KEEP_SIZE, 0, PROBE_BYTES) < 0 ? -errno : 0;
}

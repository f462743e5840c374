// SPDX-License-Identifier: Apache-2.0
// What kind of file system a recording is to lie on, and what that means for evidence. Supervisor, recorder, doctor.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum file_system_kind {
	FILE_SYSTEM_LOCAL,
	FILE_SYSTEM_REMOTE, // a server or another program keeps the data: what it says about a sync cannot be checked
	FILE_SYSTEM_MEMORY,
	FILE_SYSTEM_NO_OWNERS, // FAT and its like: neither owners nor modes, and files end at 4 GiB
};

struct file_system {
	enum file_system_kind kind;
	char name[24];
};

int file_system_of(int fd, struct file_system *ret_fs);
// What an operator and a reader of the ledger should know, or NULL.
const char *file_system_caution(enum file_system_kind kind);
// A file without a name in the directory, for reading and writing; or a negative errno.
int file_system_nameless(int dir_fd);
// Room can be reserved ahead of writing: 0, or a negative errno.
int file_system_reserves(int nameless_fd);

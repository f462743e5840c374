// SPDX-License-Identifier: Apache-2.0
#pragma once

// No file can be opened any more but below the given directories, and below read_dir (may be NULL) for reading.
// -ENOTSUP when the kernel has no Landlock. no_new_privs must be set before.
int landlock_restrict(const int *write_dirs, unsigned count, const char *read_dir);
// No file can be opened any more but, for reading, those at and below read_dirs and paths, of which some may not be
// there, and those below write_dirs.
struct landlock_reading {
	const int *read_dirs;
	unsigned read_dir_count;
	const char *const *paths;
	unsigned path_count;
	const int *write_dirs;
	unsigned write_dir_count;
};
int landlock_restrict_reading(const struct landlock_reading *l);
// No file can be opened any more; the names below the given directories may be listed. NULL: none; also as above.
int landlock_restrict_listing(const char *const *dirs, unsigned count, const char *also);
// The wider one: every file may be read; written only below the given directories, and what exists below /dev and /sys.
int landlock_restrict_writing(const int *write_dirs, unsigned count);

// SPDX-License-Identifier: Apache-2.0
// Gives up what a role does not need: user id, capabilities, files (Landlock, kernel 5.13), system calls (seccomp).
// Call once, after everything has been opened and before any thread exists: Landlock binds the calling thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"

enum sandbox_role {
	SANDBOX_RECORDER,
	SANDBOX_RECORDER_THREADS, // with a driver that has threads of its own (DPDK): more system calls for its PMDs
	SANDBOX_KEEPER,
	SANDBOX_SIGNER,
	SANDBOX_INSPECTOR, // threads, and what is mapped and open already
	SANDBOX_FLOWLOG,   // files below write_dirs
	SANDBOX_METRICS,   // lists what lies below list_dirs, connects to AF_UNIX sockets of any user that it can reach
	SANDBOX_EXPORTER,  // the network (IP), below read_dirs, and what names and certificates are found by
	SANDBOX_READER,    // of a recording; reads as its user can below read_dirs, also what only root may read; and
	                   // below write_dirs, where there are any, it may keep files
	SANDBOX_VERIFIER   // a reader with threads
};

struct sandbox {
	enum sandbox_role role;
	uint32_t uid;       // UINT32_MAX: keep the present one
	int write_dirs[10]; // directories below which files may be made, read and written
	unsigned write_dir_count;
	const char *list_dirs[2]; // SANDBOX_METRICS; NULL where there is none
	const int *read_dirs; // READER, VERIFIER, EXPORTER: directories below which files may be opened, for reading
	unsigned read_dir_count;
	bool quiet;                // a kernel without Landlock is not reported
	const char *read_paths[2]; // READER, VERIFIER: and files or directories besides; NULL where there is none
};

// For the supervisor, at its start: of its capabilities, those that no process of the tree uses go for good. It keeps
// user, files and system calls, for a recorder that it starts anew inherits every limit and opens its sources first.
void sandbox_supervisor(void);
// For SANDBOX_RECORDER_THREADS, before the driver opens and starts its threads. These can never write a file but below
// write_dirs and what exists below /dev and /sys, and gain nothing by exec; but they may open what their user may read,
// for sandbox_enter's Landlock binds only its caller and the threads made later. Its user id, which takes the
// capabilities along, and its seccomp hold for all threads.
int sandbox_before_threads(const struct sandbox *s, struct error *e);
// 0, or a negative errno with e. A kernel without Landlock is reported on stderr and is no error; one without seccomp
// is.
int sandbox_enter(const struct sandbox *s, struct error *e);

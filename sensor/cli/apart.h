// SPDX-License-Identifier: Apache-2.0
// What parses a recording for its packets, in a process of its own that has given up everything but reading that
// recording and writing what is open already; and, where it keeps indexes, one directory of the cache. The process that
// asked reads no byte of the recording: it opens files before and names them afterwards.
#pragma once

#include "sensor/evidence/reader/recording_dir.h"

struct apart {
	const char *verb;
	const struct recording_dir *dir;
	int write_dir; // below which it may write; -1: nowhere
};

// Runs it and waits: what it returns, or an enum cli_exit after saying why it could not.
int apart_run(const struct apart *a, int (*run)(void *user), void *user);

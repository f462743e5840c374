// SPDX-License-Identifier: Apache-2.0
// Finds and starts the role executables: beside the caller's own (a build directory), else in libexec (installed).
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sealtap/error.h"

#define SPAWN_FDS_MAX 16

// The path of NAME: 0, or a negative errno with e.
int role_path(const char *name, char *out, unsigned long size, struct error *e);

// Starts NAME with fds[i] as descriptor first + i and no others but stderr; stdin only when asked. The child does not
// take part in the terminal's ^C: its orders come over its socket. The caller's copies stay open.
int spawn_role(
        const char *name, const int *fds, unsigned count, int first, bool keep_stdin, pid_t *ret_pid, struct error *e);

// SPDX-License-Identifier: Apache-2.0
// Starts the role executables, which lie beside the supervisor's own.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sealtap/error.h"

#define SPAWN_FDS_MAX 8

// Starts NAME with fds[i] as descriptor first + i and no others but stderr; stdin only when asked. The child does not
// take part in the terminal's ^C: its orders come over its socket. The supervisor's copies stay open.
int spawn_role(const char *name, const int *fds, unsigned count, int first, bool keep_stdin, pid_t *ret_pid, struct error *e);

// SPDX-License-Identifier: Apache-2.0
// All of some bytes into a file or a pipe: a short write goes on, and so does one that a signal interrupted. Any
// thread. 0 or a negative errno; how much was written is not known then.
#pragma once

#include <stddef.h>
#include <stdint.h>

int write_all(int fd, const void *data, size_t len);
int write_all_at(int fd, const void *data, size_t len, uint64_t offset);

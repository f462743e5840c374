// SPDX-License-Identifier: Apache-2.0
// Numbers as people write them on a command line.
#pragma once

#include <stdint.h>

int quantity_count(const char *text, uint64_t *ret_value); // decimal digits; -EINVAL
int quantity_size(const char *text, uint64_t *ret_bytes);  // 20G, 500M: powers of 1024, K to T; -EINVAL
int quantity_time(const char *text, uint64_t *ret_ns);     // 10s, 500ms, 5m, 2h, 1d; a bare number is seconds; -EINVAL

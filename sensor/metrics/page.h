// SPDX-License-Identifier: Apache-2.0
// The page of metrics: what was seen of the running captures, in Prometheus' text format 0.0.4. Pure; texts come from
// other processes and may be anything. One table names every metric (docs/operations.md).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sensor/cli/runs.h"

#define PAGE_BYTES_MAX (16u << 20)

// Captures that would make the page longer than PAGE_BYTES_MAX, or claim the name of one before them, are left out and
// counted. confidential: with the reference and the operator. now_ns: CLOCK_REALTIME. 0, or -ENOMEM; free(*ret_text).
int page_new(const struct runs_seen *seen, bool confidential, uint64_t now_ns, uint64_t took_ns, char **ret_text,
        size_t *ret_len);

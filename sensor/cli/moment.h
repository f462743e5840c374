// SPDX-License-Identifier: Apache-2.0
// Points in time as people write them.
#pragma once

#include <stdint.h>

// RFC 3339 with up to nine decimals and Z or an offset ("2026-03-01T09:30:00.25Z", "2026-03-01 10:30:00+01:00"), or
// seconds since 1970 with up to nine decimals. 0 and nanoseconds since 1970, or -EINVAL.
int moment_parse(const char *text, uint64_t *ret_ns);

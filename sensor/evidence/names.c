// SPDX-License-Identifier: Apache-2.0
#include "sealtap/evidence.h"

const char *const drop_cause_names[DROP_CAUSES] = {
        [DROP_POOL] = "pool",
        [DROP_DISK] = "disk",
        [DROP_OVERSIZE] = "oversize",
        [DROP_CRASH] = "crash",
};

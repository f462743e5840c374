// SPDX-License-Identifier: Apache-2.0
// --cutoff SIZE[:APP[,APP]...] of capture. One thread.
#pragma once

#include "sensor/ipc/job.h"

struct cutoff_option {
	uint64_t bytes;   // 0: none
	const char *apps; // with commas between; NULL: of every flow
};

// 10M, and 10MB, which is the same here. 0 or -EINVAL.
int cutoff_option_set(struct cutoff_option *o, const char *value, struct error *e);
// Looks whether there are such applications. job->flows stands already. 0 or a negative errno.
int cutoff_option_job(const struct cutoff_option *o, struct job *job, struct error *e);

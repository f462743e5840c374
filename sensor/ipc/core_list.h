// SPDX-License-Identifier: Apache-2.0
// Sets of cores as people and the kernel write them: 2-5,8.
#pragma once

#include <sched.h>
#include <stddef.h>

int core_list_parse(const char *text, cpu_set_t *ret_set);            // -EINVAL
void core_list_text(const cpu_set_t *set, char *out, size_t size);    // what does not fit is left out
int core_list_allowed(cpu_set_t *ret_set);                            // to this process: its mask, within its cpuset
int core_list_missing(const cpu_set_t *set, const cpu_set_t *within); // the least core that is not within, or -1

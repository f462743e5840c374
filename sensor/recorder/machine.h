// SPDX-License-Identifier: Apache-2.0
// What the recorder wants to know of the machine around an interface: its speed, and which memory and cores lie near
// it. Main thread, before the sandbox closes: reads /sys and asks by ioctl.
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

uint64_t machine_link_mbit(const char *interface); // 0: not told
int machine_node(const char *interface);           // NUMA node of its card or PCI address; -1: unknown, or all are one
bool machine_node_cores(int node, cpu_set_t *ret_set);
void machine_prefer(
        int node); // memory that is touched first from now on comes from there; -1: from where it is touched

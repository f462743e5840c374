// SPDX-License-Identifier: Apache-2.0
// Which cores the threads run on, under which name and at which priority. Planned by the main thread before the sandbox
// closes; each thread then places itself.
//
// With --rx-cores or --seal-cores each thread has one core of the list. Left alone, receiving threads may run on any
// core of their card's NUMA node, and on four cores or more some of these are kept free of sealers: no thread is tied
// to a core that interrupts may keep busy. On fewer cores the system's own choice is better than any rule.
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

struct recorder;

struct placement {
	bool placed; // false: where the main thread runs
	cpu_set_t cores;
};

unsigned cores_sealers(const struct recorder *r); // how many there shall be; once the sources are open
void cores_plan(struct recorder *r);
// "rx0 (eth1) on core 2, 3 sealers on cores 3-5": of one of the job's sources, or of all.
#define CORES_ALL_SOURCES (-1)
void cores_text(const struct recorder *r, int source, char *out, size_t size);

// The main thread raises its own priority for a capture and as far as it may, before privileges go; threads inherit
// that. Receiving ones keep it, the others go back by cores_enter, and the main thread itself by cores_lower.
void cores_raise(struct recorder *r);
void cores_lower(const struct recorder *r);
// First thing in a thread of the pipeline. p may be NULL.
void cores_enter(const struct recorder *r, const char *name, int number, const struct placement *p, bool raised);

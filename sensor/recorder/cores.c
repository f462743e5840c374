// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/cores.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sensor/ipc/core_list.h"
#include "sensor/recorder/machine.h"
#include "sensor/recorder/recorder.h"

#define SPREAD_CORES_MIN 4u
#define CORES_PER_RX 8u // sealing a frame costs some eight times what receiving it does (measured)
#define SEALERS_MAX 64u
#define RX_NICE (-10) // above what nobody has raised; not real time, which could starve the kernel's part of receiving

static bool listed(const cpu_set_t *set)
{
	return CPU_COUNT(set) > 0;
}

static void without(cpu_set_t *set, const cpu_set_t *other)
{
	cpu_set_t both;

	CPU_AND(&both, set, other);
	CPU_XOR(set, set, &both);
}

static int rx_node(const struct recorder *r, unsigned rx)
{
	return machine_node(r->job->source[r->job_source[r->rx[rx].first_source]].name);
}

// Those of the set that lie near; all of it when none does.
static void near(cpu_set_t *set, int node)
{
	cpu_set_t both;

	if (!machine_node_cores(node, &both))
		return;
	CPU_AND(&both, &both, set);
	if (listed(&both))
		*set = both;
}

// Cores on which no sealer shall stand in an RX thread's way: the highest, for interrupts go to the lowest by default.
static void keep_free(const struct recorder *r, const cpu_set_t *allowed, cpu_set_t *ret_kept)
{
	unsigned count = (unsigned)CPU_COUNT(allowed) / CORES_PER_RX;

	count = count == 0 ? 1 : count > r->rx_count ? r->rx_count : count;
	CPU_ZERO(ret_kept);
	for (unsigned i = 0; i < count; i++) {
		cpu_set_t set = *allowed;
		int core = CPU_SETSIZE - 1;

		without(&set, ret_kept);
		near(&set, rx_node(r, i * r->rx_count / count));
		while (core > 0 && !CPU_ISSET(core, &set))
			core--;
		CPU_SET(core, ret_kept);
	}
}

// Where sealers may run, as a whole. False: anywhere.
static bool seal_set(const struct recorder *r, const cpu_set_t *allowed, cpu_set_t *ret_set)
{
	cpu_set_t kept;

	*ret_set = *allowed;
	if (listed(&r->job->seal_cores)) {
		*ret_set = r->job->seal_cores;
		return true;
	}
	if (listed(&r->job->rx_cores))
		kept = r->job->rx_cores;
	else if (CPU_COUNT(allowed) >= (int)SPREAD_CORES_MIN)
		keep_free(r, allowed, &kept);
	else
		return false;
	without(ret_set, &kept);
	if (listed(ret_set))
		return true;
	*ret_set = *allowed;
	return false;
}

unsigned cores_sealers(const struct recorder *r)
{
	cpu_set_t allowed, set;
	long count;

	if (r->job->sealers)
		return r->job->sealers;
	if (core_list_allowed(&allowed) < 0)
		count = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	else
		count = seal_set(r, &allowed, &set) ? CPU_COUNT(&set) : CPU_COUNT(&allowed) - 1;
	return count < 1 ? 1 : count > (long)SEALERS_MAX ? SEALERS_MAX : (unsigned)count;
}

// One core of the list for each thread, near its card while there are any, and anew when all are given away.
static void give_one(const cpu_set_t *list, int node, cpu_set_t *given, struct placement *p)
{
	cpu_set_t set = *list;
	int core = 0;

	without(&set, given);
	if (!listed(&set)) {
		CPU_ZERO(given);
		set = *list;
	}
	near(&set, node);
	while (!CPU_ISSET(core, &set))
		core++;
	CPU_SET(core, given);
	p->placed = true;
	CPU_ZERO(&p->cores);
	CPU_SET(core, &p->cores);
}

void cores_plan(struct recorder *r)
{
	const struct job *job = r->job;
	cpu_set_t allowed, set, given;
	bool placed;

	if (core_list_allowed(&allowed) < 0)
		return; // more cores than a cpu_set_t holds: the system places the threads
	CPU_ZERO(&given);
	for (unsigned i = 0; i < r->rx_count; i++) {
		struct placement *p = &r->rx[i].placement;

		if (listed(&job->rx_cores)) {
			give_one(&job->rx_cores, rx_node(r, i), &given, p);
			continue;
		}
		set = allowed;
		without(&set, &job->seal_cores);
		if (!listed(&set))
			set = allowed;
		near(&set, rx_node(r, i));
		p->placed = !CPU_EQUAL(&set, &allowed);
		p->cores = set;
	}
	placed = seal_set(r, &allowed, &set);
	CPU_ZERO(&given);
	for (unsigned i = 0; i < r->sealer_count; i++) {
		struct placement *p = &r->sealer[i].placement;

		p->placed = placed;
		p->cores = set;
		if (listed(&job->seal_cores))
			give_one(&set, -1, &given, p);
	}
}

static bool same(const struct placement *a, const struct placement *b)
{
	return a->placed == b->placed && CPU_EQUAL(&a->cores, &b->cores);
}

static size_t say(char *out, size_t size, size_t used, const char *threads, const struct placement *p)
{
	char list[256];
	int n;

	core_list_text(&p->cores, list, sizeof(list));
	n = snprintf(out + used, size - used, "%s%s on %s %s", used ? ", " : "", threads,
	        !p->placed                 ? "any core of"
	        : CPU_COUNT(&p->cores) > 1 ? "cores"
	                                   : "core",
	        list);
	return used + (size_t)n < size ? used + (size_t)n : size - 1;
}

void cores_text(const struct recorder *r, int source, char *out, size_t size)
{
	size_t used = 0;
	char threads[64];

	out[0] = '\0';
	if (!listed(&r->sealer[0].placement.cores))
		return; // nothing was planned
	for (unsigned i = 0, last; i < r->rx_count; i = last + 1) {
		uint32_t of = r->job_source[r->rx[i].first_source];

		last = i;
		while (last + 1 < r->rx_count && r->job_source[r->rx[last + 1].first_source] == of &&
		        same(&r->rx[i].placement, &r->rx[last + 1].placement))
			last++;
		if (source != CORES_ALL_SOURCES && (uint32_t)source != of)
			continue;
		if (last > i)
			snprintf(threads, sizeof(threads), "rx%u-%u (%.32s)", i, last, r->job->source[of].name);
		else
			snprintf(threads, sizeof(threads), "rx%u (%.32s)", i, r->job->source[of].name);
		used = say(out, size, used, threads, &r->rx[i].placement);
	}
	for (unsigned i = 0, last; i < r->sealer_count; i = last + 1) {
		last = i;
		while (last + 1 < r->sealer_count && same(&r->sealer[i].placement, &r->sealer[last + 1].placement))
			last++;
		if (last > i)
			snprintf(threads, sizeof(threads), "sealer%u-%u", i, last);
		else
			snprintf(threads, sizeof(threads), "sealer%u", i);
		used = say(out, size, used, threads, &r->sealer[i].placement);
	}
}

void cores_raise(struct recorder *r)
{
	r->usual_nice = getpriority(PRIO_PROCESS, 0);
	if (r->job->kind == JOB_INGEST)
		return;
	r->rx_raised = r->usual_nice <= RX_NICE || setpriority(PRIO_PROCESS, 0, RX_NICE) == 0;
}

void cores_lower(const struct recorder *r)
{
	setpriority(PRIO_PROCESS, 0, r->usual_nice); // downwards anybody may
}

void cores_enter(const struct recorder *r, const char *name, int number, const struct placement *p, bool raised)
{
	char text[16], list[64];

	if (number >= 0)
		snprintf(text, sizeof(text), "%.8s%d", name, number % 10000);
	else
		snprintf(text, sizeof(text), "%s", name);
	pthread_setname_np(pthread_self(), text);
	if (!raised)
		cores_lower(r);
	if (!p || !p->placed || sched_setaffinity(0, sizeof(p->cores), &p->cores) == 0)
		return;
	core_list_text(&p->cores, list, sizeof(list));
	fprintf(stderr, "sealtap: %s cannot be kept on cores %s: %s; it runs where the system puts it\n", text, list,
	        strerror(errno));
}

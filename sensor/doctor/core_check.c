// SPDX-License-Identifier: Apache-2.0
// Cores: how many, how fast, how near the card, and whether threads get their time on them.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sensor/doctor/doctor.h"
#include "sensor/ipc/core_list.h"
#include "sensor/recorder/machine.h"

#define CAP_SYS_NICE_BIT 23
#define RX_NICE 10 // as the recorder asks for

static void count(struct doctor *d, const cpu_set_t *allowed)
{
	static const char why[] = "sealing needs cores of its own beside the one that receives";
	long all = sysconf(_SC_NPROCESSORS_ONLN), n = CPU_COUNT(allowed);
	char list[128];

	core_list_text(allowed, list, sizeof(list));
	if (n < all)
		finding_mend(
		        finding_add(d, "cores", FINDING_WARN, why, "%ld of %ld cores may be used: %s", n, all, list),
		        "taskset -c 0-%ld sealtap capture ... (or widen the cpuset of the cgroup)", all - 1);
	else if (n < 2)
		finding_add(d, "cores", FINDING_WARN, why, "%ld core", n);
	else
		finding_add(d, "cores", FINDING_OK, why, "%ld cores", n);
}

// Of our control group (version 2) and all above it: the least number of cores' worth of time.
static void quota(struct doctor *d)
{
	static const char why[] =
	        "a group that has used up its time stands still for up to a tenth of a second, and the ring "
	        "overflows";
	char group[512] = "", path[640], line[64], tightest[512] = "";
	double least = 0;
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (file && fgets(path, sizeof(path), file))
		if (strncmp(path, "0::", 3) == 0)
			snprintf(group, sizeof(group), "%.500s", path + 3);
	if (file)
		fclose(file);
	group[strcspn(group, "\n")] = '\0';
	for (char *end = group + strlen(group);; *end = '\0') {
		double time, period;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
		if (doctor_read_line(path, line, sizeof(line)) == 0 && sscanf(line, "%lf %lf", &time, &period) == 2 &&
		        period > 0 && (least == 0 || time / period < least)) {
			least = time / period;
			snprintf(tightest, sizeof(tightest), "%.100s", group);
		}
		end = strrchr(group, '/');
		if (!end)
			break;
	}
	if (least > 0)
		finding_mend(finding_add(d, "cpu-quota", FINDING_WARN, why,
		                     "the control group has the time of %.3g cores", least),
		        "echo max >/sys/fs/cgroup%.100s/cpu.max", tightest);
	else
		finding_add(d, "cpu-quota", FINDING_OK, why, "no limit is seen");
}

static void governor(struct doctor *d, const cpu_set_t *allowed)
{
	static const char why[] = "a core that sleeps or clocks down is late for a burst";
	char path[96], line[64], other[64] = "";
	unsigned told = 0, slow = 0;

	for (int i = 0; i < CPU_SETSIZE; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", i);
		if (!CPU_ISSET(i, allowed) || doctor_read_line(path, line, sizeof(line)) < 0)
			continue;
		told++;
		if (strcmp(line, "performance") != 0) {
			slow++;
			snprintf(other, sizeof(other), "%s", line);
		}
	}
	if (told == 0)
		finding_add(d, "governor", FINDING_UNKNOWN, why, "this machine does not tell (a virtual one?)");
	else if (slow)
		finding_mend(
		        finding_add(d, "governor", FINDING_WARN, why, "%.40s on %u of %u cores", other, slow, told),
		        "cpupower frequency-set -g performance");
	else
		finding_add(d, "governor", FINDING_OK, why, "performance");
}

static void priority(struct doctor *d)
{
	static const char why[] = "a receiving thread that waits for its turn lets the ring fill";
	unsigned long long capabilities = 0;
	struct rlimit limit = {0};
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	if (file)
		fclose(file);
	getrlimit(RLIMIT_NICE, &limit);
	if (capabilities >> CAP_SYS_NICE_BIT & 1 || limit.rlim_cur >= 20 + RX_NICE)
		finding_add(d, "priority", FINDING_OK, why, "receiving threads can have nice -%d", RX_NICE);
	else
		finding_mend(finding_add(d, "priority", FINDING_WARN, why,
		                     "this user may not raise priorities: receiving threads run like any other"),
		        "sudo sealtap capture ... (or LimitNICE=-%d in the systemd unit)", RX_NICE);
}

static void node(struct doctor *d, const cpu_set_t *allowed)
{
	static const char why[] = "frames that cross from one node's memory to the other's cores cost more time";
	int near = machine_node(d->interface);
	cpu_set_t cores, both;
	char list[128];

	if (near < 0 || !machine_node_cores(near, &cores)) {
		finding_add(d, "numa", FINDING_OK, why, "one node, or the card belongs to none");
		return;
	}
	core_list_text(&cores, list, sizeof(list));
	CPU_AND(&both, &cores, allowed);
	if (CPU_COUNT(&both) > 0)
		finding_add(d, "numa", FINDING_OK, why, "the card is on node %d, cores %s", near, list);
	else
		finding_mend(finding_add(d, "numa", FINDING_WARN, why,
		                     "the card is on node %d, and none of its cores %s may be used", near, list),
		        "taskset -c %s sealtap capture ...", list);
}

void core_check(struct doctor *d)
{
	cpu_set_t allowed;

	if (core_list_allowed(&allowed) < 0) {
		finding_add(d, "cores", FINDING_UNKNOWN, "sealing needs cores of its own beside the one that receives",
		        "cannot be read: %s", strerror(errno));
		return;
	}
	count(d, &allowed);
	quota(d);
	governor(d, &allowed);
	priority(d);
	node(d, &allowed);
}

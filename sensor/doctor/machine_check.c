// SPDX-License-Identifier: Apache-2.0
// Interrupts, memory, and what the kernel and this build can do.
#include <dirent.h>
#include <errno.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sensor/doctor/doctor.h"

// The interrupts of the card's queues, and how many different sets of cores they go to.
static void interrupts(struct doctor *d)
{
	static const char why[] = "queues whose interrupts share a core drop while other cores idle";
	char path[128], line[128], seen[64][32];
	unsigned irqs = 0, sets = 0, i;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device/msi_irqs", d->interface);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/irq/%.16s/smp_affinity_list", entry->d_name);
		if (doctor_read_line(path, line, sizeof(line)) < 0)
			continue;
		irqs++;
		for (i = 0; i < sets && strncmp(seen[i], line, sizeof(seen[i]) - 1) != 0; i++)
			;
		if (i == sets && sets < 64)
			snprintf(seen[sets++], sizeof(seen[0]), "%.31s", line);
	}
	if (dir)
		closedir(dir);
	if (irqs == 0)
		finding_add(d, "irq-affinity", FINDING_UNKNOWN, why, "no interrupts of its own can be seen");
	else if (irqs > 1 && sets == 1)
		finding_mend(finding_add(d, "irq-affinity", FINDING_WARN, why, "all %u interrupts may go to cores %s",
		                     irqs, seen[0]),
		        "for each N in /sys/class/net/%s/device/msi_irqs: echo CORE >/proc/irq/N/smp_affinity_list",
		        d->interface);
	else
		finding_add(d, "irq-affinity", FINDING_OK, why, "%u interrupts over %u sets of cores", irqs, sets);
}

static void memory(struct doctor *d)
{
	static const char why_huge[] =
	        "most cards do not start under DPDK without them; the pool of the others is faster on them";
	static const char why_lock[] = "buffers that cannot be locked are refused to AF_XDP, or paged out in a burst";
	struct rlimit limit;
	char line[64], free_pages[64] = "unknown";

	doctor_read_line("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", free_pages, sizeof(free_pages));
	if (doctor_read_line("/proc/sys/vm/nr_hugepages", line, sizeof(line)) < 0)
		finding_add(d, "huge-pages", FINDING_UNKNOWN, why_huge, "this kernel does not tell");
	else if (atoll(line) == 0)
		finding_mend(
		        finding_add(d, "huge-pages", d->pci ? FINDING_BAD : FINDING_WARN, why_huge, "none reserved"),
		        "sysctl -w vm.nr_hugepages=512");
	else
		finding_add(d, "huge-pages", FINDING_OK, why_huge, "%s reserved, of 2 MiB %.20s are free", line,
		        free_pages);
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		finding_add(d, "memlock", FINDING_UNKNOWN, why_lock, "cannot be read: %s", strerror(errno));
	else if (geteuid() == 0 || limit.rlim_cur == RLIM_INFINITY)
		finding_add(d, "memlock", FINDING_OK, why_lock, "%s",
		        geteuid() == 0 ? "root may lock what it needs" : "no limit");
	else
		finding_mend(finding_add(d, "memlock", limit.rlim_cur < 256u << 20 ? FINDING_WARN : FINDING_OK,
		                     why_lock, "%llu KiB", (unsigned long long)limit.rlim_cur >> 10),
		        "ulimit -l unlimited");
}

static void kernel(struct doctor *d)
{
	static const char why_landlock[] = "keeps a recorder that a packet took over away from other files";
	static const char why_seccomp[] = "a recorder does not start without it";
	char line[256];
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		finding_mend(finding_add(d, "landlock", FINDING_WARN, why_landlock,
		                     "not there: files are protected by user id and seccomp only"),
		        "boot with lsm=landlock,... (Linux 5.13 or newer)");
	else
		finding_add(d, "landlock", FINDING_OK, why_landlock, "version %ld", abi);
	if (doctor_read_line("/proc/sys/kernel/seccomp/actions_avail", line, sizeof(line)) < 0)
		finding_add(d, "seccomp", FINDING_BAD, why_seccomp, "not in this kernel");
	else
		finding_add(d, "seccomp", FINDING_OK, why_seccomp, "there");
}

static void drivers(struct doctor *d)
{
	static const char why[] = "what `sealtap capture --driver` can choose from";
	static const char why_xdp[] = "the fastest way without a driver of its own in user space";
	int fd;

	finding_add(d, "drivers", FINDING_OK, why, "afpacket, pcap%s%s",
#ifdef HAVE_XDP
	        ", xdp",
#else
	        "",
#endif
#ifdef HAVE_DPDK
	        ", dpdk"
#else
	        ""
#endif
	);
	if (d->pci)
		return;
	fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		finding_add(d, "xdp", FINDING_OK, why_xdp,
		        "this kernel has AF_XDP; whether driver %s runs it natively and without copies shows at start",
		        d->driver);
	else if (errno == EPERM)
		finding_mend(finding_add(d, "xdp", FINDING_UNKNOWN, why_xdp, "only root can tell"),
		        "sudo sealtap doctor -i %s", d->interface);
	else
		finding_add(d, "xdp", FINDING_WARN, why_xdp, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)");
	if (fd >= 0)
		close(fd);
}

void machine_check(struct doctor *d)
{
	if (!d->pci) // DPDK polls
		interrupts(d);
	memory(d);
	kernel(d);
	drivers(d);
}

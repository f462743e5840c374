// SPDX-License-Identifier: Apache-2.0
// Brings DPDK's environment up: its arguments, its memory, its log. Recorder's main thread, before privileges drop and
// before any thread of ours. Leaves nothing in /var/run or in a hugetlbfs. EAL keeps one thread of its own,
// eal-intr-thread.
#include <errno.h>
#include <glob.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/sources/dpdk.h"

#define ARGS_MAX 64
#define MEMORY_MIB 256u         // for mbufs: taken when EAL starts, so that nothing is mapped later
#define MEMORY_NO_HUGE_MIB 512u // an mbuf takes a whole page of 4 KiB; what is not used is not backed
#define MEMORY_MIN_MIB 64u

static struct {
	bool up, huge, passing;
	char complaint[200];
	char text[4096]; // the operator's arguments, cut into words
	char cores[512];
	char memory[16];
	char *argv[ARGS_MAX];
	int argc;
} eal;

static ssize_t take_log(void *cookie, const char *text, size_t len)
{
	if (eal.passing) {
		fwrite(text, 1, len, stderr);
	} else if (len > 1 && rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR) {
		size_t n = strcspn(text, "\n");

		snprintf(eal.complaint, sizeof(eal.complaint), "%.*s", (int)(n < len ? n : len), text);
	}
	return (ssize_t)len;
}

const char *dpdk_eal_complaint(void)
{
	return eal.complaint;
}

bool dpdk_eal_huge(void)
{
	return eal.huge;
}

// Free huge pages of all sizes.
static uint64_t huge_free_mib(void)
{
	glob_t found;
	uint64_t mib = 0;

	if (glob("/sys/kernel/mm/hugepages/hugepages-*kB", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		unsigned long kib = 0, pages = 0;
		char path[256];
		FILE *file;

		snprintf(path, sizeof(path), "%.200s/free_hugepages", found.gl_pathv[i]);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%lu", &pages) == 1 &&
		        sscanf(strstr(path, "hugepages-"), "hugepages-%lukB", &kib) == 1)
			mib += (uint64_t)pages * kib >> 10;
		fclose(file);
	}
	globfree(&found);
	return mib;
}

static bool given(int from, const char *const *names)
{
	for (int i = from; i < eal.argc; i++)
		for (const char *const *name = names; *name; name++) {
			size_t len = strlen(*name);

			// "-l 1", "-l1", "--lcores=1", "--lcores 1"
			if (strncmp(eal.argv[i], *name, len) == 0 &&
			        ((*name)[1] != '-' || eal.argv[i][len] == '\0' || eal.argv[i][len] == '='))
				return true;
		}
	return false;
}
#define GIVEN(from, ...) given(from, (const char *const[]){__VA_ARGS__, NULL})

static void add(const char *word)
{
	if (eal.argc < ARGS_MAX - 1)
		eal.argv[eal.argc++] = (char *)word;
}

// One lcore on all processors that we may use: EAL pins its lcores, and our threads inherit that.
static const char *main_lcore(void)
{
	size_t used = (size_t)snprintf(eal.cores, sizeof(eal.cores), "0@(");
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return "0";
	for (int first = 0, last; first < CPU_SETSIZE; first = last + 1) {
		last = first;
		if (!CPU_ISSET(first, &set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
			last++;
		used += (size_t)snprintf(
		        eal.cores + used, sizeof(eal.cores) - used, used > 3 ? ",%d-%d" : "%d-%d", first, last);
		if (used >= sizeof(eal.cores) - 16)
			break;
	}
	snprintf(eal.cores + used, sizeof(eal.cores) - used, ")");
	return eal.cores;
}

static int make_arguments(const char *args, const char *pci, struct error *e)
{
	uint64_t free_mib = huge_free_mib();

	add("sealtap");
	if (args && strlen(args) >= sizeof(eal.text))
		return error_set(e, -EINVAL, "--dpdk-args is longer than %zu characters", sizeof(eal.text) - 1);
	snprintf(eal.text, sizeof(eal.text), "%s", args ? args : "");
	for (char *save, *word = strtok_r(eal.text, " \t\n", &save); word; word = strtok_r(NULL, " \t\n", &save))
		add(word);
	if (eal.argc > ARGS_MAX - 12)
		return error_set(e, -EINVAL, "--dpdk-args has more than %d words", ARGS_MAX - 13);
	if (GIVEN(1, "--proc-type", "--file-prefix", "--huge-dir"))
		return error_set(e, -EINVAL,
		        "--dpdk-args: --proc-type, --file-prefix and --huge-dir share files between processes; the "
		        "recorder keeps its memory to itself");
	eal.passing = GIVEN(1, "--log-level");
	if (!GIVEN(1, "--no-telemetry"))
		add("--no-telemetry");
	if (!GIVEN(1, "-l", "-c", "--lcores")) {
		add("--lcores");
		add(main_lcore());
	}
	// No NIC is touched that nobody named: EAL would open each that is bound to vfio or uio.
	if (!GIVEN(1, "--no-pci", "-a", "--allow", "-b", "--block")) {
		add(pci ? "-a" : "--no-pci");
		if (pci)
			add(pci);
	}
	eal.huge = !GIVEN(1, "--no-huge") && free_mib >= MEMORY_MIN_MIB;
	if (!eal.huge && !GIVEN(1, "--no-huge"))
		add("--no-huge");
	if (!GIVEN(1, "--in-memory")) // which EAL does not take together with --no-huge
		add(eal.huge ? "--in-memory" : "--no-shconf");
	if (!GIVEN(1, "-m", "--socket-mem")) {
		snprintf(eal.memory, sizeof(eal.memory), "%u",
		        !eal.huge               ? MEMORY_NO_HUGE_MIB
		        : free_mib < MEMORY_MIB ? (unsigned)free_mib
		                                : MEMORY_MIB);
		add("-m");
		add(eal.memory);
	}
	return 0;
}

int dpdk_eal_start(const char *args, const char *pci, struct error *e)
{
	cookie_io_functions_t io = {.write = take_log};
	char *directory;
	FILE *log;
	int r;

	if (eal.up)
		return 0;
	r = make_arguments(args, pci, e);
	if (r < 0)
		return r;
	log = fopencookie(NULL, "w", io);
	if (log) {
		setvbuf(log, NULL, _IOLBF, 0);
		rte_openlog_stream(log);
	}
	// EAL makes a directory for files that --in-memory never writes. Where it cannot, it goes on.
	directory = getenv("RUNTIME_DIRECTORY") ? strdup(getenv("RUNTIME_DIRECTORY")) : NULL;
	setenv("RUNTIME_DIRECTORY", "/proc/self/none", 1);
	r = rte_eal_init(eal.argc, eal.argv);
	if (directory)
		setenv("RUNTIME_DIRECTORY", directory, 1);
	else
		unsetenv("RUNTIME_DIRECTORY");
	free(directory);
	if (r < 0)
		return error_set(e, rte_errno ? -rte_errno : -EINVAL,
		        "DPDK could not start: %s%s%s; see --dpdk-args (--log-level=8 shows all that it says)",
		        rte_strerror(rte_errno), eal.complaint[0] ? ": " : "", eal.complaint);
	eal.up = true;
	eal.complaint[0] = '\0';
	return 0;
}

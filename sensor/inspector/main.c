// SPDX-License-Identifier: Apache-2.0
// sealtap-inspector: makes flow records from blocks that the recorder lends (ipc/loan.h) and tells them to the flow log
// (ipc/flow_stream.h). It parses hostile bytes with a large library, so it may do nothing else: the pool is mapped
// read-only, and there are no files, no network and no keys. It may crash; then another one takes its place, and
// evidence has lost nothing.
//
// Exit: 0 all flows were told, 1 our own failure.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sensor/inspector/worker.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/roles.h"
#include "sensor/recorder/pool.h"
#include "sensor/sandbox/sandbox.h"

#define NICE 10               // behind whatever records
#define OOM_SCORE_ADJ "500\n" // and memory, too, is taken from here first
#define PATIENCE_MS 500
#define PATIENCE_FILE_MS 30000 // a file waits

static int fail(const char *text)
{
	fprintf(stderr, "sealtap-inspector: %s\n", text);
	return EXIT_FAILURE;
}

static void step_back(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, OOM_SCORE_ADJ, strlen(OOM_SCORE_ADJ)) < 0)
			fprintf(stderr, "sealtap-inspector: oom_score_adj: %s\n", strerror(errno));
		close(fd);
	}
	setpriority(PRIO_PROCESS, 0, NICE);
}

// Cores that the operator gave to receiving threads are theirs.
static void leave_cores(const struct job *job)
{
	cpu_set_t mine;

	if (CPU_COUNT(&job->rx_cores) == 0 || sched_getaffinity(0, sizeof(mine), &mine) < 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &job->rx_cores))
			CPU_CLR(cpu, &mine);
	if (CPU_COUNT(&mine) > 0)
		sched_setaffinity(0, sizeof(mine), &mine);
}

static int worker_open(struct worker *w, const struct inspection *i, uint32_t index, const struct job *job)
{
	int r;
	struct flow_meter_config config = {.flows_max = FLOW_TABLE_FLOWS / i->workers,
	        .seed = i->seed,
	        .idle_tcp_ns = FLOW_IDLE_TCP_NS,
	        .idle_other_ns = FLOW_IDLE_OTHER_NS,
	        .close_ns = FLOW_CLOSE_NS,
	        .active_ns = FLOW_ACTIVE_NS,
	        .dpi = dpi_library() != NULL,
	        .record = worker_record,
	        .user = w};

	w->inspection = i;
	w->index = index;
	teller_init(&w->teller, INSPECTOR_FLOWS_FD, job->kind == JOB_INGEST ? PATIENCE_FILE_MS : PATIENCE_MS);
	r = flow_meter_new(&config, &w->meter);
	if (r == 0)
		flow_meter_cutoff(w->meter, &(struct flow_cutoff){.bytes = job->cutoff_bytes,
		                                    .apps = job->cutoff_apps[0] ? &i->apps : NULL,
		                                    .tell = worker_claim,
		                                    .tell_ns = LOAN_CLAIM_NS});
	return r;
}

int main(void)
{
	static struct worker workers[LOAN_WORKERS_MAX];
	struct inspection inspection = {.parent = getppid()};
	struct sandbox sandbox = {.role = SANDBOX_INSPECTOR};
	const struct job *job;
	struct loans *loans = NULL;
	struct pool pool;
	const char *name;
	struct error e = {0};
	int failed = 0;

	signal(SIGPIPE, SIG_IGN);
	if (job_map(ROLE_JOB_FD, &job, &e) < 0 || loans_map(INSPECTOR_LOANS_FD, false, &loans, &e) < 0 ||
	        loan_reply_map(INSPECTOR_REPLY_FD, true, &inspection.reply, &e) < 0 ||
	        pool_map_readonly(INSPECTOR_POOL_FD, job->pool_blocks, &pool, &e) < 0)
		return fail(e.text);
	inspection.loans = loans;
	inspection.data = pool.data;
	inspection.blocks = pool.blocks;
	inspection.workers = job->flow_threads;
	inspection.inspector = atomic_load(&inspection.reply->inspector);
	if (getrandom(&inspection.seed, sizeof(inspection.seed), 0) != (ssize_t)sizeof(inspection.seed))
		return fail("no random numbers");
	inspection.seed >>= 1;
	step_back();
	leave_cores(job);
	for (uint32_t i = 0; i < inspection.workers; i++)
		if (worker_open(&workers[i], &inspection, i, job) < 0)
			return fail("out of memory for the flow tables");
	// The command line has looked at every name.
	if (job->cutoff_apps[0] &&
	        app_set_read(&inspection.apps, flow_meter_dpi(workers[0].meter), job->cutoff_apps, &name) > 0)
		return fail("the cutoff is for an application that the library does not know");
	sandbox.uid = job->role_uid[JOB_INSPECTOR];
	if (sandbox_enter(&sandbox, &e) < 0)
		return fail(e.text);
	atomic_store(&inspection.reply->ready, inspection.inspector);
	for (uint32_t i = 1; i < inspection.workers && !failed; i++)
		failed = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
	if (failed)
		return fail("cannot start a thread");
	worker_main(&workers[0]);
	for (uint32_t i = 1; i < inspection.workers; i++)
		pthread_join(workers[i].thread, NULL);
	teller_order(&workers[0].teller, &(struct inspected){.kind = INSPECTED_END});
	teller_flush(&workers[0].teller);
	for (uint32_t i = 0; i < inspection.workers; i++)
		flow_meter_free(workers[i].meter);
	return EXIT_SUCCESS;
}

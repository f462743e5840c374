// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"
#include "sensor/supervisor/run_state.h"

#define SECOND_NS 1000000000ULL
#define STUCK_NS (20 * SECOND_NS)  // without a sign of life
#define STEADY_NS (60 * SECOND_NS) // after which a death is not one of a row
#define BACKOFF_MAX_NS (60 * SECOND_NS)
#define GRACE_NS (10 * SECOND_NS) // beyond what it was given at the end
#define EXIT_USAGE 2              // the next one would end the same way
#define EXIT_UNDELIVERED 4

static bool wanted(const struct run *run)
{
	return run->job->export_count > 0 && run->recording.flows_fd >= 0;
}

static uint64_t finish_ns(const struct run *run)
{
	return (uint64_t)run->job->export_finish_ms * 1000000;
}

static int make_memory(struct exporter *x, struct error *e)
{
	int r = export_state_make(&x->state_fd);

	if (r == 0 && pipe2(x->orders, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0) {
		x->state = export_state_map(x->state_fd, false);
		r = x->state ? 0 : -ENOMEM;
	}
	return r < 0 ? error_set(e, r, "cannot prepare the export of flows: %s", strerror(-r)) : 0;
}

static int start(struct run *run, struct error *e)
{
	struct exporter *x = &run->exporter;
	int r = x->state ? 0 : make_memory(x, e);

	if (r == 0) {
		const int fds[] = {run->job_fd, x->state_fd, run->recording.flows_fd, x->orders[0]};

		r = spawn_role("sealtap-exporter", fds, 4, ROLE_JOB_FD, false, &x->pid, e);
	}
	x->started_ns = x->beat_ns = tally_clock_ns();
	x->again_ns = 0;
	x->killed = NULL;
	return r;
}

static void plan_next(struct run *run)
{
	struct exporter *x = &run->exporter;
	uint64_t now = tally_clock_ns(), wait = SECOND_NS;

	x->deaths++;
	x->deaths_in_a_row = now - x->started_ns > STEADY_NS ? 1 : x->deaths_in_a_row + 1;
	for (unsigned n = 1; n < x->deaths_in_a_row && wait < BACKOFF_MAX_NS; n++)
		wait *= 2;
	x->again_ns = now + (x->deaths_in_a_row == 1 ? 1 : wait);
	if (x->ending_ns && x->again_ns > x->ending_ns + finish_ns(run))
		x->again_ns = 0;
}

void exporter_died(struct run *run, int status)
{
	struct exporter *x = &run->exporter;
	bool well = WIFEXITED(status) &&
	            (WEXITSTATUS(status) == 0 || (WEXITSTATUS(status) == EXIT_UNDELIVERED && x->ending_ns));
	char detail[200];

	x->pid = 0;
	x->failed = !well;
	if (well)
		return;
	if (WIFSIGNALED(status))
		snprintf(detail, sizeof(detail), "%s%signal %d (%s)", x->killed ? x->killed : "",
		        x->killed ? ": s" : "s", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(detail, sizeof(detail), "exit status %d", WEXITSTATUS(status));
	run_incident(run, "exporter-died", detail);
	if (x->hurried || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE))
		x->deaths++;
	else
		plan_next(run);
}

static void end_it(struct exporter *x, const char *why)
{
	if (x->killed)
		return;
	x->killed = why;
	kill(x->pid, SIGKILL);
}

static void watch(struct run *run, uint64_t now)
{
	struct exporter *x = &run->exporter;
	uint64_t beats = atomic_load(&x->state->beats);

	if (beats != x->beats)
		x->beat_ns = now;
	x->beats = beats;
	if (x->ending_ns && now - x->ending_ns > finish_ns(run) + GRACE_NS)
		end_it(x, "it did not come to an end");
	else if (!x->ending_ns && now - x->beat_ns > STUCK_NS)
		end_it(x, "it gave no sign of life");
}

// Whether the flow files are as long as they will be.
static bool files_ended(const struct run *run)
{
	return run->recorder == 0 && run->flow_log.pid == 0 &&
	       (run->keeper == 0 || (run->ended && run->inspector.pid == 0));
}

void exporter_turn(struct run *run)
{
	struct exporter *x = &run->exporter;
	uint64_t now = tally_clock_ns();
	struct error e = {0};

	if (!wanted(run) || !run->opened)
		return;
	if (x->pid > 0)
		watch(run, now);
	else if ((!x->started_ns || (x->again_ns && now >= x->again_ns)) && start(run, &e) < 0) {
		run_incident(run, "exporter-died", e.text);
		x->failed = true;
		plan_next(run);
	}
	if (!x->ending_ns && files_ended(run)) {
		x->ending_ns = now;
		if (x->state)
			close(x->orders[1]);
	}
}

void exporter_hurry(struct run *run)
{
	struct exporter *x = &run->exporter;

	if (!x->ending_ns)
		return;
	x->hurried = true;
	x->again_ns = 0;
	if (x->pid > 0)
		end_it(x, "the operator did not wait");
}

bool exporter_busy(const struct run *run)
{
	const struct exporter *x = &run->exporter;

	return wanted(run) && run->opened && (!x->ending_ns || x->pid > 0 || x->again_ns);
}

void exporter_status(const struct run *run, struct control_export ret_status[JOB_EXPORTS_MAX])
{
	const struct exporter *x = &run->exporter;

	for (uint32_t i = 0; i < run->job->export_count; i++) {
		const struct job_export *to = &run->job->export[i];

		memset(&ret_status[i], 0, sizeof(ret_status[i]));
		snprintf(ret_status[i].target, sizeof(ret_status[i].target), "%s %s",
		        to->kind == JOB_EXPORT_IPFIX ? "ipfix" : "kafka", to->target);
		if (x->state)
			export_state_get(&x->state->slot[i], &ret_status[i].progress);
		for (char *c = ret_status[i].progress.error; *c; c++) // whoever took the exporter over wrote it
			if (*c < 0x20 || *c > 0x7e)
				*c = '?';
		ret_status[i].running = x->pid > 0;
	}
}

bool exporter_delivered_all(const struct run *run)
{
	struct control_export status[JOB_EXPORTS_MAX];
	bool all = !run->exporter.failed;

	exporter_status(run, status);
	for (uint32_t i = 0; i < run->job->export_count; i++) {
		const struct export_progress *p = &status[i].progress;

		all = all && !p->waiting && !p->dropped && !p->refused && !p->behind_bytes;
	}
	return all;
}

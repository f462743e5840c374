// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/flow_log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"
#include "sensor/supervisor/run_state.h"

#define DEATHS_MAX 16u
#define ENDING_NS 60000000000ULL // to seal its last file
#define EXIT_DISK 3              // it has said so itself

int flow_log_start(struct run *run, int keeper_end, struct error *e)
{
	const int fds[] = {run->job_fd, keeper_end, run->flow_log.stream_fd, run->recording.flows_fd};

	return spawn_role("sealtap-flowlog", fds, 4, ROLE_JOB_FD, false, &run->flow_log.pid, e);
}

void flow_log_died(struct run *run, int status)
{
	struct wire_plain died = {0};
	struct error e = {0};
	int pair[2] = {-1, -1};
	bool again;

	run->flow_log.pid = 0;
	if (!run->opened || run->keeper_fd < 0 ||
	        (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_DISK)))
		return;
	again = !run->ended && ++run->flow_log.deaths < DEATHS_MAX && wire_pair(pair) == 0;
	if (WIFSIGNALED(status))
		snprintf(died.text, sizeof(died.text), "signal %d (%s)%s", WTERMSIG(status),
		        strsignal(WTERMSIG(status)), again ? "" : "; flow files end here");
	else
		snprintf(died.text, sizeof(died.text), "exit status %d%s", WEXITSTATUS(status),
		        again ? "" : "; flow files end here");
	if (!run->closing && wire_send(run->keeper_fd, WIRE_FLOWLOG_DIED, &died, sizeof(died), pair[1]) == 0 && again &&
	        flow_log_start(run, pair[0], &e) < 0)
		report_line(run, "%s", e.text);
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
}

void flow_log_turn(struct run *run)
{
	struct flow_log *f = &run->flow_log;
	uint64_t now = tally_clock_ns();

	if (f->pid == 0 || (run->keeper > 0 && !(run->ended && run->inspector.pid == 0)))
		return;
	if (f->ending_ns == 0)
		f->ending_ns = now;
	else if (now - f->ending_ns > ENDING_NS)
		kill(f->pid, SIGKILL);
}

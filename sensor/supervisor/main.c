// SPDX-License-Identifier: Apache-2.0
// sealtap-supervisor: makes the recording's directory, starts keeper, signer and recorder, hands them their
// descriptors, restarts a recorder that died, and ends the run in order. It touches no packet and no key.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/sandbox/sandbox.h"
#include "sensor/supervisor/run_state.h"

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN); // changes nothing evidential
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_signals(struct run *run, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			run_reap(run);
		else
			run_stop(run);
	}
}

// Recording comes first: without the socket it is only harder to look at.
static void open_control(struct run *run)
{
	struct error e = {0};

	if (control_open(&run->control, run->job->owner_uid, &e) < 0 && run->job->kind == JOB_CAPTURE)
		fprintf(stderr, "sealtap: `sealtap status` and `sealtap mark` will not find this capture: %s\n",
		        e.text);
}

int main(void)
{
	struct run run;
	struct error e = {0};
	int signals;

	umask(027);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sandbox_supervisor();
	signals = signals_open();
	if (signals < 0 || run_start(&run, ROLE_JOB_FD, SUPERVISOR_KEY_FD, SUPERVISOR_ORIGINS_FD, &e) < 0) {
		fprintf(stderr, "sealtap: %s\n", e.code ? e.text : strerror(errno));
		return e.code == -EEXIST ? 2 : 3;
	}
	open_control(&run);
	while (!run_over(&run)) {
		struct pollfd fds[3 + CONTROL_POLL_MAX] = {{.fd = signals, .events = POLLIN},
		        {.fd = run.keeper_fd, .events = POLLIN}, {.fd = run.recorder_fd, .events = POLLIN}};
		unsigned clients = control_poll(&run.control, &fds[3]);

		int control_ms = control_timeout_ms(&run.control), run_ms = run_timeout_ms(&run);

		if (poll(fds, 3 + clients, run_ms >= 0 && run_ms < control_ms ? run_ms : control_ms) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
		// Messages before deaths: what a role said last belongs to its end.
		if (fds[2].revents)
			run_recorder_says(&run);
		if (fds[1].revents)
			run_keeper_says(&run);
		if (fds[0].revents)
			on_signals(&run, signals);
		run_turn(&run);
		control_turn(&run.control, &run, &fds[3]); // evidence first
	}
	control_close(&run.control);
	return run_finish(&run);
}

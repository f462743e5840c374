// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/apart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/shut_in.h"

static int run_shut_in(const struct apart *a, int (*run)(void *user), void *user)
{
	struct sandbox sandbox = {.role = SANDBOX_READER};
	struct error e = {0};

	if (a->write_dir >= 0)
		sandbox.write_dirs[sandbox.write_dir_count++] = a->write_dir;
	if (shut_in(&sandbox, &a->dir, 1, &e) < 0)
		return cli_fail(CLI_UNREADABLE, a->verb, "%s", e.text);
	return run(user);
}

int apart_run(const struct apart *a, int (*run)(void *user), void *user)
{
	const pid_t parent = getpid();
	int status, code;
	pid_t pid;

	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(CLI_UNREADABLE);
		code = run_shut_in(a, run, user);
		if (fflush(stdout) < 0 && code == CLI_OK)
			code = CLI_UNREADABLE;
		_exit(code);
	}
	if (pid < 0)
		return cli_fail(CLI_UNREADABLE, a->verb, "cannot start a process: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return cli_fail(CLI_UNREADABLE, a->verb, "the process that reads the recording ended by signal %d",
		        WTERMSIG(status));
	return WEXITSTATUS(status);
}

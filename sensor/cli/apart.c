// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/apart.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/evidence/digest.h"
#include "sensor/sandbox/sandbox.h"

static int shut_in(const struct apart *a, int (*run)(void *user), void *user)
{
	struct sandbox sandbox = {
	        .role = SANDBOX_READER, .uid = UINT32_MAX, .read_dirs = {a->dir->fd}, .read_dir_count = 1};
	struct error e = {0};
	int r;

	for (unsigned i = 0; i < a->dir->place_count; i++)
		if (a->dir->place[i].fd >= 0)
			sandbox.read_dirs[sandbox.read_dir_count++] = a->dir->place[i].fd;
	if (a->write_dir >= 0)
		sandbox.write_dirs[sandbox.write_dir_count++] = a->write_dir;
	json_object_seed(0); // opens /dev/urandom, as OpenSSL opens its configuration
	r = digest_init();
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, a->verb, "cannot begin: %s", strerror(-r));
	if (sandbox_enter(&sandbox, &e) < 0)
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
		code = shut_in(a, run, user);
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

// SPDX-License-Identifier: Apache-2.0
// Hands a job over: the command line's process becomes the supervisor, so that ^C and the exit code are its own.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/origin.h"
#include "sensor/cli/run_options.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"

static int origins_open(struct error *e)
{
	char dir[PATH_MAX - 32], path[PATH_MAX];
	int fd, r = cli_data_dir(dir, sizeof(dir));

	if (r < 0)
		return error_set(e, r, "no place to keep count of recordings: set SEALTAP_HOME");
	snprintf(path, sizeof(path), "%s/origins", dir);
	r = cli_make_dirs(path);
	if (r < 0)
		return error_set(
		        e, r, "cannot make %s: %s; set SEALTAP_HOME to a directory of yours", path, strerror(-r));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_set(e, -errno, "cannot open %s: %s", path, strerror(errno)) : fd;
}

// To its place, with close-on-exec off. The places are low, so all descriptors are moved up first.
static int place(const int *from, int count, int first)
{
	int up[8];

	for (int i = 0; i < count; i++) {
		up[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 64);
		if (up[i] < 0)
			return -errno;
	}
	for (int i = 0; i < count; i++)
		if (dup2(up[i], first + i) < 0)
			return -errno;
	return 0;
}

int run_supervisor(const struct run_options *o, const struct job *job)
{
	char path[PATH_MAX];
	char *argv[] = {(char *)"sealtap-supervisor", NULL};
	int fds[3] = {-1, -1, -1}, r;
	struct error e;

	r = role_path("sealtap-supervisor", path, sizeof(path), &e);
	if (r < 0)
		return cli_fail(CLI_INVALID, o->verb, "%s", e.text);
	if (access(job->recording, F_OK) == 0)
		return cli_fail(CLI_USAGE, o->verb,
		        "%s exists already; a recording is never written over: choose another name, or a template such "
		        "as "
		        "%%Y%%m%%dT%%H%%M%%SZ",
		        job->recording);
	r = origin_open(o->key, &fds[1], &e);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, o->verb, "%s", e.text);
	fds[2] = origins_open(&e);
	if (fds[2] < 0)
		return cli_fail(CLI_UNREADABLE, o->verb, "%s", e.text);
	r = job_seal(job, &fds[0]);
	if (r == 0)
		r = place(fds, 3, ROLE_JOB_FD);
	if (r < 0)
		return cli_fail(CLI_INVALID, o->verb, "cannot hand the job over: %s", strerror(-r));
	execv(path, argv);
	return cli_fail(CLI_INVALID, o->verb, "cannot start %s: %s", path, strerror(errno));
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int role_path(const char *name, char *out, unsigned long size, struct error *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return error_set(e, -errno, "cannot read /proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	if (snprintf(out, size, "%s/%s", dirname(self), name) < (int)size && access(out, X_OK) == 0)
		return 0;
	if (snprintf(out, size, "%s/%s", SEALTAP_LIBEXEC, name) < (int)size && access(out, X_OK) == 0)
		return 0;
	return error_set(e, -ENOENT, "cannot find %s beside this program or in %s; is sealtap installed whole?", name,
	        SEALTAP_LIBEXEC);
}

static void close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	for (int fd = first; fd < 4096; fd++) // kernels before 5.9
		close(fd);
}

static void child(const char *path, const char *name, const int *fds, unsigned count, int first, bool keep_stdin)
{
	int null = open("/dev/null", O_RDWR), up[SPAWN_FDS_MAX];
	char *argv[] = {(char *)name, NULL};
	sigset_t none;

	// First all out of the way, then each to its place.
	for (unsigned i = 0; i < count; i++)
		up[i] = fcntl(fds[i], F_DUPFD, 64);
	for (unsigned i = 0; i < count; i++)
		if (up[i] < 0 || dup2(up[i], first + (int)i) < 0)
			_exit(127);
	if (!keep_stdin)
		dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close_from(first + (int)count);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(path, argv);
	dprintf(STDERR_FILENO, "sealtap: cannot start %s: %s\n", path, strerror(errno));
	_exit(127);
}

int spawn_role(
        const char *name, const int *fds, unsigned count, int first, bool keep_stdin, pid_t *ret_pid, struct error *e)
{
	char path[PATH_MAX];
	pid_t pid;
	int r = role_path(name, path, sizeof(path), e);

	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return error_set(e, -errno, "cannot start %s: %s", name, strerror(errno));
	if (pid == 0)
		child(path, name, fds, count, first, keep_stdin);
	*ret_pid = pid;
	return 0;
}

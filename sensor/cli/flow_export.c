// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_export.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyzers/flow_pack.h"
#include "sensor/cli/cli.h"
#include "sensor/cli/run_options.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"

void flow_export_begin(struct flow_export *x)
{
	flow_export_option(x, (char *)"--wait", NULL);
	snprintf(x->uid, sizeof(x->uid), "%u", run_exporter_uid());
	flow_export_option(x, (char *)"--uid", x->uid);
}

bool flow_export_option(struct flow_export *x, char *option, char *value)
{
	if (x->argc + 2 > FLOW_EXPORT_ARGS_MAX)
		return false;
	x->argv[1 + x->argc++] = option;
	if (value)
		x->argv[1 + x->argc++] = value;
	return true;
}

int flow_export_start(struct flow_export *x, struct error *e)
{
	char path[PATH_MAX];
	int pair[2], r = role_path("sealtap-exporter", path, sizeof(path), e);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(e, -errno, "cannot make a socket: %s", strerror(errno));
	x->argv[0] = path;
	x->pid = fork();
	if (x->pid == 0) {
		// dup2 clears close-on-exec, but not when both are the same.
		int fd = pair[1] == EXPORTER_RECORDS_FD ? dup(pair[1]) : pair[1];

		if (dup2(fd, EXPORTER_RECORDS_FD) < 0)
			_exit(127);
		close_range(EXPORTER_RECORDS_FD + 1, ~0U, 0);
		execv(path, x->argv);
		_exit(127);
	}
	close(pair[1]);
	if (x->pid < 0) {
		close(pair[0]);
		return error_set(e, -errno, "cannot start %s: %s", path, strerror(errno));
	}
	x->fd = pair[0];
	return 0;
}

int flow_export_put(struct flow_export *x, const struct flow_record *record)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	int len = flow_pack(record, packed);

	if (len < 0)
		return len;
	while (write(x->fd, packed, (size_t)len) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

void flow_export_close(struct flow_export *x)
{
	if (x->fd >= 0)
		close(x->fd);
	x->fd = -1;
}

int flow_export_wait(struct flow_export *x)
{
	int status;

	while (waitpid(x->pid, &status, 0) < 0)
		if (errno != EINTR)
			return CLI_INVALID;
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLI_INVALID;
}

// SPDX-License-Identifier: Apache-2.0
// `sealtap metrics` is a program of its own, sealtap-metrics, so that nothing else has a web server in its address
// space.
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "sealtap/error.h"
#include "sensor/cli/cli.h"
#include "sensor/ipc/spawn.h"

int verb_metrics(int argc, char **argv)
{
	char path[PATH_MAX];
	struct error e;

	if (role_path("sealtap-metrics", path, sizeof(path), &e) < 0)
		return cli_fail(
		        CLI_UNREADABLE, "metrics", "%s Was it built with libmicrohttpd (meson: metrics)?", e.text);
	execv(path, argv);
	return cli_fail(CLI_INVALID, "metrics", "cannot start %s: %s", path, strerror(errno));
}

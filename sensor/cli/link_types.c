// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/link_types.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/apart.h"
#include "sensor/cli/cli.h"
#include "sensor/evidence/reader/segment_list.h"

struct listing {
	const struct recording_dir *dir;
	int fd; // where they are told, one after the other; all of them fit into a pipe
};

static bool among(const uint32_t *linktypes, unsigned count, uint32_t linktype)
{
	for (unsigned i = 0; i < count; i++)
		if (linktypes[i] == linktype)
			return true;
	return false;
}

static int list(void *user)
{
	const struct listing *l = user;
	struct verify_report *report = NULL;
	struct segment_list *segments = NULL;
	uint32_t linktypes[LINK_TYPES_MAX];
	unsigned count = 0;

	if (segment_list_read(l->dir, &segments, &report) < 0)
		return CLI_OK;
	for (size_t i = 0; i < segments->lane_count && count < LINK_TYPES_MAX; i++)
		if (!among(linktypes, count, segments->lanes[i]->linktype))
			linktypes[count++] = segments->lanes[i]->linktype;
	segment_list_free(segments);
	verify_report_free(report);
	return write(l->fd, linktypes, count * sizeof(*linktypes)) < 0 ? CLI_UNREADABLE : CLI_OK;
}

int link_types_of(const char *verb, const struct recording_dir *dir, uint32_t ret_linktypes[LINK_TYPES_MAX])
{
	const struct apart apart = {.verb = verb, .dir = dir, .write_dir = -1};
	struct listing listing = {.dir = dir};
	int ends[2], code;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		cli_fail(CLI_UNREADABLE, verb, "cannot start a process: %s", strerror(errno));
		return -EIO;
	}
	listing.fd = ends[1];
	code = apart_run(&apart, list, &listing);
	close(ends[1]);
	n = read(ends[0], ret_linktypes, LINK_TYPES_MAX * sizeof(*ret_linktypes));
	close(ends[0]);
	return code != CLI_OK || n < 0 ? -EIO : (int)((size_t)n / sizeof(*ret_linktypes));
}

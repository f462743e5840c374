// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/segments_on.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sensor/cli/cli.h"

int segments_on_add(struct segments_on *s, const char *verb, char *list)
{
	char *dir, *rest = list;

	while ((dir = strsep(&rest, ","))) {
		if (!*dir)
			return cli_fail(CLI_USAGE, verb, "--segments-on takes directories, separated by commas");
		if (s->count == sizeof(s->dir) / sizeof(s->dir[0]))
			return cli_fail(CLI_USAGE, verb, "--segments-on takes at most %zu directories",
			        sizeof(s->dir) / sizeof(s->dir[0]));
		s->dir[s->count++] = dir;
	}
	return CLI_OK;
}

int segments_on_open(
        const struct segments_on *s, const char *verb, const char *recording, struct recording_dir *ret_dir)
{
	int r = recording_open(recording, s->dir, s->count, ret_dir);

	return r < 0 ? cli_fail(CLI_UNREADABLE, verb,
	                       "cannot open the recording %s: %s; a recording is a directory with a ledger.jsonl",
	                       recording, strerror(-r))
	             : CLI_OK;
}

bool segments_elsewhere(const struct verify_report *r)
{
	for (size_t i = 0; i < r->finding_count && r->places > 1; i++)
		if (strcmp(r->findings[i].code, "missing-file") == 0 &&
		        strncmp(r->findings[i].where, "segments/", 9) == 0)
			return true;
	return false;
}

void segments_elsewhere_say(const char *verb, const struct verify_report *r)
{
	if (segments_elsewhere(r))
		fprintf(stderr,
		        "sealtap %s: the recording was made onto %" PRIu64
		        " disks: name those that are not there with --segments-on DIR\n",
		        verb, r->places);
}

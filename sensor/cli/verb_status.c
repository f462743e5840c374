// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/runs.h"
#include "sensor/cli/status_print.h"

static const char help[] =
        "usage: sealtap status [RECORDING|NAME] [--json] [--watch]\n"
        "\n"
        "Shows the running captures: counters of each lane with losses by cause, fill of the pool, compression level,\n"
        "the newest signed checkpoint, restarts and incidents. It asks the capture and disturbs nothing.\n"
        "\n"
        "  RECORDING|NAME  only this one: the directory, the last part of its path, or the sensor's name\n"
        "      --json      one object a line for each capture; counters have the names of the ledger's\n"
        "      --watch     again every second, until ^C or until nothing runs any more\n"
        "\n"
        "Root sees the captures of all users, others those that they started themselves or by sudo.\n"
        "Exit: 0 shown, 2 usage, 3 no such capture is running or it did not answer.\n";

static bool print(const struct run_seen *run, bool json)
{
	json_t *o;
	int r;

	if (!json)
		return status_print(run), true;
	o = status_json(run);
	r = json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(o);
	return r == 0 && putchar('\n') != EOF;
}

// One look: CLI_OK when something was shown, CLI_UNREADABLE when there is none and nothing has been said about it yet.
static int look(const char *name, bool json, bool clear, struct runs_seen *seen)
{
	unsigned shown = 0;

	if (runs_look(seen) < 0)
		return cli_fail(CLI_INVALID, "status", "out of memory");
	if (clear && seen->count > 0)
		fputs("\033[H\033[2J", stdout);
	for (unsigned i = 0; i < seen->count; i++) {
		if (name && !run_is_named(&seen->run[i], name))
			continue;
		if (!json && shown > 0)
			putchar('\n');
		if (!print(&seen->run[i], json))
			return cli_fail(CLI_INVALID, "status", "cannot write the result");
		shown++;
	}
	if (fflush(stdout) != 0)
		return cli_fail(CLI_INVALID, "status", "cannot write the result");
	return shown ? CLI_OK : CLI_UNREADABLE;
}

int verb_status(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"watch", no_argument, NULL, 'w'},
	        {"help", no_argument, NULL, 'h'}, {0}};
	const struct timespec second = {.tv_sec = 1};
	bool json = false, watch = false, any = false;
	struct runs_seen seen = {0};
	const char *name;
	int c, code;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c == 'j')
			json = true;
		else if (c == 'w')
			watch = true;
		else
			return fputs(help, stderr), CLI_USAGE;
	}
	if (argc - optind > 1)
		return cli_fail(CLI_USAGE, "status", "unexpected argument: %s", argv[optind + 1]);
	name = optind < argc ? argv[optind] : NULL;
	for (;;) {
		code = look(name, json, watch && !json && isatty(STDOUT_FILENO), &seen);
		if (code != CLI_OK || !watch)
			break;
		any = true;
		runs_free(&seen);
		nanosleep(&second, NULL);
	}
	if (code == CLI_UNREADABLE && any) // what was watched has ended
		code = CLI_OK;
	else if (code == CLI_UNREADABLE)
		code = runs_say_none(&seen, "status", name);
	runs_free(&seen);
	return code;
}

// SPDX-License-Identifier: Apache-2.0
// The command lines of `capture` and `ingest`: the configuration first, wherever it stands, so that flags override it.
#include <stdio.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/run_options.h"

static int take(struct run_options *o, int c, const char *name, const char *value, struct error *e)
{
	switch (c) {
	case 'i':
		return run_options_set(o, "interface", value, e);
	case 'o':
		return run_options_set(o, "output", value, e);
	case RUN_NAMED:
		return run_options_set(o, name, value, e);
	case RUN_FLAG:
		*run_options_flag(o, name) = true;
		return 0;
	default: // RUN_CONFIG was taken before
		return 0;
	}
}

int run_options_parse(struct run_options *o, int argc, char **argv, const char *letters, const struct option *options,
        const char *help)
{
	struct error e = {0};
	int c, index = 0;

	while ((c = cli_option(argc, argv, letters, options, &index)) != -1) {
		if (c == '?') {
			fprintf(stderr, "sealtap %s --help lists the options\n", o->verb);
			return CLI_USAGE;
		}
		if (c == 'h') {
			fputs(help, stdout);
			return CLI_OK;
		}
		if (c == RUN_CONFIG && run_options_read(o, optarg, &e) < 0)
			return cli_fail(CLI_USAGE, o->verb, "%s", e.text);
	}
	optind = 1;
	while ((c = cli_option(argc, argv, letters, options, &index)) != -1)
		if (take(o, c, options[index].name, optarg, &e) < 0)
			return cli_fail(CLI_USAGE, o->verb, "%s", e.text);
	return RUN_GO_ON;
}

// SPDX-License-Identifier: Apache-2.0
// `sealtap cat`: all packets of a recording as one pcapng. Findings go to stderr; the exit code tells whether there are
// any.
#include <getopt.h>
#include <stdio.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/packet_output.h"

static const char usage[] =
        "usage: sealtap cat RECORDING [-w FILE] [--segments-on DIR[,DIR]] [--json]\n"
        "\n"
        "Writes all packets as one pcapng to standard output, or to FILE, which must not exist yet and is made only "
        "when\n"
        "everything holds (-w - is standard output). One interface per lane; lanes are merged by time, order within a\n"
        "lane is kept. Works while a recording is being made and after a crash: then up to the last whole frame.\n"
        "\n" SEGMENTS_ON_HELP "  --json         a summary as JSON on standard error\n"
        "\n"
        "What is read is held against the recording's own hashes. That is not authentication: sealtap verify is.\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written\n";

int verb_cat(int argc, char **argv)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'},
	        {"json", no_argument, NULL, 'j'}, {"segments-on", required_argument, NULL, 's'},
	        {"help", no_argument, NULL, 'h'}, {0}};
	struct packet_output args = {.verb = "cat"};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "w:h", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			args.output = optarg;
			break;
		case 's':
			if (segments_on_add(&args.segments_on, "cat", optarg) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'j':
			args.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	}
	if (argc - optind != 1)
		return cli_fail(
		        CLI_USAGE, "cat", "which recording? sealtap cat RECORDING [-w FILE] (--help tells more)");
	args.recording = argv[optind];
	return packet_output_run(&args);
}

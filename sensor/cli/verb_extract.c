// SPDX-License-Identifier: Apache-2.0
// `sealtap extract`: the packets of a recording that match, as one pcapng.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/indexed_choice.h"
#include "sensor/cli/moment.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/selection.h"

static const char usage[] =
        "usage: sealtap extract RECORDING [EXPR] [--host A] [--port N] [--community-id ID] [--from TIME] [--to TIME]\n"
        "                       [-w FILE] [--segments-on DIR[,DIR]] [--no-index] [--json]\n"
        "\n"
        "Writes the packets for which all of this holds as one pcapng to standard output, or to FILE, which must not\n"
        "exist yet and is made only when everything holds. Lanes are merged by time, order within a lane is kept. "
        "Works\n"
        "while a recording is being made and after a crash: then up to the last whole frame.\n"
        "\n"
        "  EXPR               a pcap filter (man pcap-filter) over the frame as recorded: a tagged frame needs "
        "\"vlan\"\n"
        "  --host, --port     an address, a number: at either end, behind VLAN tags and inside tunnels too; "
        "repeatable\n"
        "  --community-id ID  a flow, as `sealtap flows` names it; later fragments of a packet do not tell theirs\n"
        "  --from, --to TIME  not before, not after: 2026-03-01T09:30:00.25Z, with +01:00, or seconds since 1970\n"
        "  --segments-on DIR[,DIR]\n"
        "                     where the segments of a recording that was made onto several disks lie, in any order\n"
        "  --no-index         read everything. Otherwise the first reading keeps, in your cache, where hosts, ports "
        "and\n"
        "                     flows are, and later ones skip the rest\n"
        "  --json             a summary as JSON on standard error\n"
        "\n"
        "  sealtap extract REC 'host 10.0.0.5 and port 443' -w - | wireshark -k -i -\n"
        "\n"
        "What is read is held against the recording's own hashes. That is not authentication: sealtap verify is.\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written\n";

// The words behind the recording, as tcpdump takes them. NULL: no memory.
static char *expression_of(int argc, char **argv)
{
	size_t len = 1;
	char *text;

	for (int i = 0; i < argc; i++)
		len += strlen(argv[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text && i < argc; i++) {
		strcat(text, argv[i]);
		strcat(text, i + 1 < argc ? " " : "");
	}
	return text;
}

struct extract_args {
	struct packet_output output;
	struct selection selection;
	const char *from, *to;
	bool no_index;
};

static int run(struct extract_args *args)
{
	struct selection *s = &args->selection;
	struct indexed_choice choice;
	int code;

	if ((args->from && moment_parse(args->from, &s->from_ns) < 0) ||
	        (args->to && moment_parse(args->to, &s->to_ns) < 0))
		return cli_fail(CLI_USAGE, "extract",
		        "--from and --to take a time such as 2026-03-01T09:30:00Z, or seconds since 1970");
	if (s->from_ns > s->to_ns)
		return cli_fail(CLI_USAGE, "extract", "--from is later than --to: no packet can match");
	indexed_choice_init(&choice, s, "extract", !args->no_index);
	args->output.choice = &choice.choice;
	code = packet_output_run(&args->output);
	indexed_choice_release(&choice);
	return code;
}

// Options in the order they come; what selects goes into the selection. 0, or an enum cli_exit with *ret_done.
static int parse(int argc, char **argv, struct extract_args *args, bool *ret_done)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'},
	        {"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 't'},
	        {"host", required_argument, NULL, 'H'}, {"port", required_argument, NULL, 'p'},
	        {"community-id", required_argument, NULL, 'c'}, {"no-index", no_argument, NULL, 'n'},
	        {"segments-on", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
	        {"help", no_argument, NULL, 'h'}, {0}};
	struct error e = {0};
	int c, r = 0;

	*ret_done = true;
	optind = 0;
	while ((c = getopt_long(argc, argv, "w:h", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			args->output.output = optarg;
			break;
		case 'f':
			args->from = optarg;
			break;
		case 't':
			args->to = optarg;
			break;
		case 'H':
			r = selection_add_host(&args->selection, optarg, &e);
			break;
		case 'p':
			r = selection_add_port(&args->selection, optarg, &e);
			break;
		case 'c':
			r = selection_add_community_id(&args->selection, optarg, &e);
			break;
		case 's':
			if (segments_on_add(&args->output.segments_on, "extract", optarg) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'n':
			args->no_index = true;
			break;
		case 'j':
			args->output.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
		if (r < 0)
			return cli_fail(CLI_USAGE, "extract", "%s", e.text);
	}
	if (optind == argc)
		return cli_fail(CLI_USAGE, "extract",
		        "which recording? sealtap extract RECORDING [EXPR] [-w FILE] (--help tells more)");
	args->output.recording = argv[optind];
	*ret_done = false;
	return CLI_OK;
}

int verb_extract(int argc, char **argv)
{
	struct extract_args args = {.output = {.verb = "extract"}, .selection = {.to_ns = UINT64_MAX}};
	struct error e = {0};
	char *expression;
	bool done;
	int code = parse(argc, argv, &args, &done);

	if (done)
		return code;
	expression = expression_of(argc - optind - 1, argv + optind + 1);
	if (!expression)
		return cli_fail(CLI_UNREADABLE, "extract", "out of memory");
	code = selection_set_expression(&args.selection, expression, &e) < 0
	               ? cli_fail(CLI_USAGE, "extract", "%s", e.text)
	               : run(&args);
	selection_release(&args.selection);
	free(expression);
	return code;
}

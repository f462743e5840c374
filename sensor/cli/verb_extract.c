// SPDX-License-Identifier: Apache-2.0
// `sealtap extract`: the packets of a recording that match, as one pcapng.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/indexed_choice.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/selection.h"

static const char usage[] =
        "usage: sealtap extract RECORDING [EXPR]\n"
        "                       " FLOW_FILTER_SYNOPSIS "\n"
        "                       [-w FILE] [--segments-on DIR[,DIR]] [--no-index] [--json]\n"
        "\n"
        "Writes the packets for which all of this holds as one pcapng to standard output, or to FILE, which must not\n"
        "exist yet and is made only when everything holds. Lanes are merged by time, order within a lane is kept. "
        "Works\n"
        "while a recording is being made and after a crash: then up to the last whole frame.\n"
        "\n"
        "  EXPR                  a pcap filter (man pcap-filter) over the frame as recorded: a tagged frame needs "
        "\"vlan\"\n" FLOW_FILTER_HELP
        "  --from, --to TIME     not before, not after: 2026-03-01T09:30:00.25Z, with +01:00, or seconds since 1970\n"
        "  --segments-on DIR[,DIR]\n"
        "                        where the segments of a recording that was made onto several disks lie, in any order\n"
        "  --reanalyse           for --app and --sni: look into all packets, also where the recording keeps flow "
        "records\n"
        "  --no-index            read everything. Otherwise the first reading keeps, in your cache, where hosts, "
        "ports\n"
        "                        and flows are, and later ones skip the rest\n"
        "  --json                a summary as JSON on standard error\n"
        "\n"
        "These are the packets of the flows that `sealtap flows` shows for the same selection, with all fragments; of "
        "a\n"
        "tunnel a packet belongs to the outer and the inner flow. --app and --sni find the flows first: in the "
        "records\n"
        "that the recording keeps, when it is closed and these are all; else in all packets.\n"
        "\n"
        "  sealtap extract REC 'host 10.0.0.5 and port 443' -w - | wireshark -k -i -\n"
        "  sealtap extract REC --sni '*.example.org' -w example.pcapng\n"
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
	struct indexed_choice choice;
	bool no_index, reanalyse;
};

static int prepare(void *user, const struct recording_dir *dir, int *ret_write_dir)
{
	struct extract_args *args = user;

	return indexed_choice_prepare(&args->choice, dir, ret_write_dir);
}

static void summary(void *user, json_t *json)
{
	const struct extract_args *args = user;
	const struct selection *s = &args->selection;

	if (json && s->set) {
		json_object_set_new(json, "flows", json_integer(flow_set_chosen(s->set)));
		json_object_set_new(json, "flows_by", json_string(s->by_records ? "records" : "packets"));
	}
	if (json && s->packet_flows)
		json_object_set_new(json, "fragments_left_out", json_integer((json_int_t)s->left_out));
	if (!json && s->left_out > 0)
		fprintf(stderr,
		        "sealtap extract: %" PRIu64
		        " fragments came before the first one of their packet and were left "
		        "out; --host alone%s finds them\n",
		        s->left_out, s->by_records ? ", or --reanalyse," : "");
}

static int run(struct extract_args *args)
{
	int code;

	indexed_choice_init(&args->choice, &args->selection, &args->output, !args->no_index);
	args->choice.reanalyse = args->reanalyse;
	args->output.choice = &args->choice.choice;
	args->output.choice_code = &args->choice.code;
	args->output.prepare = prepare;
	args->output.summary = summary;
	args->output.user = args;
	code = packet_output_run(&args->output);
	indexed_choice_release(&args->choice);
	return code;
}

// Options in the order they come; what selects goes into the selection. 0, or an enum cli_exit with *ret_done.
static int parse(int argc, char **argv, struct extract_args *args, bool *ret_done)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'}, FLOW_FILTER_OPTIONS('f'),
	        {"segments-on", required_argument, NULL, 's'}, {"no-index", no_argument, NULL, 'n'},
	        {"reanalyse", no_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
	        {"help", no_argument, NULL, 'h'}, {0}};
	struct flow_filter *flows = &args->selection.flows;
	struct error e = {0};
	int c, at = 0;

	*ret_done = true;
	optind = 0;
	while ((c = cli_option(argc, argv, "w:h", options, &at)) != -1) {
		switch (c) {
		case 'w':
			args->output.output = optarg;
			break;
		case 'f':
			if (flow_filter_set(flows, options[at].name, optarg, &e) < 0)
				return cli_fail(CLI_USAGE, "extract", "%s", e.text);
			break;
		case 's':
			if (segments_on_add(&args->output.segments_on, "extract", optarg) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'r':
			args->reanalyse = true;
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
	}
	if (flow_filter_check(flows, &e) < 0)
		return cli_fail(CLI_USAGE, "extract", "%s", e.text);
	if (optind == argc)
		return cli_fail(CLI_USAGE, "extract",
		        "which recording? sealtap extract RECORDING [EXPR] [-w FILE] (--help tells more)");
	args->output.recording = argv[optind];
	*ret_done = false;
	return CLI_OK;
}

int verb_extract(int argc, char **argv)
{
	struct extract_args args = {.output = {.verb = "extract"}, .selection = {.flows = {.to_ns = UINT64_MAX}}};
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

// SPDX-License-Identifier: Apache-2.0
// `sealtap extract`: the packets of a recording that match, as one pcapng.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/moment.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/selection.h"

static const char usage[] =
        "usage: sealtap extract RECORDING [EXPR] [--from TIME] [--to TIME] [-w FILE] [--json]\n"
        "\n"
        "Writes the packets that match as one pcapng to standard output, or to FILE, which must not exist yet and is "
        "made\n"
        "only when everything holds. Lanes are merged by time, order within a lane is kept. Works while a recording "
        "is\n"
        "being made and after a crash: then up to the last whole frame.\n"
        "\n"
        "  EXPR          a pcap filter (man pcap-filter) over the frame as recorded: a tagged frame needs \"vlan\"\n"
        "  --from TIME   not before, --to TIME not after: 2026-03-01T09:30:00.25Z, with +01:00, or seconds since "
        "1970\n"
        "  --json        a summary as JSON on standard error\n"
        "\n"
        "  sealtap extract REC 'host 10.0.0.5 and port 443' -w - | wireshark -k -i -\n"
        "\n"
        "What is read is held against the recording's own hashes. That is not authentication: sealtap verify is.\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written\n";

static int begin(void *user, const struct segment_list *list)
{
	struct selection *s = user;
	struct error e = {0};

	for (size_t i = 0; i < list->lane_count; i++) {
		if (selection_prepare(s, list->lanes[i]->linktype, &e) < 0) {
			cli_fail(CLI_USAGE, "extract", "lane %u (%s): %s", list->lanes[i]->number,
			        list->lanes[i]->interface, e.text);
			return -ECANCELED;
		}
	}
	return 0;
}

static const struct frame_plan *plan(void *user, const struct listed_lane *lane, uint32_t number)
{
	static const struct frame_plan nothing;
	const struct listed_segment *segment = &lane->segments[number];

	return segment->packets == 0 || !selection_overlaps(user, segment->ts_min, segment->ts_max) ? &nothing : NULL;
}

static bool wants(void *user, const struct listed_lane *lane, const struct segment_packet *packet)
{
	return selection_wants(user, lane->linktype, &packet->packet);
}

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

static int run(struct packet_output *output, const char *expression, const char *from, const char *to)
{
	struct selection s;
	struct packet_choice choice = {.begin = begin, .plan = plan, .wants = wants, .user = &s};
	struct error e = {0};
	int code = CLI_OK;

	if (selection_init(&s, expression, &e) < 0)
		return cli_fail(CLI_USAGE, "extract", "%s", e.text);
	if ((from && moment_parse(from, &s.from_ns) < 0) || (to && moment_parse(to, &s.to_ns) < 0))
		code = cli_fail(CLI_USAGE, "extract",
		        "--from and --to take a time such as 2026-03-01T09:30:00Z, or seconds since 1970");
	else if (s.from_ns > s.to_ns)
		code = cli_fail(CLI_USAGE, "extract", "--from is later than --to: no packet can match");
	output->choice = &choice;
	if (code == CLI_OK)
		code = packet_output_run(output);
	selection_release(&s);
	return code;
}

int verb_extract(int argc, char **argv)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'},
	        {"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 't'},
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct packet_output output = {.verb = "extract"};
	const char *from = NULL, *to = NULL;
	char *expression;
	int c, code;

	optind = 0;
	while ((c = getopt_long(argc, argv, "w:h", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			output.output = optarg;
			break;
		case 'f':
			from = optarg;
			break;
		case 't':
			to = optarg;
			break;
		case 'j':
			output.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	}
	if (optind == argc)
		return cli_fail(CLI_USAGE, "extract",
		        "which recording? sealtap extract RECORDING [EXPR] [-w FILE] (--help tells more)");
	output.recording = argv[optind];
	expression = expression_of(argc - optind - 1, argv + optind + 1);
	if (!expression)
		return cli_fail(CLI_UNREADABLE, "extract", "out of memory");
	code = run(&output, expression, from, to);
	free(expression);
	return code;
}

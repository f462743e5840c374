// SPDX-License-Identifier: Apache-2.0
// `sealtap cat`: all packets of a recording as one pcapng. Findings go to stderr; the exit code tells whether there are
// any.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/output_file.h"
#include "sensor/evidence/reader/packet_merge.h"
#include "sensor/evidence/reader/recording_dir.h"

static const char usage[] =
        "usage: sealtap cat RECORDING [-w FILE] [--json]\n"
        "\n"
        "Writes all packets as one pcapng to standard output, or to FILE, which must not exist yet and is made only "
        "when\n"
        "everything holds (-w - is standard output). One interface per lane; lanes are merged by time, order within a\n"
        "lane is kept. Works while a recording is being made and after a crash: then up to the last whole frame.\n"
        "\n"
        "  --json   a summary as JSON on standard error\n"
        "\n"
        "What is read is held against the recording's own hashes. That is not authentication: sealtap verify is.\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written\n";

struct cat_args {
	const char *recording, *output;
	bool json;
};

static bool to_stdout(const struct cat_args *args)
{
	return !args->output || strcmp(args->output, "-") == 0;
}

// What a reader of packets must hear; that a recording is live or not authenticated is for `verify` to say.
static int print_findings(const struct verify_report *r)
{
	int code = CLI_OK;

	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		if (f->verdict == VERDICT_INCOMPLETE)
			continue;
		fprintf(stderr, "sealtap cat: %s at %s: expected %s, found %s\n", f->code, f->where, f->expected,
		        f->actual);
	}
	if (r->by_verdict[VERDICT_INVALID] > 0)
		code = CLI_INVALID;
	else if (r->by_verdict[VERDICT_UNREADABLE] > 0)
		code = CLI_UNREADABLE;
	return code;
}

static void print_summary(const struct cat_args *args, const struct merge_result *result, int code)
{
	json_t *o;

	if (args->json) {
		o = json_pack("{s:s, s:I, s:b}", "result", code == CLI_OK ? "done" : verdict_word((enum verdict)code),
		        "packets", (json_int_t)result->packets, "beyond_signed", result->beyond_signed);
		json_dumpf(o, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(o);
	} else if (result->beyond_signed) {
		fprintf(stderr, "sealtap cat: the last packets stand behind what the recording has signed so far\n");
	}
}

static int cat(const struct cat_args *args, int dirfd, int fd)
{
	struct merge_result result;
	int r = packet_merge(dirfd, fd, &result);
	int code = result.report ? print_findings(result.report) : CLI_OK;

	if (r == -EPIPE)
		code = CLI_UNREADABLE; // the reader went away; it knows
	else if (r < 0)
		code = cli_fail(CLI_UNREADABLE, "cat", "cannot write %s: %s",
		        to_stdout(args) ? "to standard output" : args->output, strerror(-r));
	else
		print_summary(args, &result, code);
	verify_report_free(result.report);
	return code;
}

// A file that is there is whole: whoever finds it later does not see the exit code.
static int finish(const struct cat_args *args, struct output_file *file, int code)
{
	int r = 0;

	if (code == CLI_OK)
		r = output_file_keep(file);
	else
		output_file_discard(file);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "cat", "cannot write %s: %s", args->output, strerror(-r));
	if (code == CLI_INVALID)
		fprintf(stderr,
		        "sealtap cat: %s was not made; what can be read all the same goes to standard output without "
		        "-w\n",
		        args->output);
	return code;
}

static int run(const struct cat_args *args)
{
	struct output_file file = {.fd = -1};
	int dirfd, code, r;

	if (to_stdout(args) && isatty(STDOUT_FILENO))
		return cli_fail(CLI_USAGE, "cat",
		        "standard output is a terminal; give -w FILE, or a pipe: sealtap cat %s | tshark -r -",
		        args->recording);
	r = recording_open(args->recording, &dirfd);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "cat",
		        "cannot open the recording %s: %s; a recording is a directory with a ledger.jsonl",
		        args->recording, strerror(-r));
	if (!to_stdout(args)) {
		r = output_file_open(&file, args->output);
		if (r < 0) {
			code = cli_fail(r == -EEXIST ? CLI_USAGE : CLI_UNREADABLE, "cat", "cannot make %s: %s%s",
			        args->output, strerror(-r),
			        r == -EEXIST ? "; give another name, nothing is overwritten" : "");
			close(dirfd);
			return code;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	code = cat(args, dirfd, to_stdout(args) ? STDOUT_FILENO : file.fd);
	if (!to_stdout(args))
		code = finish(args, &file, code);
	close(dirfd);
	return code;
}

int verb_cat(int argc, char **argv)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'},
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct cat_args args = {.json = false};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "w:h", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			args.output = optarg;
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
	return run(&args);
}

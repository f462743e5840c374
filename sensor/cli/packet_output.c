// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/packet_output.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/apart.h"
#include "sensor/cli/cli.h"
#include "sensor/cli/output_file.h"
#include "sensor/evidence/reader/packet_merge.h"
#include "sensor/evidence/reader/recording_dir.h"

static bool to_stdout(const struct packet_output *o)
{
	return !o->output || strcmp(o->output, "-") == 0;
}

// What a reader of packets must hear; that a recording is live or not authenticated is for `verify` to say.
int packet_findings_print(const char *verb, const struct verify_report *r)
{
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		if (f->verdict == VERDICT_INCOMPLETE && strcmp(f->code, "segment-retired") != 0)
			continue;
		fprintf(stderr, "sealtap %s: %s at %s: expected %s, found %s\n", verb, f->code, f->where, f->expected,
		        f->actual);
	}
	segments_elsewhere_say(verb, r);
	if (r->by_verdict[VERDICT_INVALID] > 0)
		return CLI_INVALID;
	return r->by_verdict[VERDICT_UNREADABLE] > 0 ? CLI_UNREADABLE : CLI_OK;
}

static void print_summary(const struct packet_output *o, const struct merge_result *result, int code)
{
	json_t *line;

	if (o->json) {
		line = json_pack("{s:s, s:I, s:I, s:b}", "result",
		        code == CLI_OK ? "done" : verdict_word((enum verdict)code), "packets",
		        (json_int_t)result->packets, "frames_read", (json_int_t)result->frames, "beyond_signed",
		        result->beyond_signed);
		if (o->summary)
			o->summary(o->user, line);
		json_dumpf(line, stderr, JSON_COMPACT);
		fputc('\n', stderr);
		json_decref(line);
		return;
	}
	if (o->summary)
		o->summary(o->user, NULL);
	if (result->beyond_signed)
		fprintf(stderr, "sealtap %s: the last packets stand behind what the recording has signed so far\n",
		        o->verb);
}

struct reading {
	const struct packet_output *o;
	const struct recording_dir *dir;
	int fd; // of the output
};

static int merge(void *user)
{
	const struct reading *reading = user;
	const struct packet_output *o = reading->o;
	struct merge_result result;
	int r = packet_merge(reading->dir, reading->fd, o->choice, &result);
	const bool told = o->choice_code && *o->choice_code != CLI_OK;
	int code = CLI_OK;

	if (told)
		code = *o->choice_code;
	else if (result.report)
		code = packet_findings_print(o->verb, result.report);
	if (r == -ECANCELED)
		code = code == CLI_OK ? CLI_USAGE : code; // the choice has said why
	else if (r == -EPIPE)
		code = CLI_UNREADABLE; // the reader went away; it knows
	else if (r < 0)
		code = cli_fail(CLI_UNREADABLE, o->verb, "cannot write %s: %s",
		        to_stdout(o) ? "to standard output" : o->output, strerror(-r));
	else
		print_summary(o, &result, code);
	verify_report_free(result.report);
	return code;
}

static int read_apart(const struct packet_output *o, const struct recording_dir *dir, int fd)
{
	struct reading reading = {.o = o, .dir = dir, .fd = fd};
	struct apart apart = {.verb = o->verb, .dir = dir, .write_dir = -1};
	int code = o->prepare ? o->prepare(o->user, dir, &apart.write_dir) : CLI_OK;

	if (code == CLI_OK || code == CLI_INVALID)
		code = apart_run(&apart, merge, &reading);
	if (apart.write_dir >= 0)
		close(apart.write_dir);
	return code;
}

// A file that is there is whole: whoever finds it later does not see the exit code.
static int finish(const struct packet_output *o, struct output_file *file, int code)
{
	int r = 0;

	if (code == CLI_OK)
		r = output_file_keep(file);
	else
		output_file_discard(file);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, o->verb, "cannot write %s: %s", o->output, strerror(-r));
	if (code == CLI_INVALID)
		fprintf(stderr,
		        "sealtap %s: %s was not made; what can be read all the same goes to standard output without "
		        "-w\n",
		        o->verb, o->output);
	return code;
}

int packet_output_run(const struct packet_output *o)
{
	struct output_file file = {.fd = -1};
	struct recording_dir dir;
	int code, r;

	if (to_stdout(o) && isatty(STDOUT_FILENO))
		return cli_fail(CLI_USAGE, o->verb,
		        "standard output is a terminal; give -w FILE, or a pipe: sealtap %s %s ... | tshark -r -",
		        o->verb, o->recording);
	code = segments_on_open(&o->segments_on, o->verb, o->recording, &dir);
	if (code != CLI_OK)
		return code;
	if (!to_stdout(o)) {
		r = output_file_open(&file, o->output);
		if (r < 0) {
			code = cli_fail(r == -EEXIST ? CLI_USAGE : CLI_UNREADABLE, o->verb, "cannot make %s: %s%s",
			        o->output, strerror(-r),
			        r == -EEXIST ? "; give another name, nothing is overwritten" : "");
			recording_close(&dir);
			return code;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	code = read_apart(o, &dir, to_stdout(o) ? STDOUT_FILENO : file.fd);
	if (!to_stdout(o))
		code = finish(o, &file, code);
	recording_close(&dir);
	return code;
}

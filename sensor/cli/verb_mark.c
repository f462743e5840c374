// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/runs.h"
#include "sensor/cli/status_print.h"
#include "sensor/evidence/ledger_line.h"

static const char help[] =
        "usage: sealtap mark [RECORDING|NAME] TEXT [--json]\n"
        "\n"
        "Writes a note into the ledger of a running capture: an event of an exercise, a hand-over, what was seen. It\n"
        "stands there with the time at which it was written and with your user's name, and cannot be taken back.\n"
        "Returns when the line is on the disk and under a signed checkpoint.\n"
        "\n"
        "  RECORDING|NAME  whose ledger: the directory, the last part of its path, or the sensor's name; needed when\n"
        "                  more than one capture runs\n"
        "  TEXT            one line of UTF-8, at most 1023 bytes\n"
        "      --json      one object on stdout: recording, seq, time, by, text, checkpoint_size\n"
        "\n"
        "Exit: 0 written and signed, 1 not written, 2 usage, or which of several captures was not said, 3 no capture\n"
        "is running, or it did not answer: whether the mark was written is then not known (`grep mark "
        "ledger.jsonl`).\n";

// The one run that is meant, or NULL and an exit code.
static const struct run_seen *choose(const struct runs_seen *seen, const char *name, int *ret_code)
{
	const struct run_seen *found = NULL;
	unsigned matching = 0;

	for (unsigned i = 0; i < seen->count; i++)
		if (!name || run_is_named(&seen->run[i], name)) {
			found = &seen->run[i];
			matching++;
		}
	if (matching == 1)
		return found;
	if (matching == 0) {
		*ret_code = runs_say_none(seen, "mark", name);
		return NULL;
	}
	*ret_code = cli_fail(
	        CLI_USAGE, "mark", "%u captures are running; say which: sealtap mark RECORDING TEXT", matching);
	for (unsigned i = 0; i < seen->count; i++)
		if (!name || run_is_named(&seen->run[i], name))
			status_print_line(stderr, &seen->run[i]);
	return NULL;
}

static int show(const struct run_seen *run, const struct control_marked *m, const char *text, bool json)
{
	char time[TIME_TEXT_MAX], day[TIME_FOR_PEOPLE];
	json_t *o;
	int r;

	time_print(m->answer.t_real, time);
	if (!json) {
		printf("line %" PRIu64 " of the ledger, %s, signed (checkpoint of %" PRIu64 " lines)\n", m->answer.seq,
		        time_for_people(m->answer.t_real, day), m->answer.size);
		return CLI_OK;
	}
	o = json_pack("{s:o, s:I, s:s, s:o, s:o, s:I}", "recording",
	        json_text(run->is.recording, strlen(run->is.recording)), "seq", (json_int_t)m->answer.seq, "time", time,
	        "by", json_text(m->by, strlen(m->by)), "text", json_text(text, strlen(text)), "checkpoint_size",
	        (json_int_t)m->answer.size);
	r = o ? json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) : -1;
	putchar('\n');
	json_decref(o);
	return r < 0 ? cli_fail(CLI_INVALID, "mark", "the mark is written; what it became cannot be printed") : CLI_OK;
}

static int refused(enum control_refusal reason)
{
	switch (reason) {
	case CONTROL_NOT_YOURS:
		return cli_fail(
		        CLI_UNREADABLE, "mark", "this capture belongs to another user: ask as that user, or as root");
	case CONTROL_MALFORMED:
		return cli_fail(CLI_INVALID, "mark",
		        "the capture was started by another version of sealtap; nothing was written");
	case CONTROL_NOT_RECORDING:
		return cli_fail(CLI_INVALID, "mark",
		        "the ledger is not open: the capture has not begun yet, is ending, or its disk stands still; "
		        "nothing "
		        "was written");
	case CONTROL_NO_ANSWER:
		break;
	}
	return cli_fail(CLI_UNREADABLE, "mark",
	        "no answer from the ledger: whether the mark was written is not known; look for it in ledger.jsonl");
}

static int mark(const struct run_seen *run, const char *text, bool json)
{
	union control_answer m;
	int r = run_mark(run, text, &m);

	if (r == CONTROL_MARKED && m.marked.answer.result == 0)
		return show(run, &m.marked, text, json);
	if (r == CONTROL_MARKED)
		return cli_fail(CLI_INVALID, "mark", "the ledger was not written: %s; the capture is ending",
		        strerror(-m.marked.answer.result));
	if (r == CONTROL_REFUSED)
		return refused((enum control_refusal)m.refused.reason);
	return refused(CONTROL_NO_ANSWER);
}

int verb_mark(int argc, char **argv)
{
	static const struct option options[] = {
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	const struct run_seen *run;
	struct runs_seen seen;
	const char *text, *name;
	bool json = false;
	int c, code = CLI_OK;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c != 'j')
			return fputs(help, stderr), CLI_USAGE;
		json = true;
	}
	if (argc - optind < 1 || argc - optind > 2)
		return cli_fail(CLI_USAGE, "mark", "give one text, in quotes: sealtap mark [RECORDING] \"TEXT\"");
	text = argv[argc - 1];
	name = argc - optind == 2 ? argv[optind] : NULL;
	if (strlen(text) >= MARK_TEXT_MAX)
		return cli_fail(
		        CLI_USAGE, "mark", "the text has %zu bytes; at most %u fit", strlen(text), MARK_TEXT_MAX - 1);
	if (!text_plain(text))
		return cli_fail(CLI_USAGE, "mark",
		        "the text is empty, not UTF-8, or holds control characters such as line ends; give one line");
	if (runs_look(&seen) < 0)
		return cli_fail(CLI_INVALID, "mark", "out of memory");
	run = choose(&seen, name, &code);
	if (run)
		code = mark(run, text, json);
	runs_free(&seen);
	return code;
}

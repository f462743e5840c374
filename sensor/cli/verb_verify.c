// SPDX-License-Identifier: Apache-2.0
// `sealtap verify`, also built as the program sealtap-verify. Reads; writes nothing but its answer.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/segments_on.h"
#include "sensor/cli/verify_print.h"
#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/keys.h"

static const char usage[] =
        "usage: sealtap verify RECORDING... [--origin PUB] [--input FILE]... [--checkpoint FILE]...\n"
        "                      [--segments-on DIR[,DIR]] [--json] [--quiet]\n"
        "\n"
        "Checks everything that a recording's signatures, hashes and counters say, and tells how far that goes.\n"
        "\n"
        "  --origin PUB   the sensor's origin.pub, from a way that you trust; without it, your trust store counts\n"
        "                 (sealtap trust add PUB)\n"
        "  --input FILE   FILE must be one of the files that an ingested recording was made from, and the recording "
        "must\n"
        "                 hold its packets, every one; may be repeated\n"
        "  --checkpoint FILE\n"
        "                 a copy of the recording's file `checkpoint` that somebody held elsewhere: all that it "
        "covers\n"
        "                 must still be there, unchanged; may be repeated\n" SEGMENTS_ON_HELP
        "  --json         the answer as JSON on standard output\n"
        "  --quiet        nothing for people: only the exit code, and the JSON if asked for\n"
        "\n"
        "Several recordings of one sensor are also checked to follow each other without a gap.\n"
        "\n"
        "exit: 0 valid, authenticated, closed   1 invalid   2 wrong command line   3 not verified: cannot read\n"
        "      4 consistent, and what is missing is named\n";

struct verify_args {
	const char *origin_path;
	const char *const *inputs;
	size_t input_count;
	struct checkpoint *held;
	size_t held_count;
	struct segments_on segments_on;
	bool json, quiet;
	uint8_t origin[ED25519_KEY_LEN];
	char data_dir[4096];
	bool has_data_dir;
};

static void show_progress(void *user, uint64_t bytes)
{
	fprintf(stderr, "\rverifying %s: %" PRIu64 " MB ", (const char *)user, bytes / 1000000);
}

static int read_origin(struct verify_args *args)
{
	struct error e = {0};
	int fd = open(args->origin_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return cli_fail(errno == ENOENT ? CLI_USAGE : CLI_UNREADABLE, "verify",
		        "cannot read the origin key %s: %s", args->origin_path, strerror(errno));
	r = public_key_read_fd(fd, args->origin_path, args->origin, &e);
	close(fd);
	return r < 0 ? cli_fail(r == -EKEYREJECTED ? CLI_USAGE : CLI_UNREADABLE, "verify", "%s", e.text) : 0;
}

static int read_held(struct verify_args *args, const char *path)
{
	char text[CHECKPOINT_TEXT_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int saved = errno;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return cli_fail(saved == ENOENT ? CLI_USAGE : CLI_UNREADABLE, "verify",
		        "cannot read the checkpoint %s: %s", path, strerror(saved));
	if (checkpoint_parse(text, (size_t)n, &args->held[args->held_count]) < 0)
		return cli_fail(
		        CLI_USAGE, "verify", "%s is not a checkpoint, as a recording's file `checkpoint` is", path);
	args->held_count++;
	return 0;
}

static int verify_one(const struct verify_args *args, struct series_member *m)
{
	bool terminal = isatty(STDERR_FILENO) && !args->quiet;
	struct verify_options options = {
	        .origin = args->origin_path ? args->origin : NULL,
	        .data_dir = args->has_data_dir ? args->data_dir : NULL,
	        .held = args->held,
	        .held_count = args->held_count,
	        .places = args->segments_on.dir,
	        .place_count = args->segments_on.count,
	        .progress = terminal ? show_progress : NULL,
	        .user = (void *)m->path,
	};
	int r = verify_path(m->path, &options, &m->dir, &m->report);

	if (terminal)
		fprintf(stderr, "\r\033[K");
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "verify", "cannot verify %s: %s", m->path, strerror(-r));
	if (m->dir.fd >= 0 && faccessat(m->dir.fd, "ledger.jsonl", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT &&
	        !args->quiet)
		fprintf(stderr,
		        "sealtap verify: %s holds no ledger.jsonl: it is no recording, or its ledger was removed\n",
		        m->path);
	for (size_t i = 0; i < args->input_count && m->dir.fd >= 0; i++)
		verify_input(m->report, &m->dir, args->inputs[i]);
	return 0;
}

static enum verdict overall(const struct series_member *members, size_t count)
{
	bool any[5] = {false};

	for (size_t i = 0; i < count; i++)
		any[verify_report_verdict(members[i].report)] = true;
	return any[VERDICT_INVALID]      ? VERDICT_INVALID
	       : any[VERDICT_UNREADABLE] ? VERDICT_UNREADABLE
	       : any[VERDICT_INCOMPLETE] ? VERDICT_INCOMPLETE
	                                 : VERDICT_VALID;
}

// False when the answer could not be written.
static bool answer(const struct verify_args *args, struct series_member *members, size_t count, enum verdict v)
{
	json_t *list, *all;

	if (!args->json) {
		for (size_t i = 0; i < count && !args->quiet; i++) {
			if (i > 0)
				printf("\n");
			verify_print_human(&members[i]);
		}
		if (count > 1 && !args->quiet)
			printf("\nall %zu recordings together: %s\n", count, verdict_word(v));
		return fflush(stdout) == 0;
	}
	if (count == 1) {
		all = verify_json(&members[0]);
	} else {
		list = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(list, verify_json(&members[i]));
		all = json_pack("{s:s, s:o}", "result", verdict_word(v), "recordings", list);
	}
	bool ok = all && json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 && putchar('\n') != EOF &&
	          fflush(stdout) == 0;
	json_decref(all);
	return ok;
}

static int run(const struct verify_args *args, char **paths, size_t count)
{
	struct series_member *members = calloc(count, sizeof(*members));
	int code = 0;

	if (!members)
		return cli_fail(CLI_UNREADABLE, "verify", "no memory");
	for (size_t i = 0; i < count; i++)
		members[i] = (struct series_member){.path = paths[i], .dir = {.fd = -1}};
	for (size_t i = 0; i < count && code == 0; i++)
		code = verify_one(args, &members[i]);
	if (code == 0) {
		enum verdict v;

		verify_series(members, count);
		verify_held(members, count, args->held, args->held_count);
		v = overall(members, count);
		code = (int)v;
		if (!answer(args, members, count, v))
			code = cli_fail(CLI_UNREADABLE, "verify", "cannot write the answer: %s", strerror(errno));
	}
	for (size_t i = 0; i < count; i++) {
		recording_close(&members[i].dir);
		verify_report_free(members[i].report);
	}
	free(members);
	return code;
}

int verb_verify(int argc, char **argv)
{
	static const struct option options[] = {{"origin", required_argument, NULL, 'o'},
	        {"input", required_argument, NULL, 'i'}, {"checkpoint", required_argument, NULL, 'c'},
	        {"segments-on", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
	        {"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char **inputs = calloc((size_t)argc + 1, sizeof(*inputs));
	struct verify_args args = {.inputs = inputs, .held = calloc((size_t)argc + 1, sizeof(*args.held))};
	int c, code = 0;

	if (!inputs || !args.held)
		return cli_fail(CLI_UNREADABLE, "verify", "no memory");
	optind = 0;
	while (code == 0 && (c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			args.origin_path = optarg;
			break;
		case 'i':
			inputs[args.input_count++] = optarg;
			break;
		case 'c':
			code = read_held(&args, optarg);
			break;
		case 's':
			code = segments_on_add(&args.segments_on, "verify", optarg);
			break;
		case 'j':
			args.json = true;
			break;
		case 'q':
			args.quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			free(inputs);
			free(args.held);
			return CLI_OK;
		default:
			code = CLI_USAGE;
		}
	}
	if (code == 0 && optind == argc)
		code = cli_fail(CLI_USAGE, "verify", "which recording? sealtap verify RECORDING (--help tells more)");
	if (code == 0 && args.origin_path)
		code = read_origin(&args);
	if (code == 0) {
		args.has_data_dir = cli_data_dir(args.data_dir, sizeof(args.data_dir)) == 0;
		code = run(&args, argv + optind, (size_t)(argc - optind));
	}
	free(inputs);
	free(args.held);
	return code;
}

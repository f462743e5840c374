// SPDX-License-Identifier: Apache-2.0
// `sealtap verify`, also built as the program sealtap-verify. Reads; writes nothing but its answer. What it was given
// is opened first, and --origin and --checkpoint are read; then it gives up everything else (shut_in.h), and only then
// reads recordings and inputs.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/segments_on.h"
#include "sensor/cli/shut_in.h"
#include "sensor/cli/verify_print.h"
#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/keys.h"
#include "sensor/evidence/reader/trust_store.h"

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

struct input {
	const char *path;
	int fd; // or a negative errno
};

struct verify_args {
	const char *origin_path;
	struct input *inputs;
	size_t input_count;
	struct checkpoint *held;
	size_t held_count;
	struct segments_on segments_on;
	bool json, quiet;
	bool terminal; // progress is shown
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
	struct verify_options options = {
	        .origin = args->origin_path ? args->origin : NULL,
	        .data_dir = args->has_data_dir ? args->data_dir : NULL,
	        .held = args->held,
	        .held_count = args->held_count,
	        .progress = args->terminal ? show_progress : NULL,
	        .user = (void *)m->path,
	};
	struct stat st;
	int r = m->dir.fd < 0 ? verify_unopened(m->path, m->dir.fd, &m->report)
	                      : verify_recording(&m->dir, &options, &m->report);

	if (args->terminal)
		fprintf(stderr, "\r\033[K");
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "verify", "cannot verify %s: %s", m->path, strerror(-r));
	if (m->dir.fd >= 0 && fstatat(m->dir.fd, "ledger.jsonl", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT &&
	        !args->quiet)
		fprintf(stderr,
		        "sealtap verify: %s holds no ledger.jsonl: it is no recording, or its ledger was removed\n",
		        m->path);
	for (size_t i = 0; i < args->input_count && m->dir.fd >= 0; i++)
		verify_input(m->report, &m->dir, args->inputs[i].path, args->inputs[i].fd);
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

// What cannot be opened gets its finding when its turn comes.
static void open_all(struct verify_args *args, struct series_member *members, size_t count)
{
	struct rlimit files;
	bool any = false;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; i < count; i++) {
		int r = recording_open(
		        members[i].path, args->segments_on.dir, args->segments_on.count, &members[i].dir);

		if (r < 0)
			members[i].dir = (struct recording_dir){.fd = r};
		any = any || r == 0;
	}
	for (size_t i = 0; i < args->input_count && any; i++) {
		struct input *in = &args->inputs[i];

		in->fd = open(in->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (in->fd < 0)
			in->fd = -errno;
	}
}

static int enter(const struct verify_args *args, const struct series_member *members, size_t count)
{
	const struct recording_dir **dirs = calloc(count, sizeof(*dirs));
	char trusted[sizeof(args->data_dir) + 16], own[sizeof(trusted)];
	struct sandbox sandbox = {.role = SANDBOX_VERIFIER, .quiet = args->quiet};
	struct error e = {0};
	int r;

	if (!dirs)
		return cli_fail(CLI_UNREADABLE, "verify", "no memory");
	for (size_t i = 0; i < count; i++)
		dirs[i] = &members[i].dir;
	if (!args->origin_path && args->has_data_dir) {
		snprintf(trusted, sizeof(trusted), "%s/" TRUST_DIR, args->data_dir);
		snprintf(own, sizeof(own), "%s/" TRUST_OWN_KEY, args->data_dir);
		sandbox.read_paths[0] = trusted;
		sandbox.read_paths[1] = own;
	}
	r = shut_in(&sandbox, dirs, count, &e);
	free(dirs);
	return r < 0 ? cli_fail(CLI_UNREADABLE, "verify", "%s", e.text) : CLI_OK;
}

static int run(struct verify_args *args, char **paths, size_t count)
{
	struct series_member *members = calloc(count, sizeof(*members));
	int code;

	if (!members)
		return cli_fail(CLI_UNREADABLE, "verify", "no memory");
	for (size_t i = 0; i < count; i++)
		members[i].path = paths[i];
	open_all(args, members, count);
	args->terminal = isatty(STDERR_FILENO) && !args->quiet;
	code = enter(args, members, count);
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
	for (size_t i = 0; i < args->input_count; i++)
		if (args->inputs[i].fd >= 0)
			close(args->inputs[i].fd);
	free(members);
	return code;
}

int verb_verify(int argc, char **argv)
{
	static const struct option options[] = {{"origin", required_argument, NULL, 'o'},
	        {"input", required_argument, NULL, 'i'}, {"checkpoint", required_argument, NULL, 'c'},
	        {"segments-on", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
	        {"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct input *inputs = calloc((size_t)argc + 1, sizeof(*inputs));
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
			inputs[args.input_count++] = (struct input){.path = optarg, .fd = -ENOENT};
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

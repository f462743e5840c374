// SPDX-License-Identifier: Apache-2.0
// `sealtap index`: makes the indexes that `extract` reads by, before somebody waits for them. With --follow it goes
// along with a recording that is being made, one sealed segment after the other.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/index_maker.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/shut_in.h"
#include "sensor/evidence/reader/lane_merge.h"
#include "sensor/evidence/reader/recording_dir.h"

static const char usage[] =
        "usage: sealtap index RECORDING [--follow] [--segments-on DIR[,DIR]] [--json]\n"
        "\n"
        "Makes the index of each sealed segment that has none in your cache, or a damaged one, so that `sealtap "
        "extract`\n"
        "reads by it from the first time on. Only these segments are read, and held against the recording's own "
        "hashes.\n"
        "Indexes of segments that the recording has given up are deleted. Nothing is written into the recording.\n"
        "\n"
        "  --follow   until the recording is closed: each segment when it is sealed; with little priority. ^C ends it\n"
        "  --segments-on DIR[,DIR]\n"
        "             where the segments of a recording that was made onto several disks lie, in any order\n"
        "  --json     a summary as JSON on standard output\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written\n";

#define WAIT_NS 1000000000ull
#define WAIT_SHARE 20u // waits so many times as long as it takes to look into the ledger

static volatile sig_atomic_t stopped;

struct index_run {
	const char *recording;
	struct segments_on segments_on;
	bool follow, json;
	struct index_maker maker; // of the pass under way
	size_t done[LANES_MAX];   // segments of each lane that were seen to, sealed without a gap
	uint64_t segments, made, bytes, frames, told;
	uint64_t reading_ns; // of the ledger, the last time
	bool closed;
};

static void stop(int signal)
{
	stopped = 1;
}

static bool holds(void *user, uint32_t frames, uint32_t frame, const struct indexed_frame *indexed)
{
	return true;
}

static const struct frame_plan *plan(void *user, const struct listed_lane *lane, uint32_t number)
{
	static const struct frame_plan nothing;
	const struct listed_segment *segment = &lane->segments[number];
	struct index_run *x = user;

	if (stopped || number < x->done[lane->number] || !segment->sealed || segment->retired || segment->packets == 0)
		return &nothing;
	x->segments++;
	return index_maker_walk(&x->maker, lane, number, holds, NULL) ? &nothing : NULL;
}

static void frame(void *user, const struct frame_seen *seen)
{
	struct index_run *x = user;

	index_maker_frame(&x->maker, seen);
}

static void segment(void *user, const struct listed_lane *lane, uint32_t number)
{
	struct index_run *x = user;

	index_maker_segment(&x->maker, lane, number);
}

// What was seen to is not looked at again, also when it does not hold.
static void remember(struct index_run *x, const struct segment_list *list)
{
	for (size_t i = 0; i < list->lane_count; i++) {
		const struct listed_lane *lane = list->lanes[i];
		size_t *done = &x->done[lane->number];

		while (*done < lane->count && lane->segments[*done].sealed)
			(*done)++;
	}
}

static int make_indexes(
        struct index_run *x, const struct recording_dir *dir, struct segment_list *list, struct verify_report *report)
{
	const struct packet_choice choice = {.plan = plan, .frame = frame, .segment = segment, .user = x};
	const struct lane_reader *lane;
	struct lane_merge merge = {0};
	int r = lane_merge_init(&merge, dir, list, &choice, report);

	while (r == 0 && !stopped) {
		r = lane_merge_next(&merge, &lane);
		if (!lane)
			break;
	}
	x->frames += merge.tools.frames;
	lane_merge_release(&merge);
	if (r == 0 && !stopped)
		remember(x, list);
	return r;
}

static const char *reason(int error)
{
	return error == -ENOKEY  ? "salts.key is not there, and without it no index could be checked"
	       : error == -E2BIG ? "it has more than 64 lanes, and those are read without"
	                         : strerror(-error);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int pass_with(
        struct index_run *x, const struct recording_dir *dir, struct segment_list *list, struct verify_report *report)
{
	int code = CLI_OK, r = index_maker_init(&x->maker, list);

	if (r < 0) {
		code = cli_fail(CLI_UNREADABLE, "index", "no index can be made: %s", reason(r));
	} else {
		index_cache_prune(&x->maker.cache, list);
		r = make_indexes(x, dir, list, report);
		x->made += x->maker.made;
		x->bytes += x->maker.bytes;
		if (r == 0)
			r = x->maker.error;
		if (r < 0)
			code = cli_fail(CLI_UNREADABLE, "index", "an index could not be made: %s", strerror(-r));
	}
	index_maker_release(&x->maker);
	x->closed = list->closed;
	return code;
}

// Everything that is sealed now. An enum cli_exit.
static int pass(struct index_run *x, const struct recording_dir *dir)
{
	struct segment_list *list = NULL;
	struct verify_report *report = NULL;
	const uint64_t start = now_ns();
	int code, findings, r = segment_list_read(dir, &list, &report);

	x->reading_ns = now_ns() - start;
	if (r < 0) {
		code = cli_fail(
		        CLI_UNREADABLE, "index", "cannot read the ledger of %s: %s", x->recording, strerror(-r));
	} else {
		code = pass_with(x, dir, list, report);
		// What a pass before has told is there again.
		if (report->finding_count != x->told) {
			x->told = report->finding_count;
			findings = packet_findings_print("index", report);
			code = code == CLI_OK ? findings : code;
		}
	}
	segment_list_free(list);
	verify_report_free(report);
	return code;
}

static void wait_a_while(const struct index_run *x)
{
	const uint64_t share = x->reading_ns * WAIT_SHARE, ns = share > WAIT_NS ? share : WAIT_NS;
	const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	nanosleep(&t, NULL); // a signal ends it
}

static void tell(const struct index_run *x, int code)
{
	json_t *o;

	if (!x->json) {
		printf("%" PRIu64 " sealed segments looked at, %" PRIu64 " indexed now, in %" PRIu64 " bytes\n",
		        x->segments, x->made, x->bytes);
		return;
	}
	o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "result",
	        code == CLI_OK ? "done" : verdict_word((enum verdict)code), "segments", (json_int_t)x->segments, "made",
	        (json_int_t)x->made, "bytes", (json_int_t)x->bytes, "frames_read", (json_int_t)x->frames, "closed",
	        x->closed);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static int enter(const struct recording_dir *dir)
{
	struct sandbox sandbox = {.role = SANDBOX_READER};
	struct error e = {0};
	int r, root = index_cache_root();

	if (root < 0)
		return cli_fail(CLI_UNREADABLE, "index", "no index can be made: the cache: %s", strerror(-root));
	sandbox.write_dirs[sandbox.write_dir_count++] = root;
	r = shut_in(&sandbox, &dir, 1, &e);
	close(root);
	return r < 0 ? cli_fail(CLI_UNREADABLE, "index", "%s", e.text) : CLI_OK;
}

static int run(struct index_run *x)
{
	const struct sigaction ends = {.sa_handler = stop};
	struct recording_dir dir;
	int worst, code = segments_on_open(&x->segments_on, "index", x->recording, &dir);

	if (code != CLI_OK)
		return code;
	sigaction(SIGINT, &ends, NULL);
	sigaction(SIGTERM, &ends, NULL);
	if (x->follow)
		setpriority(PRIO_PROCESS, 0, 10);
	code = enter(&dir);
	worst = code = code == CLI_OK ? pass(x, &dir) : code;
	while (x->follow && !x->closed && !stopped && code != CLI_UNREADABLE) {
		wait_a_while(x);
		code = stopped ? CLI_OK : pass(x, &dir);
		worst = worst == CLI_OK ? code : worst;
	}
	recording_close(&dir);
	tell(x, worst);
	return worst;
}

int verb_index(int argc, char **argv)
{
	static const struct option options[] = {{"follow", no_argument, NULL, 'f'}, {"json", no_argument, NULL, 'j'},
	        {"segments-on", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	static struct index_run x;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			x.follow = true;
			break;
		case 'j':
			x.json = true;
			break;
		case 's':
			if (segments_on_add(&x.segments_on, "index", optarg) != CLI_OK)
				return CLI_USAGE;
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
		        CLI_USAGE, "index", "which recording? sealtap index RECORDING [--follow] (--help tells more)");
	x.recording = argv[optind];
	return run(&x);
}

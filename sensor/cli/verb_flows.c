// SPDX-License-Identifier: Apache-2.0
// `sealtap flows`: the flows of a recording, derived from its packets by flow_reading, in a process that can do nothing
// else.
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/flow_export.h"
#include "sensor/cli/flow_filter.h"
#include "sensor/cli/flow_print.h"
#include "sensor/cli/flow_reading.h"
#include "sensor/cli/flow_stored.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/quantity.h"
#include "sensor/cli/segments_on.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/recording_dir.h"

static const char usage[] =
        "usage: sealtap flows RECORDING [--json | --csv]\n"
        "                       " FLOW_FILTER_SYNOPSIS "\n"
        "\n"
        "Shows the flow records that were made while recording, as far as their files are sealed; of a recording "
        "without\n"
        "them, and with --reanalyse, derives the flows from the packets and shows each when it ends. Works while a\n"
        "recording is being made and after a crash: then up to the last whole frame.\n"
        "\n"
        "  --reanalyse           derive the flows from the packets, in the order in which they were inspected where "
        "the\n"
        "                        recording tells it; the next options, and --no-dpi, do so too\n"
        "  --json                one object a line, in the names of Suricata's EVE (docs/flows.md lists them); the\n"
        "                        summary on standard error is JSON then too\n"
        "  --csv                 the same fields as columns\n" FLOW_FILTER_HELP
        "  --from, --to TIME     the flow was there in between: 2026-03-01T09:30:00.25Z, with +01:00, or seconds "
        "since\n"
        "                        1970\n"
        "  --idle-timeout TIME   a flow to which nothing came for so long has ended (default 300s for TCP, else 60s)\n"
        "  --active-timeout TIME a flow that lasts longer has several records (default 30m; 0: never)\n"
        "  --ipfix TARGET        to a collector, as IPFIX biflows: tcp:HOST:PORT, tls:HOST:PORT or udp:HOST:PORT\n"
        "  --kafka BROKERS/TOPIC to Kafka, as JSON keyed by Community ID; both may be repeated\n"
        "  --ca, --cert, --cert-key FILE\n"
        "                        for tls: whom to believe, our certificate and its key (PEM)\n"
        "  --deliver-within TIME how long to wait for collectors after the last record (default 30s)\n"
        "  --segments-on DIR[,DIR]\n"
        "                        where the segments of a recording that was made onto several disks lie, in any order\n"
        "  --no-dpi              do not look into packets for applications and names\n"
        "\n"
        "What is read is held against the recording's own hashes. That is not authentication: sealtap verify is.\n"
        "\n"
        "exit: 0 done   1 something does not hold (named on standard error)   2 wrong command line\n"
        "      3 something could not be read or written   4 not all could be delivered\n";

struct flows {
	const char *recording_path;
	struct segments_on segments_on;
	enum flow_output output;
	struct flow_filter filter;
	struct flow_export export;
	char deadline_ms[16]; // of it
	struct flow_reading reading;
	bool reanalyse;
	char recording[2 * DIGEST_LEN + 1];
	uint64_t shown;
	struct tcp_gap_stats stored_gap; // of all records, when they are read back
};

static void take_record(void *user, const struct flow_record *record)
{
	struct flows *f = user;
	struct flow_record r = *record;
	int error;

	if (!flow_filter_matches(&f->filter, record))
		return;
	f->shown++;
	r.recording = f->recording;
	r.sensor = f->reading.report->sensor;
	r.complete = complete_word(f->reading.report->complete);
	error = flow_print(f->output, &r);
	if (error == 0 && ferror(stdout))
		error = -EIO;
	if (error == 0 && f->export.argc > 0)
		error = flow_export_put(&f->export, &r);
	if (error < 0 && f->reading.error == 0)
		f->reading.error = error;
}

static int take_stored(void *user, const struct flow_record *record)
{
	struct flows *f = user;

	for (unsigned d = 0; d < FLOW_DIRECTIONS; d++) {
		f->stored_gap.acked_bytes += record->acked_bytes[d];
		f->stored_gap.missed_bytes += record->missed_bytes[d];
		f->stored_gap.gaps += record->gaps[d];
		f->stored_gap.one_sided_bytes += record->unseen_bytes[d];
	}
	take_record(f, record);
	return f->reading.error;
}

static void tell_cutoff(const struct flow_reading *r)
{
	if (r->apps_unknown)
		fprintf(stderr,
		        "sealtap flows: the recording has a cutoff for %s, which cannot be told here: no flow says "
		        "that it "
		        "was cut, and what was left out counts as missed\n",
		        r->report->cutoff_apps);
}

// How what was found while recording differs from this.
static void tell_order(const struct flow_reading *r)
{
	if (r->not_inspected > 0)
		fprintf(stderr,
		        "sealtap flows: %llu blocks of packets were not inspected while recording: the records made "
		        "then lack "
		        "them\n",
		        (unsigned long long)r->not_inspected);
	if (r->records_lost > 0)
		fprintf(stderr, "sealtap flows: %llu records were made while recording and not kept\n",
		        (unsigned long long)r->records_lost);
	if (r->order_broken)
		fprintf(stderr,
		        "sealtap flows: the order of inspection could not be read to its end: what came then is "
		        "taken by time\n");
}

// stored: NULL when the flows come out of the packets.
static int tell(struct flows *f, int error, const struct flow_stored *stored)
{
	const bool json = f->output == FLOW_OUTPUT_JSON;
	struct flow_meter_stats stats;
	int code = packet_findings_print("flows", f->reading.report);

	if (fflush(stdout) < 0 || ferror(stdout))
		return errno == EPIPE ? CLI_UNREADABLE
		                      : cli_fail(CLI_UNREADABLE, "flows", "cannot write to standard output");
	if (error == -EPIPE)
		return CLI_UNREADABLE; // the exporter is gone, and has said why
	if (error < 0)
		return cli_fail(CLI_UNREADABLE, "flows", "cannot go on: %s", strerror(-error));
	if (stored) {
		flow_print_stored_summary(stored, &f->stored_gap, f->reading.report->complete == COMPLETE_YES, f->shown,
		        code == CLI_OK ? "done" : verdict_word((enum verdict)code), json);
		return code;
	}
	tell_cutoff(&f->reading);
	if (!json)
		tell_order(&f->reading);
	flow_reading_stats(&f->reading, &stats);
	flow_print_summary(&stats, f->shown, f->reading.report->complete == COMPLETE_YES, f->reading.beyond_signed,
	        code == CLI_OK ? "done" : verdict_word((enum verdict)code), json);
	return code;
}

static int run_opened(struct flows *f, const struct recording_dir *dir)
{
	struct flow_stored stored;
	int r;

	hex_encode(f->reading.list->recording_id, DIGEST_LEN, f->recording);
	flow_print_header(f->output);
	if (f->reanalyse || f->reading.list->flows_count == 0) {
		f->reading.as_inspected = f->reanalyse;
		return tell(f, flow_reading_run(&f->reading, dir), NULL);
	}
	r = flow_stored_run(dir, f->reading.list, f->reading.report, take_stored, f, &stored);
	return tell(f, r, &stored);
}

static int run(struct flows *f)
{
	struct error e = {0};
	struct recording_dir dir;
	int r, code = segments_on_open(&f->segments_on, "flows", f->recording_path, &dir);

	if (code != CLI_OK)
		return code;
	if (!dpi_library())
		fprintf(stderr, "sealtap flows: built without nDPI: flows have no application and no names\n");
	signal(SIGPIPE, SIG_IGN);
	f->reading.config.record = take_record;
	f->reading.config.user = f;
	r = flow_reading_open(&f->reading, &dir, &f->filter, &e);
	if (r < 0) {
		code = cli_fail(r == -EINVAL ? CLI_USAGE : CLI_UNREADABLE, "flows", "%s", e.text);
	} else {
		code = run_opened(f, &dir);
	}
	flow_reading_release(&f->reading);
	recording_close(&dir);
	return code;
}

// The exporter has the network, the process that reads has the recording, and neither has both.
static int run_with_export(struct flows *f)
{
	struct error e = {0};
	int code, status, exported;
	pid_t reader;

	if (flow_export_start(&f->export, &e) < 0)
		return cli_fail(CLI_UNREADABLE, "flows", "%s", e.text);
	fflush(stdout);
	reader = fork();
	if (reader == 0)
		exit(run(f));
	flow_export_close(&f->export);
	if (reader < 0)
		return cli_fail(CLI_UNREADABLE, "flows", "cannot start a process: %s", strerror(errno));
	while (waitpid(reader, &status, 0) < 0 && errno == EINTR)
		;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_INVALID;
	exported = flow_export_wait(&f->export);
	return exported == CLI_USAGE || code == CLI_OK ? exported : code;
}

static int set_timeout(struct flows *f, const char *option, const char *value)
{
	uint64_t ns;

	if (quantity_time(value, &ns) < 0)
		return cli_fail(CLI_USAGE, "flows", "--%s takes a time such as 90s, 30m, 0: not %s", option, value);
	if (strcmp(option, "active-timeout") == 0)
		f->reading.config.active_ns = ns;
	else
		f->reading.config.idle_tcp_ns = f->reading.config.idle_other_ns = ns;
	return CLI_OK;
}

static bool set_deadline(struct flows *f, const char *value)
{
	uint64_t ns;

	if (quantity_time(value, &ns) < 0 || ns / 1000000 > INT_MAX)
		return false;
	snprintf(f->deadline_ms, sizeof(f->deadline_ms), "%d", (int)(ns / 1000000));
	return flow_export_option(&f->export, (char *)"--finish-ms", f->deadline_ms);
}

static bool add_export(struct flows *f, const char *name, char *value)
{
	static const struct {
		const char *name;
		char *option;
	} known[] = {{"ipfix", (char *)"--ipfix"}, {"kafka", (char *)"--kafka"}, {"ca", (char *)"--ca"},
	        {"cert", (char *)"--cert"}, {"cert-key", (char *)"--key"}};

	if (f->export.argc == 0)
		flow_export_begin(&f->export);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].name, name) == 0)
			return flow_export_option(&f->export, known[i].option, value);
	return false;
}

int verb_flows(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"csv", no_argument, NULL, 'c'},
	        {"reanalyse", no_argument, NULL, 'r'}, {"no-dpi", no_argument, NULL, 'n'},
	        {"idle-timeout", required_argument, NULL, 'T'}, {"active-timeout", required_argument, NULL, 'T'},
	        FLOW_FILTER_OPTIONS('f'), {"ipfix", required_argument, NULL, 'x'},
	        {"kafka", required_argument, NULL, 'x'}, {"ca", required_argument, NULL, 'x'},
	        {"cert", required_argument, NULL, 'x'}, {"cert-key", required_argument, NULL, 'x'},
	        {"deliver-within", required_argument, NULL, 'd'}, {"segments-on", required_argument, NULL, 's'},
	        {"help", no_argument, NULL, 'h'}, {0}};
	struct flows f = {
	        .filter = {.to_ns = UINT64_MAX}, .export = {.fd = -1}, .reading = {.config = {FLOW_READING_TIMEOUTS}}};
	struct error e = {0};
	int c, at = 0, outputs = 0;

	optind = 0;
	while ((c = cli_option(argc, argv, "h", options, &at)) != -1) {
		switch (c) {
		case 'j':
		case 'c':
			f.output = c == 'j' ? FLOW_OUTPUT_JSON : FLOW_OUTPUT_CSV;
			outputs++;
			break;
		case 'r':
			f.reanalyse = true;
			break;
		case 'n':
			f.reading.no_dpi = f.reanalyse = true;
			break;
		case 'T':
			f.reanalyse = true;
			if (set_timeout(&f, options[at].name, optarg) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'f':
			if (flow_filter_set(&f.filter, options[at].name, optarg, &e) < 0)
				return cli_fail(CLI_USAGE, "flows", "%s", e.text);
			break;
		case 'x':
			if (!add_export(&f, options[at].name, optarg))
				return cli_fail(CLI_USAGE, "flows", "too many targets");
			break;
		case 'd':
			if (!set_deadline(&f, optarg))
				return cli_fail(CLI_USAGE, "flows", "--deliver-within takes a time such as 30s, not %s",
				        optarg);
			break;
		case 's':
			if (segments_on_add(&f.segments_on, "flows", optarg) != CLI_OK)
				return CLI_USAGE;
			break;
		case 'h':
			fputs(usage, stdout);
			return CLI_OK;
		default:
			return CLI_USAGE;
		}
	}
	if (outputs > 1)
		return cli_fail(CLI_USAGE, "flows", "--json or --csv, not both");
	if (flow_filter_check(&f.filter, &e) < 0)
		return cli_fail(CLI_USAGE, "flows", "%s", e.text);
	if (f.reading.no_dpi && flow_filter_asks_names(&f.filter))
		return cli_fail(CLI_USAGE, "flows", "--app and --sni need what --no-dpi leaves out");
	if (argc - optind != 1)
		return cli_fail(
		        CLI_USAGE, "flows", "which recording? sealtap flows RECORDING [--json] (--help tells more)");
	f.recording_path = argv[optind];
	if (f.output == FLOW_OUTPUT_NONE && f.export.argc == 0)
		f.output = FLOW_OUTPUT_TABLE;
	return f.export.argc > 0 ? run_with_export(&f) : run(&f);
}

// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/run_options.h"

static const char help[] =
        "usage: sealtap capture -i IFACE[,IFACE] --own-network REFERENCE -o RECORDING [options]\n"
        "\n"
        "Records interfaces into a sealed recording until ^C, SIGTERM or a limit.\n"
        "\n"
        "  -i, --interface IFACE[,IFACE]  what to record; each interface is a lane of its own\n"
        "  -o, --output RECORDING         directory to make; %Y%m%dT%H%M%SZ and the like are filled in (UTC)\n"
        "      --own-network REFERENCE    your statement that you may record this network, for example a ticket "
        "number;\n"
        "                                 stands in the evidence. No capture without it\n"
        "      --operator NAME            who is recording (default: the user)\n"
        "      --sensor NAME              name of this sensor (default: the host name)\n"
        "      --key ORIGIN.key           origin key (default: this machine's own, made when there is none)\n"
        "      --filter EXPR              pcap filter; refused frames are counted, not recorded\n"
        "      --snaplen N                cut frames to N bytes (default: whole frames)\n"
        "      --no-promisc               leave the interface out of promiscuous mode\n"
        "      --duration TIME            end after 10s, 5m, 2h\n"
        "      --packets N                end after N packets\n"
        "      --level N                  zstd level, -50 (fastest) to 19 (default -5)\n"
        "      --segment-size MIB         new segment after so much raw data (default 512)\n"
        "      --segment-time TIME        and after so much time (default 5m)\n"
        "      --pool MIB                 memory that bridges stalls of the disk (default 256)\n"
        "      --sealers N                threads that commit and compress (default: cores - 1)\n"
        "      --flush-ms N               a crash of a process costs at most so much (default 1000)\n"
        "      --driver afpacket          how to capture; afpacket is the only one in this version\n"
        "      --config FILE              YAML with any of these options as `name: value`; flags override it\n"
        "      --json                     a line of JSON at the end, on stdout\n"
        "\n"
        "Exit: 0 done, 1 failed, 2 usage, 3 interface or disk could not be used.\n";

enum { OPT_NAMED = 256, OPT_CONFIG, OPT_JSON, OPT_NO_PROMISC };

static const struct option options[] = {
        {"interface", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"own-network", required_argument, NULL, OPT_NAMED},
        {"operator", required_argument, NULL, OPT_NAMED},
        {"sensor", required_argument, NULL, OPT_NAMED},
        {"key", required_argument, NULL, OPT_NAMED},
        {"filter", required_argument, NULL, OPT_NAMED},
        {"snaplen", required_argument, NULL, OPT_NAMED},
        {"duration", required_argument, NULL, OPT_NAMED},
        {"packets", required_argument, NULL, OPT_NAMED},
        {"level", required_argument, NULL, OPT_NAMED},
        {"segment-size", required_argument, NULL, OPT_NAMED},
        {"segment-time", required_argument, NULL, OPT_NAMED},
        {"pool", required_argument, NULL, OPT_NAMED},
        {"sealers", required_argument, NULL, OPT_NAMED},
        {"flush-ms", required_argument, NULL, OPT_NAMED},
        {"config", required_argument, NULL, OPT_CONFIG},
        {"driver", required_argument, NULL, OPT_NAMED},
        {"json", no_argument, NULL, OPT_JSON},
        {"no-promisc", no_argument, NULL, OPT_NO_PROMISC},
        {"help", no_argument, NULL, 'h'},
        {0},
};

static int fill_interfaces(struct job *job, char *list)
{
	unsigned n = 0;

	for (char *save, *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (unsigned i = 0; i < n; i++)
			if (strcmp(job->source[i].name, name) == 0)
				return cli_fail(CLI_USAGE, "capture", "interface %s is named twice", name);
		snprintf(job->source[n++].name, sizeof(job->source[0].name), "%s", name);
	}
	return CLI_OK;
}

static unsigned count_interfaces(const char *list)
{
	unsigned n = 0;

	for (const char *at = list; *at;) {
		size_t len = strcspn(at, ",");

		n += len > 0;
		at += len + (at[len] == ',');
	}
	return n;
}

int verb_capture(int argc, char **argv)
{
	struct run_options o;
	char *interfaces;
	struct job *job;
	struct error e = {0};
	int c, index, code, r = 0;

	run_options_init(&o, "capture");
	// The configuration first, wherever it stands: flags override it.
	while ((c = getopt_long(argc, argv, "i:o:h", options, NULL)) != -1)
		if (c == OPT_CONFIG && run_options_read(&o, optarg, &e) < 0)
			return cli_fail(CLI_USAGE, "capture", "%s", e.text);
		else if (c == '?')
			return fputs("sealtap capture --help lists the options\n", stderr), CLI_USAGE;
	optind = 1;
	while ((c = getopt_long(argc, argv, "i:o:h", options, &index)) != -1) {
		switch (c) {
		case 'h':
			return fputs(help, stdout), CLI_OK;
		case 'i':
			r = run_options_set(&o, "interface", optarg, &e);
			break;
		case 'o':
			r = run_options_set(&o, "output", optarg, &e);
			break;
		case OPT_NAMED:
			r = run_options_set(&o, options[index].name, optarg, &e);
			break;
		case OPT_JSON:
			o.json = true;
			break;
		case OPT_NO_PROMISC:
			o.no_promisc = true;
			break;
		}
		if (r < 0)
			return cli_fail(CLI_USAGE, "capture", "%s", e.text);
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "capture", "unexpected argument: %s", argv[optind]);
	if (!o.interfaces || count_interfaces(o.interfaces) == 0)
		return cli_fail(CLI_USAGE, "capture", "say which interface: -i IFACE");
	if (!o.reference)
		return cli_fail(CLI_USAGE, "capture",
		        "no authority: a live capture needs your recorded statement that you may record this network: "
		        "--own-network \"REFERENCE\" (for example a ticket or contract number)");
	if (run_options_job(&o, JOB_CAPTURE, count_interfaces(o.interfaces), argc, argv, &job, &e) < 0)
		return cli_fail(CLI_USAGE, "capture", "%s", e.text);
	interfaces = strdup(o.interfaces);
	code = interfaces ? fill_interfaces(job, interfaces) : CLI_INVALID;
	free(interfaces);
	if (code == CLI_OK)
		code = run_supervisor(&o, job);
	free(job);
	return code;
}

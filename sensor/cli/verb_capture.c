// SPDX-License-Identifier: Apache-2.0
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
        "      --segments-on DIR[,DIR]    more disks: lanes go by turns into segments/ of the recording and into a\n"
        "                                 directory that is made in each DIR; a slow or full disk is in the way of "
        "its\n"
        "                                 own lanes only\n"
        "      --own-network REFERENCE    your statement that you may record this network, for example a ticket "
        "number;\n"
        "                                 stands in the evidence. No capture without it\n"
        "      --operator NAME            who is recording (default: the user)\n"
        "      --sensor NAME              name of this sensor (default: the host name)\n"
        "      --key ORIGIN.key           origin key (default: this machine's own, made when there is none)\n"
        "      --filter EXPR              pcap filter; refused frames are counted, not recorded\n"
        "      --snaplen N                cut frames to N bytes (default: whole frames)\n"
        "      --no-promisc               leave the interface out of promiscuous mode\n"
        "      --direction in|out|both    frames of the other direction are counted as filtered (default both)\n"
        "      --cutoff SIZE[:APP,...]    record the first 64K, 10M, 1G of each TCP or UDP flow, both directions "
        "together;\n"
        "                                 what comes then is counted as shunted, not recorded (default: all is);\n"
        "                                 with names, such as 10M:YouTube,BitTorrent: only of these applications\n"
        "      --duration TIME            end after 10s, 5m, 2h\n"
        "      --packets N                end after N packets\n"
        "      --level N                  zstd level, -50 (fastest) to 19 (default -5)\n"
        "      --level-floor N            how low the level may go when the pool fills (default -20)\n"
        "      --segment-size MIB         new segment after so much raw data (default 512)\n"
        "      --segment-time TIME        and after so much time (default 5m)\n"
        "      --keep SIZE|TIME           the oldest segments go beyond 500G, or at an age of 7d, 12h, each with a "
        "signed\n"
        "                                 record (default: all are kept)\n"
        "      --min-free N%|SIZE         so much of the disk stays free: the oldest segments go, without --keep the\n"
        "                                 recording ends (default 2%; 0: until the disk is full)\n"
        "      --pool MIB                 memory that bridges stalls of the disk (default 256)\n"
        "      --ring MIB                 memory of the kernel that bridges stalls of this program, per interface "
        "(default 64, xdp 128)\n"
        "      --sealers N                threads that commit and compress (default: one per core that\n"
        "                                 is left to them)\n"
        "      --rx-threads N             threads and rings of each interface; a conversation stays in one (default "
        "1)\n"
        "      --rx-cores LIST            cores for receiving threads, one each, such as 2-5,8 (default: any near the "
        "card)\n"
        "      --seal-cores LIST          cores for sealers, one each (default: from four cores on, those that are "
        "not\n"
        "                                 kept free for receiving)\n"
        "      --no-flows                 do not inspect flows while recording; `sealtap flows` does it later\n"
        "      --flow-threads N           threads that inspect (default: one for eight cores)\n"
        "      --ipfix tcp|udp|tls:HOST:PORT\n"
        "                                 send flow records there while they come; may be repeated, as the next one\n"
        "      --kafka BROKER[,BROKER]/TOPIC\n"
        "                                 the same, as JSON\n"
        "      --ca FILE --cert FILE --cert-key FILE\n"
        "                                 of TLS: whom to believe (default: the system's), our certificate, its key\n"
        "      --deliver-within TIME      what a target has to take the rest at the end (default 30s); ^C cuts it "
        "short\n"
        "      --export-behind SIZE       flow files that a target may be behind; beyond, the oldest records that "
        "were\n"
        "                                 not read yet are not sent to it (default 1G)\n"
        "      --flush-ms N               a crash of a process costs at most so much (default 1000)\n"
        "      --driver afpacket|dpdk|pcap|xdp\n"
        "                                 how to capture (default afpacket). afpacket sees a copy of every frame, "
        "both\n"
        "                                 ways. xdp takes received frames off the interface: nothing else on this\n"
        "                                 machine gets them; for an interface that does nothing but listen\n"
        "      --tap copy|take            insist on a driver that leaves the frames to the stack too (afpacket, pcap), "
        "or\n"
        "                                 on one that takes them off it (xdp, dpdk); default: whatever the driver "
        "does\n"
        "      --time kernel|nic          whose time frames have (default kernel); nic is refused where the card "
        "cannot\n"
        "      --busy-poll                xdp and dpdk: never sleep, a core for each thread; see docs/operations.md\n"
        "      --dpdk-args \"ARGS\"         options of DPDK's environment; with --driver dpdk an interface is a PCI\n"
        "                                 address, a device such as net_af_packet0,iface=eth0, or a port's name\n"
        "      --config FILE              YAML with any of these options as `name: value`; flags override it\n"
        "      --json                     a line of JSON at the end, on stdout\n"
        "\n"
        "Exit: 0 done, 1 failed, 2 usage, 3 interface or disk could not be used,\n"
        "4 recorded, but not all flow records could be delivered.\n";

static const struct option options[] = {
        {"interface", required_argument, NULL, 'i'},
        {"output", required_argument, NULL, 'o'},
        {"segments-on", required_argument, NULL, RUN_NAMED},
        {"own-network", required_argument, NULL, RUN_NAMED},
        {"operator", required_argument, NULL, RUN_NAMED},
        {"sensor", required_argument, NULL, RUN_NAMED},
        {"key", required_argument, NULL, RUN_NAMED},
        {"filter", required_argument, NULL, RUN_NAMED},
        {"snaplen", required_argument, NULL, RUN_NAMED},
        {"duration", required_argument, NULL, RUN_NAMED},
        {"packets", required_argument, NULL, RUN_NAMED},
        {"level", required_argument, NULL, RUN_NAMED},
        {"level-floor", required_argument, NULL, RUN_NAMED},
        {"segment-size", required_argument, NULL, RUN_NAMED},
        {"segment-time", required_argument, NULL, RUN_NAMED},
        {"keep", required_argument, NULL, RUN_NAMED},
        {"cutoff", required_argument, NULL, RUN_NAMED},
        {"min-free", required_argument, NULL, RUN_NAMED},
        {"pool", required_argument, NULL, RUN_NAMED},
        {"ring", required_argument, NULL, RUN_NAMED},
        {"sealers", required_argument, NULL, RUN_NAMED},
        {"rx-threads", required_argument, NULL, RUN_NAMED},
        {"rx-cores", required_argument, NULL, RUN_NAMED},
        {"seal-cores", required_argument, NULL, RUN_NAMED},
        {"direction", required_argument, NULL, RUN_NAMED},
        {"flush-ms", required_argument, NULL, RUN_NAMED},
        {"config", required_argument, NULL, RUN_CONFIG},
        {"driver", required_argument, NULL, RUN_NAMED},
        {"tap", required_argument, NULL, RUN_NAMED},
        {"time", required_argument, NULL, RUN_NAMED},
        {"busy-poll", no_argument, NULL, RUN_FLAG},
        {"dpdk-args", required_argument, NULL, RUN_NAMED},
        {"json", no_argument, NULL, RUN_FLAG},
        {"no-flows", no_argument, NULL, RUN_FLAG},
        {"flow-threads", required_argument, NULL, RUN_NAMED},
        {"ipfix", required_argument, NULL, RUN_NAMED},
        {"kafka", required_argument, NULL, RUN_NAMED},
        {"ca", required_argument, NULL, RUN_NAMED},
        {"cert", required_argument, NULL, RUN_NAMED},
        {"cert-key", required_argument, NULL, RUN_NAMED},
        {"deliver-within", required_argument, NULL, RUN_NAMED},
        {"export-behind", required_argument, NULL, RUN_NAMED},
        {"no-promisc", no_argument, NULL, RUN_FLAG},
        {"help", no_argument, NULL, 'h'},
        {0},
};

// The next name of a list that commas divide. With DPDK what follows a device's comma and holds a '=' is an argument of
// that device: "net_pcap0,rx_pcap=a,infinite_rx=1,0000:03:00.0" names two.
static size_t name_length(const char *at, bool dpdk)
{
	size_t len = strcspn(at, ",");

	while (dpdk && len > 0 && at[len] == ',') {
		size_t more = strcspn(at + len + 1, ",");

		if (!memchr(at + len + 1, '=', more))
			break;
		len += 1 + more;
	}
	return len;
}

static int fill_interfaces(struct job *job, char *list, bool dpdk)
{
	unsigned n = 0;

	for (char *name = list, *next; *name; name = next) {
		size_t len = name_length(name, dpdk);

		next = name + len + (name[len] == ',');
		name[len] = '\0';
		if (len == 0)
			continue;
		if (len >= sizeof(job->source[0].name))
			return cli_fail(CLI_USAGE, "capture", "the name of an interface is longer than %zu characters",
			        sizeof(job->source[0].name) - 1);
		for (unsigned i = 0; i < n; i++)
			if (strcmp(job->source[i].name, name) == 0)
				return cli_fail(CLI_USAGE, "capture", "interface %s is named twice", name);
		snprintf(job->source[n++].name, sizeof(job->source[0].name), "%s", name);
	}
	return CLI_OK;
}

static unsigned count_interfaces(const char *list, bool dpdk)
{
	unsigned n = 0;

	for (const char *at = list; *at;) {
		size_t len = name_length(at, dpdk);

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
	bool dpdk;
	int code;

	run_options_init(&o, "capture");
	code = run_options_parse(&o, argc, argv, "i:o:h", options, help);
	if (code != RUN_GO_ON)
		return code;
	if (optind != argc)
		return cli_fail(CLI_USAGE, "capture", "unexpected argument: %s", argv[optind]);
	dpdk = strcmp(o.driver, "dpdk") == 0;
	if (o.dpdk_args && !dpdk)
		return cli_fail(CLI_USAGE, "capture", "--dpdk-args goes with --driver dpdk");
	if (o.ring_mib && dpdk)
		return cli_fail(CLI_USAGE, "capture",
		        "--ring goes with --driver afpacket, pcap or xdp; a DPDK device is told itself, for example "
		        "net_af_packet0,iface=eth0,blocksz=262144,framecnt=65536");
	if (!o.interfaces || count_interfaces(o.interfaces, dpdk) == 0)
		return cli_fail(CLI_USAGE, "capture", "say which interface: -i IFACE");
	if (!o.reference)
		return cli_fail(CLI_USAGE, "capture",
		        "no authority: a live capture needs your recorded statement that you may record this network: "
		        "--own-network \"REFERENCE\" (for example a ticket or contract number)");
	if (run_options_job(&o, JOB_CAPTURE, count_interfaces(o.interfaces, dpdk), argc, argv, &job, &e) < 0)
		return cli_fail(CLI_USAGE, "capture", "%s", e.text);
	interfaces = strdup(o.interfaces);
	code = interfaces ? fill_interfaces(job, interfaces, dpdk) : CLI_INVALID;
	free(interfaces);
	if (code == CLI_OK)
		code = run_supervisor(&o, job);
	free(job);
	return code;
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/doctor/doctor.h"

static const char help[] =
        "usage: sealtap doctor -i IFACE [-o DIR] [--busy-poll] [--json]\n"
        "\n"
        "Says what is wrong with this machine for lossless evidence, and the command that mends it. Changes nothing;\n"
        "with -o it writes up to 64 MiB into a file without a name there, for at most about two seconds.\n"
        "\n"
        "  -i, --interface IFACE      what shall be recorded; with DPDK a PCI address such as 0000:03:00.0\n"
        "  -o, --output DIR           where recordings shall lie: checks the disk\n"
        "      --busy-poll            the capture will be one with --driver xdp --busy-poll\n"
        "      --json                 one object on stdout\n"
        "\n"
        "Exit: 0 nothing is bad, 4 something is, 2 usage, 3 no such interface.\n";

static unsigned count(const struct doctor *d, enum finding_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->count; i++)
		n += d->finding[i].state == state;
	return n;
}

static void print_table(const struct doctor *d)
{
	for (unsigned i = 0; i < d->count; i++) {
		const struct finding *f = &d->finding[i];

		printf("%-8s %-16s %s\n", finding_state_name(f->state), f->name, f->what);
		if (f->state != FINDING_WARN && f->state != FINDING_BAD)
			continue;
		printf("%25s why:  %s\n", "", f->why);
		if (f->command[0])
			printf("%25s mend: %s\n", "", f->command);
	}
	printf("\n%s: %u bad, %u to look at, %u unknown, %u in order\n", d->interface, count(d, FINDING_BAD),
	        count(d, FINDING_WARN), count(d, FINDING_UNKNOWN), count(d, FINDING_OK));
}

static int print_json(const struct doctor *d)
{
	json_t *checks = json_array(), *all;
	int r;

	for (unsigned i = 0; i < d->count; i++) {
		const struct finding *f = &d->finding[i];

		json_array_append_new(checks,
		        json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", f->name, "state", finding_state_name(f->state),
		                "what", f->what, "why", f->why, "command", f->command));
	}
	all = json_pack("{s:s,s:i,s:i,s:i,s:o}", "interface", d->interface, "bad", (int)count(d, FINDING_BAD), "warn",
	        (int)count(d, FINDING_WARN), "unknown", (int)count(d, FINDING_UNKNOWN), "checks", checks);
	r = all ? json_dumpf(all, stdout, JSON_COMPACT) : -1;
	putchar('\n');
	json_decref(all);
	return r;
}

int verb_doctor(int argc, char **argv)
{
	static const struct option options[] = {{"interface", required_argument, NULL, 'i'},
	        {"output", required_argument, NULL, 'o'}, {"busy-poll", no_argument, NULL, 'b'},
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	static struct doctor d;
	int c, json = 0;

	while ((c = getopt_long(argc, argv, "i:o:h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c == 'i')
			d.interface = optarg;
		else if (c == 'o')
			d.directory = optarg;
		else if (c == 'b')
			d.busy_poll = true;
		else if (c == 'j')
			json = 1;
		else
			return fputs(help, stderr), CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "doctor", "takes no further argument: %s", argv[optind]);
	if (!d.interface)
		return cli_fail(CLI_USAGE, "doctor", "say which interface: -i IFACE");
	d.pci = doctor_pci_address(d.interface);
	if (!d.pci && (strlen(d.interface) >= IFNAMSIZ || if_nametoindex(d.interface) == 0))
		return cli_fail(CLI_UNREADABLE, "doctor",
		        "interface '%.64s' does not exist in this network namespace; `ip link` lists those that do",
		        d.interface);
	d.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (d.fd < 0)
		return cli_fail(CLI_UNREADABLE, "doctor", "no socket: %s", strerror(errno));
	pci_check(&d);
	d.link_mbit = -1;
	if (!d.pci) {
		link_check(&d);
		offload_check(&d);
		queue_check(&d);
		busy_poll_check(&d);
	}
	core_check(&d);
	clock_check(&d);
	machine_check(&d);
	disk_check(&d);
	close(d.fd);
	if (!json)
		print_table(&d);
	else if (print_json(&d) < 0)
		return cli_fail(CLI_INVALID, "doctor", "cannot write the result");
	return count(&d, FINDING_BAD) ? CLI_INCOMPLETE : CLI_OK;
}

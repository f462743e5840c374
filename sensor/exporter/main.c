// SPDX-License-Identifier: Apache-2.0
// sealtap-exporter: gives flow records to collectors and brokers. It has the network and flow records, and neither
// packets nor keys of a recording. Without arguments it is a role of a run (live.h). Else, for `sealtap flows`, records
// come one a datagram on descriptor EXPORTER_RECORDS_FD (analyzers/flow_pack.h), from a process that parses hostile
// bytes and is believed nothing; the end of them ends this process, when all is delivered or the time for it is over.
// With
// --check it only says whether targets and certificates are such.
//
// Exit: 0 all delivered, 1 our own failure, 2 usage, 4 not all could be delivered.
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "analyzers/flow_pack.h"
#include "sensor/exporter/live.h"
#include "sensor/exporter/outlet.h"
#include "sensor/ipc/roles.h"
#include "sensor/sandbox/sandbox.h"

#define FINISH_MS_DEFAULT 30000

struct exporter {
	struct outlet *outlets[JOB_EXPORTS_MAX];
	unsigned count;
	uint64_t malformed;
	bool wait; // for collectors; else what they do not take in time is dropped
	bool json;
	bool check;
	uint32_t uid;
	int finish_ms;
};

static int usage_error(const char *text)
{
	fprintf(stderr, "sealtap-exporter: %s\n", text);
	return 2;
}

static int receive(struct exporter *x, int fd)
{
	static uint8_t packed[FLOW_PACKED_MAX + 1];
	struct flow_record record;

	for (;;) {
		ssize_t n = recv(fd, packed, sizeof(packed), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (flow_unpack(packed, (size_t)n, &record) < 0) {
			x->malformed++;
			continue;
		}
		for (unsigned i = 0; i < x->count; i++)
			outlet_put(x->outlets[i], packed, (size_t)n, x->wait);
	}
}

static bool report(const struct exporter *x)
{
	bool all = x->malformed == 0;
	struct export_progress p;

	for (unsigned i = 0; i < x->count; i++) {
		const char *name = outlet_name(x->outlets[i]);
		uint64_t records;

		outlet_progress(x->outlets[i], &p);
		records = p.delivered + p.dropped + p.refused + p.waiting;
		all = all && p.delivered == records;
		if (x->json) {
			json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "target", name, "records",
			        (json_int_t)records, "delivered", (json_int_t)p.delivered, "dropped",
			        (json_int_t)p.dropped, "refused", (json_int_t)p.refused, "lost", (json_int_t)p.waiting,
			        "breaks", (json_int_t)p.breaks, "last_error", p.error);

			json_dumpf(o, stderr, JSON_COMPACT);
			fputc('\n', stderr);
			json_decref(o);
		} else {
			fprintf(stderr, "sealtap: %s: %llu of %llu records delivered%s%s\n", name,
			        (unsigned long long)p.delivered, (unsigned long long)records,
			        p.error[0] ? "; last error: " : "", p.error);
		}
	}
	if (x->malformed > 0)
		fprintf(stderr, "sealtap: %llu records were not understood\n", (unsigned long long)x->malformed);
	return all;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"ipfix", required_argument, NULL, 'i'},
	        {"kafka", required_argument, NULL, 'k'}, {"ca", required_argument, NULL, 'a'},
	        {"cert", required_argument, NULL, 'c'}, {"key", required_argument, NULL, 'y'},
	        {"domain", required_argument, NULL, 'd'}, {"finish-ms", required_argument, NULL, 'f'},
	        {"wait", no_argument, NULL, 'w'}, {"json", no_argument, NULL, 'j'},
	        {"uid", required_argument, NULL, 'u'}, {"check", no_argument, NULL, 'e'}, {0}};
	struct sink_config config = {.domain = 1};
	struct exporter x = {.finish_ms = FINISH_MS_DEFAULT, .uid = UINT32_MAX};
	const char *targets[JOB_EXPORTS_MAX];
	char kinds[JOB_EXPORTS_MAX];
	struct sink *sinks[JOB_EXPORTS_MAX] = {NULL};
	struct error e = {0};
	unsigned count = 0;
	int c, r = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	json_object_seed(0); // opens /dev/urandom
	if (argc == 1)
		return live_export();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'i':
		case 'k':
			if (count == JOB_EXPORTS_MAX)
				return usage_error("too many targets");
			kinds[count] = (char)c;
			targets[count++] = optarg;
			break;
		case 'a':
			config.ca_file = optarg;
			break;
		case 'c':
			config.cert_file = optarg;
			break;
		case 'y':
			config.key_file = optarg;
			break;
		case 'd':
			config.domain = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			x.finish_ms = atoi(optarg);
			break;
		case 'w':
			x.wait = true;
			break;
		case 'j':
			x.json = true;
			break;
		case 'u':
			x.uid = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'e':
			x.check = true;
			break;
		default:
			return 2;
		}
	}
	if (!config.cert_file != !config.key_file)
		return usage_error("a certificate and its key belong together");
	for (unsigned i = 0; i < count && r == 0; i++) {
		r = live_sink(
		        kinds[i] == 'i' ? JOB_EXPORT_IPFIX : JOB_EXPORT_KAFKA, targets[i], &config, &sinks[i], &e);
		if (r < 0)
			return usage_error(e.text);
	}
	if (x.check) {
		for (unsigned i = 0; i < count; i++)
			sinks[i]->ops->free(sinks[i]);
		return 0;
	}
	// Threads come after.
	if (sandbox_enter(&(struct sandbox){.role = SANDBOX_EXPORTER, .uid = x.uid}, &e) < 0) {
		fprintf(stderr, "sealtap-exporter: %s\n", e.text);
		return 1;
	}
	for (; x.count < count; x.count++) {
		if (outlet_new(sinks[x.count], NULL, &x.outlets[x.count]) < 0) {
			fprintf(stderr, "sealtap-exporter: cannot start a thread for each target\n");
			return 1;
		}
	}
	if (r == 0 && receive(&x, EXPORTER_RECORDS_FD) < 0) {
		fprintf(stderr, "sealtap-exporter: cannot receive: %s\n", strerror(errno));
		r = 1;
	}
	for (unsigned i = 0; i < x.count; i++)
		outlet_finish(x.outlets[i], x.finish_ms);
	for (unsigned i = 0; i < x.count; i++)
		outlet_join(x.outlets[i]);
	if (r == 0 && !report(&x))
		r = 4;
	for (unsigned i = 0; i < x.count; i++)
		outlet_free(x.outlets[i]);
	return r;
}

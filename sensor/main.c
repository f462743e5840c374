// SPDX-License-Identifier: Apache-2.0
// sealtap: the verbs. All work is in libraries and in the role executables.
#include <stdio.h>
#include <string.h>

#include "sensor/cli/cli.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} verbs[] = {
        {"capture", verb_capture, "record interfaces into a sealed recording"},
        {"ingest", verb_ingest, "seal captures that already exist"},
        {"status", verb_status, "what the running captures have, lose and cost"},
        {"mark", verb_mark, "write a note into the ledger of a running capture"},
        {"metrics", verb_metrics, "the same for Prometheus, over HTTP"},
        {"verify", verb_verify, "check a recording and say how far the word goes"},
        {"cat", verb_cat, "all packets of a recording as pcapng, merged by time"},
        {"extract", verb_extract, "chosen packets of a recording as pcapng"},
        {"index", verb_index, "what makes the first extract as fast as later ones"},
        {"flows", verb_flows, "the flows of a recording: who spoke to whom, when, how much, what"},
        {"keygen", verb_keygen, "make a sensor's origin key"},
        {"trust", verb_trust, "say whose recordings you accept"},
        {"recover", verb_recover, "after a crash: state what there is"},
        {"doctor", verb_doctor, "what is wrong with this machine for lossless evidence"},
};

static void usage(FILE *out)
{
	fputs("usage: sealtap VERB [options]\n\n", out);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(out, "  %-8s  %s\n", verbs[i].name, verbs[i].summary);
	fputs("\n`sealtap VERB --help` says more. Exit codes: 0 done or valid, 1 invalid or failed, 2 usage,\n"
	      "3 could not be read or written, 4 consistent, what is missing is named.\n",
	        out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("sealtap " SEALTAP_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	fprintf(stderr, "sealtap: there is no verb \"%s\"; `sealtap --help` lists them\n", argv[1]);
	return CLI_USAGE;
}

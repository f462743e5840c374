// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/run_options.h"

static const char help[] =
        "usage: sealtap ingest FILE... -o RECORDING [options]\n"
        "\n"
        "Seals captures that already exist: pcap and pcapng, plain or as .gz or .zst, - for standard input. The "
        "recording\n"
        "states each input's name, size and SHA-256. What it proves begins with the file, not with the wire.\n"
        "\n"
        "  -o, --output RECORDING         directory to make; %Y%m%dT%H%M%SZ and the like are filled in (UTC)\n"
        "      --key ORIGIN.key           origin key (default: this machine's own, made when there is none)\n"
        "      --reference TEXT           why it is sealed, for example a case number\n"
        "      --operator NAME            who seals it (default: the user)\n"
        "      --sensor NAME              name of this sensor (default: the host name)\n"
        "      --filter EXPR              pcap filter; refused packets are counted, not recorded\n"
        "      --level N                  zstd level, -50 (fastest) to 19 (default -5)\n"
        "      --segment-size MIB         new segment after so much raw data (default 512)\n"
        "      --pool MIB                 memory for blocks (default 32)\n"
        "      --sealers N                threads that commit and compress (default: one per core)\n"
        "      --flows                    inspect flows too, and log them in the recording\n"
        "      --flow-threads N           threads that inspect (default: one for eight cores)\n"
        "      --config FILE              YAML with any of these options as `name: value`; flags override it\n"
        "      --json                     a line of JSON at the end, on stdout\n"
        "\n"
        "Exit: 0 done, 1 failed, 2 usage, 3 an input could not be read to its end (what came before is sealed).\n";

static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"reference", required_argument, NULL, RUN_NAMED},
        {"key", required_argument, NULL, RUN_NAMED},
        {"operator", required_argument, NULL, RUN_NAMED},
        {"sensor", required_argument, NULL, RUN_NAMED},
        {"filter", required_argument, NULL, RUN_NAMED},
        {"level", required_argument, NULL, RUN_NAMED},
        {"segment-size", required_argument, NULL, RUN_NAMED},
        {"pool", required_argument, NULL, RUN_NAMED},
        {"sealers", required_argument, NULL, RUN_NAMED},
        {"flush-ms", required_argument, NULL, RUN_NAMED},
        {"flows", no_argument, NULL, RUN_FLAG},
        {"flow-threads", required_argument, NULL, RUN_NAMED},
        {"config", required_argument, NULL, RUN_CONFIG},
        {"json", no_argument, NULL, RUN_FLAG},
        {"help", no_argument, NULL, 'h'},
        {0},
};

int verb_ingest(int argc, char **argv)
{
	struct run_options o;
	struct job *job;
	struct error e = {0};
	unsigned files;
	int code;

	run_options_init(&o, "ingest");
	code = run_options_parse(&o, argc, argv, "o:h", options, help);
	if (code != RUN_GO_ON)
		return code;
	files = (unsigned)(argc - optind);
	if (files == 0)
		return cli_fail(CLI_USAGE, "ingest", "say which captures to seal: sealtap ingest FILE... -o RECORDING");
	if (run_options_job(&o, JOB_INGEST, files, argc, argv, &job, &e) < 0)
		return cli_fail(CLI_USAGE, "ingest", "%s", e.text);
	for (unsigned i = 0; i < files; i++) {
		if (strlen(argv[optind + (int)i]) >= sizeof(job->source[i].name)) {
			free(job);
			return cli_fail(CLI_USAGE, "ingest", "the name of input %u is too long", i + 1);
		}
		strcpy(job->source[i].name, argv[optind + (int)i]);
	}
	code = run_supervisor(&o, job);
	free(job);
	return code;
}

// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/origin.h"

static const char help[] =
        "usage: sealtap keygen [-o DIR] [--json]\n"
        "\n"
        "Makes a sensor's origin key: DIR/origin.key (keep it) and DIR/origin.pub (give it to whoever shall check\n"
        "recordings). Without -o: /var/lib/sealtap for root, else $XDG_DATA_HOME/sealtap. Existing keys stay.\n";

int verb_keygen(int argc, char **argv)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
	        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	char dir[PATH_MAX - 32], fingerprint[80];
	const char *out = NULL;
	struct error e;
	int c, json = 0, r;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c == 'o')
			out = optarg;
		else if (c == 'j')
			json = 1;
		else
			return fputs(help, stderr), CLI_USAGE;
	}
	if (optind != argc)
		return cli_fail(CLI_USAGE, "keygen", "takes no further argument: %s", argv[optind]);
	if (out) {
		if (snprintf(dir, sizeof(dir), "%s", out) >= (int)sizeof(dir))
			return cli_fail(CLI_USAGE, "keygen", "the name of the directory is too long");
	} else if (cli_data_dir(dir, sizeof(dir)) < 0) {
		return cli_fail(CLI_USAGE, "keygen", "no home directory: give -o DIR or set SEALTAP_HOME");
	}
	r = origin_make(dir, fingerprint, sizeof(fingerprint), &e);
	if (r < 0)
		return cli_fail(r == -EEXIST ? CLI_USAGE : CLI_UNREADABLE, "keygen", "%s", e.text);
	if (json)
		printf("{\"key\":\"%s/origin.key\",\"public_key\":\"%s/origin.pub\",\"origin_key\":\"%s\"}\n", dir, dir,
		        fingerprint);
	else
		printf("%s/origin.key  private: keep it on the sensor, mode 0600\n"
		       "%s/origin.pub  public: give it to whoever shall check recordings\n"
		       "origin key %s\n",
		        dir, dir, fingerprint);
	return CLI_OK;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/cli.h"

int verb_recover(int argc, char **argv)
{
	return cli_fail(CLI_INVALID, "recover", "building");
}

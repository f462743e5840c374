// SPDX-License-Identifier: Apache-2.0
// sealtap-verify: the verifier alone, for those who must not run, or need not have, anything that captures.
// Same options and exit codes as `sealtap verify`.
#include "sensor/cli/cli.h"

int main(int argc, char **argv)
{
	return verb_verify(argc, argv);
}

// SPDX-License-Identifier: Apache-2.0
// In place of sink_ipfix.c in a build without its library.
#include <errno.h>

#include "sensor/exporter/sink.h"

int sink_ipfix_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e)
{
	return error_set(e, -ENOTSUP, "IPFIX is not in this build; install libfixbuf-dev and build again");
}

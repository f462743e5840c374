// SPDX-License-Identifier: Apache-2.0
// The exporter of a running capture: follows the recording's flow files for each target of the job.
#pragma once

#include "sealtap/error.h"
#include "sensor/exporter/sink.h"
#include "sensor/ipc/job.h"

// A sink for a target of the job or of the command line; kind as in struct job_export.
int live_sink(
        uint32_t kind, const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e);
// Until the supervisor closes its end of EXPORTER_ORDERS_FD, and then until all is delivered or the time for it is
// over. Returns an exit code.
int live_export(void);

// SPDX-License-Identifier: Apache-2.0
// Flow records to collectors and brokers: starts sealtap-exporter, which has the network and nothing of the recording,
// and hands it records. One thread.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "sealtap/error.h"
#include "sealtap/flow.h"

#define FLOW_EXPORT_ARGS_MAX 32u

struct flow_export {
	char *argv[FLOW_EXPORT_ARGS_MAX + 3];
	char uid[16];
	unsigned argc; // 0: nothing was asked for
	int fd;        // where records go, -1 before the start
	pid_t pid;
};

// The options that all have.
void flow_export_begin(struct flow_export *x);
// One option of the exporter with its value. False when there are too many.
bool flow_export_option(struct flow_export *x, char *option, char *value);
int flow_export_start(struct flow_export *x, struct error *e);
// Waits until the exporter takes it. 0 or a negative errno: it is gone, or the record is too long.
int flow_export_put(struct flow_export *x, const struct flow_record *record);
// No more records from this process.
void flow_export_close(struct flow_export *x);
// Until all is delivered. An enum cli_exit.
int flow_export_wait(struct flow_export *x);

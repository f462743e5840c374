// SPDX-License-Identifier: Apache-2.0
// Where a capture sends its flow records: options and their check.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/job.h"

struct export_options {
	const char *ipfix[JOB_EXPORTS_MAX], *kafka[JOB_EXPORTS_MAX];
	unsigned ipfix_count, kafka_count;
	const char *ca, *cert, *cert_key;
	uint64_t finish_ns;
	uint64_t behind_bytes;
};

void export_options_init(struct export_options *x);
bool export_options_has(const char *name);
// 0, or -EINVAL with e.
int export_options_set(struct export_options *x, const char *name, const char *value, struct error *e);
// Fills the job, when the exporter finds targets and certificates right. 0, or a negative errno with e.
int export_options_job(const struct export_options *x, bool flows, struct job *job, struct error *e);

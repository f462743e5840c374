// SPDX-License-Identifier: Apache-2.0
// Options that `capture` and `ingest` share, from the command line to a job; and the start of the supervisor.
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "sensor/cli/cutoff_option.h"
#include "sensor/cli/export_options.h"
#include "sensor/ipc/job.h"

struct run_options {
	const char *verb;
	const char *interfaces; // comma-separated
	const char *driver;
	const char *dpdk_args;
	const char *output;
	const char *segments_on; // comma-separated
	const char *key;
	const char *sensor;
	const char *reference; // --own-network of capture, --reference of ingest
	const char *operator_name;
	const char *filter;
	bool json;
	bool no_promisc;
	int level;
	int level_floor;
	uint64_t duration_ns;
	uint64_t packets;
	uint64_t snaplen;
	uint64_t pool_mib;
	uint64_t ring_mib; // of the kernel, per interface; 0: the default
	uint64_t sealers;  // 0: as the recorder finds right for the cores
	cpu_set_t rx_cores;
	cpu_set_t seal_cores;
	uint64_t rx_threads; // per interface; 0: the driver's choice
	uint32_t direction;  // 1 in, 2 out, 0 both
	uint32_t tap;        // enum tap
	bool busy_poll;
	bool flows;    // of ingest
	bool no_flows; // of capture
	uint64_t flow_threads;
	bool nic_time;
	uint64_t flush_ms;
	uint64_t segment_mib;
	uint64_t segment_ns;
	uint64_t keep_bytes; // of these two, the one that was given
	uint64_t keep_ns;
	uint64_t min_free; // bytes, or, when this is not 0:
	uint64_t min_free_percent;
	struct cutoff_option cutoff;
	struct export_options export; // of capture
};

// struct option.val of long options; the letters i, o and h mean interface, output and help.
enum { RUN_NAMED = 256, RUN_CONFIG, RUN_FLAG };
#define RUN_GO_ON (-1)

void run_options_init(struct run_options *o, const char *verb);
// One option by its long name; the same table serves the command line and the configuration file. 0, or -EINVAL with e.
int run_options_set(struct run_options *o, const char *name, const char *value, struct error *e);
// One that takes no value: where it is kept, or NULL when the verb has none of that name.
bool *run_options_flag(struct run_options *o, const char *name);
// The whole command line, and the configuration it names. RUN_GO_ON, or an exit code when all is said; optind is then
// at the arguments that are no options.
int run_options_parse(struct run_options *o, int argc, char **argv, const char *letters, const struct option *options,
        const char *help);
// Reads FILE (YAML: one mapping of option names to values). Errors name the line.
int run_options_read(struct run_options *o, const char *path, struct error *e);
// The job for these options; sources are filled in by the caller.
int run_options_job(const struct run_options *o, enum job_kind kind, unsigned sources, int argc, char **argv,
        struct job **ret_job, struct error *e);
uint32_t run_exporter_uid(void); // whom sealtap-exporter shall be; UINT32_MAX: whoever we are
// Becomes the supervisor. Returns an exit code only when that fails.
int run_supervisor(const struct run_options *o, const struct job *job);

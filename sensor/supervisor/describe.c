// SPDX-License-Identifier: Apache-2.0
// The answer to `sealtap status`, from what the supervisor knows already.
#include <string.h>
#include <unistd.h>

#include "sensor/supervisor/run_state.h"

static enum control_state state(const struct run *run)
{
	if (run->stopping || run->done || run->closing || run->broken)
		return CONTROL_ENDING;
	if (run->capturing)
		return CONTROL_CAPTURING;
	return run->restarts ? CONTROL_RESTARTING : CONTROL_STARTING;
}

void run_describe(const struct run *run, struct control_run *out)
{
	const struct tally *t = &run->tally;
	const struct job *job = run->job;

	memset(out, 0, sizeof(*out));
	out->state = state(run);
	out->kind = job->kind;
	out->pid = (uint32_t)getpid();
	out->lanes = t->lane_count;
	out->dir_device = run->recording.device;
	out->dir_inode = run->recording.inode;
	out->since_ns = t->since_ns;
	out->elapsed_ns = t->since_ns ? tally_clock_ns() - t->since_boot_ns : 0;
	out->packets_per_second = t->packets_per_second;
	out->bytes_per_second = t->bytes_per_second;
	out->status = tally_total(t);
	tally_counters(t, &out->counters);
	out->ledger = t->ledger;
	inspector_status(run, &out->inspection);
	out->exporter_deaths = run->exporter.deaths;
	out->exports = job->export_count;
	exporter_status(run, out->export);
	out->level_ceiling = job->level;
	out->restarts = run->restarts;
	out->incident_ns = t->incident_ns;
	out->incident = t->incident;
	memcpy(out->recording_id, run->recording_id, DIGEST_LEN);
	memcpy(out->recording, run->recording.path, sizeof(out->recording));
	memcpy(out->sensor, job->sensor, sizeof(out->sensor));
	memcpy(out->reference, job->reference, sizeof(out->reference));
	memcpy(out->operator_name, job->operator_name, sizeof(out->operator_name));
	memcpy(out->driver, job->driver, sizeof(out->driver));
}

void run_describe_lane(const struct run *run, uint32_t index, struct control_lane *out)
{
	memset(out, 0, sizeof(*out));
	out->lane = run->tally.lane[index];
	memcpy(out->source, run->job->source[out->lane.source].name, sizeof(out->source));
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_reading.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "sensor/cli/flow_ordered.h"
#include "sensor/cli/shut_in.h"
#include "sensor/evidence/reader/lane_merge.h"
#include "sensor/ipc/loan.h"

#define BEGUN_IN_VAIN_MAX 64u

// What opens files or makes libraries open them, so that nothing has to afterwards.
static int prepare(struct flow_reading *r)
{
	struct flow_meter_config *c = &r->config;

	c->flows_max = FLOW_TABLE_FLOWS;
	c->close_ns = FLOW_CLOSE_NS;
	c->dpi = dpi_library() && !r->no_dpi;
	if (getrandom(&c->seed, sizeof(c->seed), 0) != (ssize_t)sizeof(c->seed))
		return -errno;
	return flow_bank_new(c, 1, &r->bank);
}

// As of the recording. A name that this library does not know is of no flow.
static void set_cutoff(struct flow_reading *r, struct flow_bank *bank)
{
	struct flow_cutoff cutoff = {.bytes = r->report->cutoff_bytes};
	const char *name;

	if (r->report->cutoff_apps) {
		cutoff.apps = &r->apps;
		r->apps_unknown = !flow_bank_dpi(bank) ||
		                  app_set_read(&r->apps, flow_bank_dpi(bank), r->report->cutoff_apps, &name) > 0;
	}
	flow_bank_cutoff(bank, &cutoff);
}

int flow_reading_open(
        struct flow_reading *r, const struct recording_dir *dir, const struct flow_filter *filter, struct error *e)
{
	int error = prepare(r);

	if (error < 0)
		return error_set(e, error, "cannot begin: %s", strerror(-error));
	error = flow_filter_check_apps(filter, flow_bank_dpi(r->bank), e);
	if (error < 0)
		return error;
	error = shut_in(&(struct sandbox){.role = SANDBOX_READER}, &dir, 1, e);
	if (error < 0)
		return error == -EINVAL ? -EIO : error;
	error = segment_list_read(dir, &r->list, &r->report);
	if (error == 0)
		set_cutoff(r, r->bank);
	return error < 0 ? error_set(e, error, "cannot read its ledger: %s", strerror(-error)) : 0;
}

void flow_reading_stats(const struct flow_reading *r, struct flow_meter_stats *ret_stats)
{
	struct flow_meter_stats stats;

	flow_bank_stats(r->bank, &stats);
	flow_meter_stats_add(&stats, &r->before);
	*ret_stats = stats;
}

static int take_packet(void *user, const struct lane_reader *lane)
{
	const struct commit_packet *p = &lane->head.packet;
	struct flow_reading *r = user;

	flow_bank_packet(r->bank, &(struct metered_packet){.data = p->data,
	                                  .caplen = p->caplen,
	                                  .origlen = p->origlen,
	                                  .linktype = lane->lane->linktype,
	                                  .ts_ns = p->ts_ns,
	                                  .lane = lane->lane->number,
	                                  .segment = (uint32_t)(lane->next_segment - 1)});
	return r->error;
}

static void take_tick(void *user, uint64_t ns)
{
	struct flow_reading *r = user;

	flow_bank_tick(r->bank, ns);
}

static int take_begin(void *user, uint32_t threads, uint64_t seed)
{
	struct flow_reading *r = user;
	struct flow_meter_stats found;
	struct flow_bank *bank;
	int error;

	if (threads == 0 || threads > LOAN_WORKERS_MAX)
		threads = 1; // no inspector of ours says so
	// Making tables takes time: an order that does nothing but begin shall not take it for ever.
	flow_bank_stats(r->bank, &found);
	if (found.packets == 0 && r->begun_in_vain++ >= BEGUN_IN_VAIN_MAX)
		return 0;
	flow_bank_end(r->bank);
	r->config.seed = seed;
	error = flow_bank_new(&r->config, threads, &bank);
	if (error < 0)
		return error;
	set_cutoff(r, bank);
	flow_reading_stats(r, &r->before);
	flow_bank_free(r->bank);
	r->bank = bank;
	return r->error;
}

static void take_end(void *user)
{
	struct flow_reading *r = user;

	flow_bank_end(r->bank);
}

// 1: done; 0: the recording tells no order; or a negative errno.
static int read_ordered(struct flow_reading *r, struct lane_merge *merge, int recording_fd)
{
	struct flow_ordered o = {
	        .packet = take_packet, .tick = take_tick, .begin = take_begin, .end = take_end, .user = r};
	int done = flow_ordered_run(&o, merge, recording_fd);

	r->ordered = o.entries > 0;
	r->order_broken = o.order_broken;
	r->not_inspected = o.skipped;
	r->records_lost = o.lost;
	return done == 1 && r->error < 0 ? r->error : done;
}

static int read_packets(struct flow_reading *r, struct lane_merge *merge)
{
	const struct lane_reader *lane;
	int error;

	while ((error = lane_merge_next(merge, &lane)) == 0 && lane && r->error == 0)
		take_packet(r, lane);
	if (error == 0 && r->error == 0)
		flow_bank_end(r->bank);
	return error < 0 ? error : r->error;
}

int flow_reading_run(struct flow_reading *r, const struct recording_dir *dir)
{
	struct lane_merge merge = {0};
	int error = lane_merge_init(&merge, dir, r->list, NULL, r->report);

	if (error == 0 && r->as_inspected)
		error = read_ordered(r, &merge, dir->fd);
	if (error == 0)
		error = read_packets(r, &merge);
	error = error == 1 ? 0 : error;
	r->beyond_signed = lane_merge_beyond_signed(&merge);
	lane_merge_release(&merge);
	return error;
}

void flow_reading_release(struct flow_reading *r)
{
	flow_bank_free(r->bank);
	segment_list_free(r->list);
	verify_report_free(r->report);
	r->bank = NULL;
	r->list = NULL;
	r->report = NULL;
}

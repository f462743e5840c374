// SPDX-License-Identifier: Apache-2.0
#include "sensor/exporter/live.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "sensor/exporter/outlet.h"
#include "sensor/exporter/spool.h"
#include "sensor/ipc/export_state.h"
#include "sensor/ipc/roles.h"
#include "sensor/sandbox/sandbox.h"

#define BEAT_MS 250
#define NICE 10
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_UNDELIVERED 4

struct live {
	const struct job *job;
	struct export_state *state;
	struct sink *sinks[JOB_EXPORTS_MAX];
	struct outlet *outlets[JOB_EXPORTS_MAX];
};

static int fail(int code, const struct error *e)
{
	fprintf(stderr, "sealtap-exporter: %s\n", e->text);
	return code;
}

int live_sink(
        uint32_t kind, const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e)
{
	return kind == JOB_EXPORT_IPFIX ? sink_ipfix_new(target, config, ret_sink, e)
	                                : sink_kafka_new(target, config, ret_sink, e);
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static int make_sinks(struct live *l, struct error *e)
{
	const struct job *job = l->job;
	const struct sink_config config = {.ca_file = or_null(job->export_ca),
	        .cert_file = or_null(job->export_cert),
	        .key_file = or_null(job->export_key),
	        .domain = 1};
	int r = 0;

	for (unsigned i = 0; i < job->export_count && r == 0; i++)
		r = live_sink(job->export[i].kind, job->export[i].target, &config, &l->sinks[i], e);
	return r;
}

static int start_outlets(struct live *l, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; i < l->job->export_count && r == 0; i++) {
		struct outlet_live live = {.slot = &l->state->slot[i], .behind_max = l->job->export_behind};
		struct export_progress before;

		export_state_get(live.slot, &before);
		r = spool_open(EXPORTER_FLOWS_FD, &before.position, &live.spool);
		if (r == 0)
			r = outlet_new(l->sinks[i], &live, &l->outlets[i]);
	}
	return r < 0 ? error_set(e, r, "cannot start a thread for each target: %s", strerror(-r)) : 0;
}

// Until the supervisor, or its death, closes the pipe.
static void follow(struct live *l)
{
	struct pollfd p = {.fd = EXPORTER_ORDERS_FD, .events = POLLIN};

	while (poll(&p, 1, BEAT_MS) <= 0 || !p.revents)
		atomic_fetch_add(&l->state->beats, 1);
}

static int finish(struct live *l)
{
	struct export_progress p;
	int code = 0;

	for (unsigned i = 0; i < l->job->export_count; i++)
		outlet_finish(l->outlets[i], (int)l->job->export_finish_ms);
	for (unsigned i = 0; i < l->job->export_count; i++) {
		outlet_join(l->outlets[i]);
		outlet_progress(l->outlets[i], &p);
		if (p.waiting || p.dropped || p.refused || p.behind_bytes)
			code = EXIT_UNDELIVERED;
		outlet_free(l->outlets[i]);
	}
	return code;
}

int live_export(void)
{
	struct live l = {0};
	struct error e = {0};

	if (job_map(ROLE_JOB_FD, &l.job, &e) < 0)
		return fail(EXIT_FAILED, &e);
	l.state = export_state_map(EXPORTER_STATE_FD, true);
	if (!l.state)
		return fail(EXIT_FAILED,
		        (error_set(&e, -EBADMSG, "descriptor %d is not as expected", EXPORTER_STATE_FD), &e));
	setpriority(PRIO_PROCESS, 0, NICE);
	if (make_sinks(&l, &e) < 0)
		return fail(EXIT_USAGE, &e);
	if (sandbox_enter(&(struct sandbox){.role = SANDBOX_EXPORTER,
	                          .uid = l.job->role_uid[JOB_EXPORTER],
	                          .read_dirs = (const int[]){EXPORTER_FLOWS_FD},
	                          .read_dir_count = 1},
	            &e) < 0 ||
	        start_outlets(&l, &e) < 0)
		return fail(EXIT_FAILED, &e);
	follow(&l);
	return finish(&l);
}

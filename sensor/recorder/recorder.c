// SPDX-License-Identifier: Apache-2.0
// Builds the recorder's parts before the sandbox closes, runs its threads and takes them down in the order of the data.
#include "sensor/recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "sensor/filter/filter.h"
#include "sensor/ipc/roles.h"
#include "sensor/recorder/claims.h"
#include "sensor/recorder/lender.h"
#include "sensor/recorder/machine.h"
#include "sensor/recorder/notary.h"
#include "sensor/recorder/run.h"
#include "sensor/sources/drivers.h"

static int open_file(
        const struct job *job, unsigned index, struct source **ret_source, int *ret_extra_fd, struct error *e)
{
	struct source_file_config config = {.name = job->source[index].name};
	char path[64];
	int r;

	config.fd = strcmp(config.name, "-") == 0 ? dup(STDIN_FILENO) : open(config.name, O_RDONLY | O_CLOEXEC);
	if (config.fd < 0)
		return error_set(e, -errno, "cannot open %s: %s", config.name, strerror(errno));
	snprintf(path, sizeof(path), "%u.extra.jsonl.zst", index);
	config.extra_fd = openat(RECORDER_EXTRAS_FD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (config.extra_fd < 0) {
		r = -errno;
		close(config.fd);
		return error_set(e, r, "cannot create sources/%s: %s", path, strerror(-r));
	}
	// Without a name until the ledger can name it: a recorder that dies leaves nothing that no line speaks of.
	unlinkat(RECORDER_EXTRAS_FD, path, 0);
	*ret_extra_fd = dup(config.extra_fd);
	if (*ret_extra_fd < 0)
		return error_set(e, -errno, "cannot keep sources/%s open: %s", path, strerror(errno));
	return source_file_open(&config, ret_source, e);
}

// An interface: one source per RX thread. Returns their number.
static int open_interface(const struct job *job, unsigned index, struct source **ret_sources, struct error *e)
{
	struct source_live_config config = {
	        .interface = job->source[index].name,
	        .promiscuous = job->promiscuous,
	        .ring_bytes = (unsigned)job->ring_bytes,
	        .snaplen = 0, // the recorder cuts, after the filter has seen the whole frame
	        .flush_ms = job->flush_ms >= 16 ? (int)job->flush_ms / 8 : 2,
	        .threads = job->rx_threads,
	        .driver_args = job->driver_args[0] ? job->driver_args : NULL,
	        .direction = job->direction,
	        .tap = job->tap,
	        .busy_poll = job->busy_poll,
	        .nic_time = job->nic_time,
	        // Of a filtered flow only what the filter takes counts, and no driver knows that.
	        .cutoff_bytes = job->filter[0] ? 0 : job->cutoff_bytes,
	        .cutoff_told = !job->filter[0] && job->cutoff_apps[0],
	};
	const struct live_driver *driver = live_driver_find(job->driver);
	int n;

	if (!driver)
		return error_set(
		        e, -ENOTSUP, "driver %s is not in this build; there are: %s", job->driver, live_driver_names());
	n = live_driver_check(driver, &config, e);
	if (n < 0)
		return n;
	n = driver->open(&config, ret_sources, e);
	if (n > 0 && job->direction && !ret_sources[0]->tells_direction) {
		unsigned linktype = ret_sources[0]->lanes[0].linktype;

		for (int i = 0; i < n; i++)
			ret_sources[i]->ops->close(ret_sources[i]);
		return error_set(e, -ENOTSUP,
		        "interface %s: driver %s does not tell the direction of frames of link type %u; leave "
		        "--direction out, or use --driver afpacket",
		        config.interface, job->driver, linktype);
	}
	for (int i = 0; i < n && job->direction; i++) { // what is left out on purpose stands in the ledger
		struct source *s = ret_sources[i];
		size_t used = strlen(s->detail);

		snprintf(s->detail + used, sizeof(s->detail) - used, ", only %s",
		        job->direction == 1 ? "incoming" : "outgoing");
	}
	return n;
}

static int open_sources(struct recorder *r, struct error *e)
{
	const struct job *job = r->job;
	unsigned most = job->source_count * (job->kind == JOB_INGEST ? 1 : SOURCES_PER_INTERFACE_MAX);

	r->source = calloc(most, sizeof(*r->source));
	r->job_source = calloc(most, sizeof(*r->job_source));
	r->extra_fd = calloc(job->source_count, sizeof(*r->extra_fd));
	if (!r->source || !r->job_source || !r->extra_fd)
		return error_set(e, -ENOMEM, "out of memory");
	memset(r->extra_fd, -1, job->source_count * sizeof(*r->extra_fd));
	for (unsigned i = 0; i < job->source_count; i++) {
		struct source **at = &r->source[r->source_count];
		int n;

		machine_prefer(job->kind == JOB_CAPTURE ? machine_node(job->source[i].name) : -1); // for its rings
		n = job->kind == JOB_INGEST ? open_file(job, i, at, &r->extra_fd[i], e) : open_interface(job, i, at, e);
		machine_prefer(-1);
		if (n < 0)
			return n;
		if (job->kind == JOB_INGEST)
			n = 1;
		for (int k = 0; k < n; k++)
			r->job_source[r->source_count++] = i;
		if (job->kind == JOB_CAPTURE && r->filter) {
			n = filter_prepare(r->filter, at[0]->lanes[0].linktype, e);
			if (n < 0)
				return n;
		}
	}
	return 0;
}

// Before frames begin to arrive. Each interface's part of the pool lies near its card, as far as they have equal
// shares.
static int fill_pool(struct recorder *r, struct error *e)
{
	const struct job *job = r->job;
	uint32_t share = r->pool.blocks / job->source_count;
	int result = 0;

	for (unsigned i = 0; i < job->source_count && result == 0; i++) {
		machine_prefer(machine_node(job->source[i].name));
		result = pool_fill(
		        &r->pool, share * i, i + 1 == job->source_count ? r->pool.blocks : share * (i + 1), e);
	}
	machine_prefer(-1);
	pool_lock(&r->pool);
	return result;
}

static int rx_init(struct recorder *r, unsigned index)
{
	struct rx *rx = &r->rx[index];
	uint32_t share = r->pool.blocks / r->rx_count;
	uint64_t seed;
	uint32_t first = share * index, last = index + 1 == r->rx_count ? r->pool.blocks : first + share;

	rx->recorder = r;
	rx->index = index;
	for (unsigned i = 0; i < r->place_count; i++)
		if (ring_init(&rx->returned[i], r->pool.blocks) < 0)
			return -ENOMEM;
	rx->place = r->place_count > 1 ? NO_PLACE : 0;
	rx->stack = calloc(r->pool.blocks, sizeof(*rx->stack));
	if (!rx->stack)
		return -ENOMEM;
	for (uint32_t id = last; id-- > first;)
		rx->stack[rx->stack_size++] = id;
	rx->share = rx->stack_size;
	atomic_store(&rx->stacked, rx->stack_size);
	rx->source_count = r->job->kind == JOB_INGEST ? r->source_count : 1;
	rx->driver_shunts = r->source[rx->first_source]->shunts;
	if (r->job->cutoff_bytes == 0 || (rx->driver_shunts && !r->job->cutoff_apps[0]))
		return 0;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	return shunt_table_new(SHUNT_FLOWS, seed, rx->driver_shunts, &rx->shunt);
}

static int channel_init(struct recorder *r, struct channel *c)
{
	if (ring_init(&c->in, r->pool.blocks) < 0 || ring_init(&c->out, RESULT_SLOTS) < 0 ||
	        ring_init(&c->spare, RESULT_SLOTS) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < RESULT_SLOTS; i++) {
		c->slot[i].frame = malloc(RESULT_BYTES);
		if (!c->slot[i].frame)
			return -ENOMEM;
		ring_push(&c->spare, i);
	}
	return 0;
}

static int place_init(struct recorder *r, unsigned index)
{
	struct place *p = &r->place[index];
	int result;

	p->index = index;
	p->fd = index == 0 ? RECORDER_SEGMENTS_FD : RECORDER_PLACES_FD(r->job->flows) + (int)index - 1;
	p->retention.on = r->job->min_free || r->job->keep_bytes || r->job->keep_ns;
	result = notary_new(r, p, &p->notary);
	return result < 0 ? result : writer_new(r, p, &p->writer);
}

static int open_lender(struct recorder *r, struct error *e)
{
	struct lender_config config = {.workers = r->job->flow_threads,
	        .blocks = r->pool.blocks,
	        .rx_count = r->rx_count,
	        .share = r->pool.blocks / r->rx_count,
	        .lossless = r->job->kind == JOB_INGEST};
	struct loan_reply *reply = NULL;
	int result = loans_map(RECORDER_LOANS_FD, true, &config.loans, e);

	if (result == 0)
		result = loan_reply_map(RECORDER_REPLY_FD, false, &reply, e);
	if (result < 0)
		return result;
	config.reply = reply;
	if (r->job->cutoff_apps[0])
		result = claims_new(config.loans, reply, config.workers, r->rx_count, &r->claims);
	config.claims = r->claims;
	if (result == 0)
		result = lender_new(&config, &r->lender);
	return result < 0 ? error_set(e, result, "out of memory for loans") : 0;
}

int recorder_open(struct recorder *r, const struct job *job, struct error *e)
{
	int result;

	memset(r, 0, sizeof(*r));
	r->job = job;
	r->level = job->level;
	r->place_count = job->places ? job->places : 1;
	pthread_mutex_init(&r->keeper_mutex, NULL);
	pthread_mutex_init(&r->lanes_mutex, NULL);
	result = filter_new(job->filter, &r->filter, e);
	if (result < 0)
		return result;
	result = pool_map(RECORDER_POOL_FD, job->pool_blocks, &r->pool, e);
	if (result == 0 && job->kind == JOB_CAPTURE)
		result = fill_pool(r, e);
	if (result < 0)
		return result;
	result = link_watch_new(job, &r->links, e);
	if (result == 0)
		result = open_sources(r, e);
	if (result < 0)
		return result;
	for (unsigned i = 0; i < job->source_count; i++) {
		uint64_t mbit = job->kind == JOB_CAPTURE ? machine_link_mbit(job->source[i].name) : 0;

		r->link_mbit = mbit && (i == 0 || r->link_mbit) ? r->link_mbit + mbit : 0;
	}
	r->rx_count = job->kind == JOB_INGEST ? 1 : r->source_count;
	for (unsigned i = 0; i < r->source_count && r->place_count > 1; i++)
		if (job->kind == JOB_INGEST || r->source[i]->lane_count > 1)
			return error_set(e, -ENOTSUP,
			        "%s: a source of several lanes cannot be recorded onto several disks",
			        r->source[i]->name);
	if (r->pool.blocks / r->rx_count < 2)
		return error_set(e, -ENOBUFS,
		        "a pool of %u MiB is too small for %u RX threads; give --pool at least %u", r->pool.blocks,
		        r->rx_count, 2 * r->rx_count);
	r->rx = calloc(r->rx_count, sizeof(*r->rx));
	if (!r->rx)
		return error_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < r->rx_count; i++) // a file after the other; interfaces beside each other
		r->rx[i].first_source = job->kind == JOB_INGEST ? 0 : i;
	r->sealer_count = cores_sealers(r);
	r->sealer = aligned_alloc(64, r->sealer_count * sizeof(*r->sealer));
	r->channel = aligned_alloc(64, r->rx_count * r->sealer_count * sizeof(*r->channel));
	if (!r->sealer || !r->channel)
		return error_set(e, -ENOMEM, "out of memory");
	memset(r->sealer, 0, r->sealer_count * sizeof(*r->sealer));
	memset(r->channel, 0, r->rx_count * r->sealer_count * sizeof(*r->channel));
	result = 0;
	for (unsigned i = 0; i < r->rx_count * r->sealer_count && result == 0; i++)
		result = channel_init(r, &r->channel[i]);
	for (unsigned i = 0; i < r->rx_count && result == 0; i++)
		result = rx_init(r, i);
	for (unsigned i = 0; i < r->sealer_count; i++) {
		r->sealer[i].recorder = r;
		r->sealer[i].index = i;
	}
	if (job->kind == JOB_CAPTURE)
		cores_plan(r);
	cores_raise(r);
	if (result == 0)
		result =
		        segment_table_new(&r->segments, RECORDER_KEEPER_FD, &r->keeper_mutex, &r->pool, r->place_count);
	for (unsigned i = 0; i < r->place_count && result == 0; i++)
		result = place_init(r, i);
	if (result < 0)
		return error_set(e, result, "out of memory for the pipeline");
	return job->flows ? open_lender(r, e) : 0;
}

void recorder_free(struct recorder *r)
{
	for (unsigned i = 0; i < r->place_count; i++) {
		writer_free(r->place[i].writer);
		notary_free(r->place[i].notary);
	}
	lender_free(r->lender);
	claims_free(r->claims);
	segment_table_free(r->segments);
	for (unsigned i = 0; r->rx && i < r->rx_count; i++) {
		for (unsigned p = 0; p < r->place_count; p++)
			ring_free(&r->rx[i].returned[p]);
		free(r->rx[i].stack);
		shunt_table_free(r->rx[i].shunt);
	}
	for (unsigned i = 0; r->channel && i < r->rx_count * r->sealer_count; i++) {
		ring_free(&r->channel[i].in);
		ring_free(&r->channel[i].out);
		ring_free(&r->channel[i].spare);
		for (unsigned s = 0; s < RESULT_SLOTS; s++)
			free(r->channel[i].slot[s].frame);
	}
	free(r->rx);
	free(r->sealer);
	free(r->channel);
	for (unsigned i = 0; i < r->source_count; i++)
		r->source[i]->ops->close(r->source[i]);
	free(r->source);
	free(r->job_source);
	for (unsigned i = 0; r->extra_fd && i < r->job->source_count; i++)
		if (r->extra_fd[i] >= 0)
			close(r->extra_fd[i]);
	free(r->extra_fd);
	filter_free(r->filter);
	link_watch_free(r->links);
}

// What is on loan stays where it is when this process has gone. What waits to be lent goes on loan first.
static void end_loans(struct recorder *r, void (*tick)(struct recorder *r, void *context), void *context)
{
	uint32_t id;

	if (!r->lender)
		return;
	while (lender_waits(r->lender)) {
		tick(r, context);
		while (lender_returned(r->lender, &id))
			;
	}
	lender_end(r->lender);
}

static bool rx_done(const struct recorder *r)
{
	for (unsigned i = 0; i < r->rx_count; i++)
		if (!atomic_load(&r->rx[i].done))
			return false;
	return true;
}

int recorder_run(struct recorder *r, void (*tick)(struct recorder *r, void *context), void *context, struct error *e)
{
	unsigned sealers = 0, rxs = 0;
	int failed = 0;

	for (unsigned i = 0; !failed && i < r->place_count; i++)
		failed = pthread_create(&r->place[i].notary_thread, NULL, notary_main, r->place[i].notary);
	for (unsigned i = 0; !failed && i < r->place_count; i++)
		failed = pthread_create(&r->place[i].writer_thread, NULL, writer_main, r->place[i].writer);
	for (; !failed && sealers < r->sealer_count; sealers++)
		failed = pthread_create(&r->sealer[sealers].thread, NULL, sealer_main, &r->sealer[sealers]);
	for (; !failed && rxs < r->rx_count; rxs++)
		failed = pthread_create(&r->rx[rxs].thread, NULL, rx_main, &r->rx[rxs]);
	cores_lower(r);
	if (failed) // half a pipeline is of no use, and the process is about to end
		return error_set(e, -failed, "cannot start a thread: %s", strerror(failed));

	while (!rx_done(r))
		tick(r, context);
	for (unsigned i = 0; i < rxs; i++)
		pthread_join(r->rx[i].thread, NULL);
	atomic_store(&r->rx_gone, true);
	for (unsigned i = 0; i < sealers; i++)
		doorbell_ring(&r->sealer[i].bell);
	for (unsigned i = 0; i < sealers; i++)
		pthread_join(r->sealer[i].thread, NULL);
	atomic_store(&r->sealers_gone, true);
	for (unsigned i = 0; i < r->place_count; i++)
		doorbell_ring(writer_bell(r->place[i].writer));
	for (unsigned i = 0; i < r->place_count; i++) {
		pthread_join(r->place[i].writer_thread, NULL);
		notary_finish(r->place[i].notary);
	}
	for (unsigned i = 0; i < r->place_count; i++)
		pthread_join(r->place[i].notary_thread, NULL);
	end_loans(r, tick, context);
	return atomic_load(&r->stop) == STOP_FAILED ? error_set(e, -EPIPE, "the recording could not be completed") : 0;
}

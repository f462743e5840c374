// SPDX-License-Identifier: Apache-2.0
// Writer thread, one for each disk: puts sealed blocks into segment files in lane order, keeps the lanes' counters at
// block boundaries, and once their frames are in the file gives blocks back, by way of the inspector where there is
// one. It neither syncs nor talks to the keeper: the notary does.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/recorder/clock.h"
#include "sensor/recorder/lender.h"
#include "sensor/recorder/notary.h"
#include "sensor/recorder/segment_file.h"
#include "sensor/recorder/unrecorded.h"

#define LOAN_LOOK_MS 10
#define TICK_BEHIND_NS 10000000000ULL // longer than a frame waits for its RX thread

struct pending {       // by block id
	uint32_t next; // in the lane's list
	uint32_t rx;
	uint32_t sealer;
	uint32_t slot;
	uint64_t end; // file offset behind its frame, once appended
	bool recorded;
	uint32_t frame; // number in the segment, when it was
};

struct writer_lane {
	uint32_t waiting; // sealed blocks by seq, BLOCK_NONE ends
	uint32_t held;    // appended, not yet in the file; oldest first
	uint32_t held_last;
	uint64_t next_seq;
	struct segment_file *file;
	struct counters counters; // at the end of the block written last
	struct unrecorded unrecorded;
	uint64_t progress_bytes; // as given to the notary last
	uint32_t next_number;    // of the segment to be made next, once started
	bool started;
	struct counters shown; // a copy of counters, and what else the status says of the lane: under status_mutex
	uint64_t shown_last_ns;
	bool owing;  // blocks that no sealed segment's counters cover
	bool failed; // the segment under way cannot be completed
};

struct writer {
	struct recorder *recorder;
	struct place *place;
	struct doorbell bell;
	struct pending *pending;
	uint32_t *block_rx; // which RX thread a block belongs to
	struct writer_lane *lane[LANES_MAX];
	uint32_t lane_count;
	uint32_t held_count;
	struct stages stages;
	_Atomic uint64_t quiet_ns;    // when nothing was on its way to its segments; 0: something was
	bool full;                    // the disk: from now on nothing is appended, for a lane must have no holes
	pthread_mutex_t status_mutex; // lane[] and what is shown of each; held for a copy, never over a system call
	_Atomic uint64_t stored, segments;
};

int writer_new(struct recorder *r, struct place *place, struct writer **ret_writer)
{
	struct writer *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	uint32_t share = r->pool.blocks / r->rx_count;

	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->recorder = r;
	w->place = place;
	pthread_mutex_init(&w->status_mutex, NULL);
	w->pending = calloc(r->pool.blocks, sizeof(*w->pending));
	w->block_rx = calloc(r->pool.blocks, sizeof(*w->block_rx));
	if (!w->pending || !w->block_rx || stages_init(&w->stages) < 0) {
		writer_free(w);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < r->pool.blocks; i++)
		w->block_rx[i] = i / share < r->rx_count ? i / share : r->rx_count - 1;
	*ret_writer = w;
	return 0;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->lane_count; i++) {
		if (w->lane[i])
			segment_file_free(w->lane[i]->file);
		free(w->lane[i]);
	}
	stages_free(&w->stages);
	free(w->pending);
	free(w->block_rx);
	free(w);
}

struct doorbell *writer_bell(struct writer *w)
{
	return &w->bell;
}

void writer_status(struct writer *w, struct wire_status *status)
{
	status->stored_bytes += atomic_load(&w->stored);
	status->segments += (uint32_t)atomic_load(&w->segments);
}

bool writer_lane(struct writer *w, uint32_t id, struct wire_lane *ret_lane)
{
	const struct writer_lane *l;
	bool shown = false;

	pthread_mutex_lock(&w->status_mutex);
	l = w->lane[id];
	if (l && l->started) {
		shown = true;
		ret_lane->counters = l->shown;
		ret_lane->last_ns = l->shown_last_ns;
	}
	pthread_mutex_unlock(&w->status_mutex);
	return shown;
}

static void show(struct writer *w, struct writer_lane *l, const struct block *b)
{
	pthread_mutex_lock(&w->status_mutex);
	l->started = true;
	l->shown = l->counters;
	if (block_packets(b) > 0 && b->ts_max > l->shown_last_ns)
		l->shown_last_ns = b->ts_max;
	pthread_mutex_unlock(&w->status_mutex);
}

static struct writer_lane *lane_get(struct writer *w, uint32_t id)
{
	struct pool_lane *shared = &w->recorder->pool.shared->lane[id];
	struct writer_lane *l = w->lane[id];

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->waiting = l->held = l->held_last = BLOCK_NONE;
	// A lane that an earlier recorder began goes on with its counters; its blocks count from 0 again.
	l->counters.recorded = shared->recorded;
	l->counters.dropped[DROP_DISK] = shared->dropped_disk;
	unrecorded_resume(&l->unrecorded, shared);
	pthread_mutex_lock(&w->status_mutex);
	w->lane[id] = l;
	pthread_mutex_unlock(&w->status_mutex);
	if (id >= w->lane_count)
		w->lane_count = id + 1;
	return l;
}

static void block_free(struct writer *w, uint32_t id)
{
	struct rx *rx = &w->recorder->rx[w->block_rx[id]];

	if (!ring_push(&rx->returned[w->place->index], id))
		abort(); // the ring has room for every block
	doorbell_ring(&rx->bell);
}

// Overload's last step before frames are dropped: nothing goes on loan any more.
static bool scarce(const struct rx *rx)
{
	return atomic_load_explicit(&rx->stacked, memory_order_relaxed) + rx_returned(rx) < rx->share / 8;
}

// Its frame is in the file. The inspector comes first to a block that was recorded.
static void release(struct writer *w, uint32_t id)
{
	const struct recorder *r = w->recorder;
	const struct pending *p = &w->pending[id];
	struct block *b = &r->pool.block[id];

	// From here on a successor has no use for it.
	atomic_store_explicit(&b->state, BLOCK_FREE, memory_order_release);
	if (r->lender && p->recorded) {
		const struct loan loan = {.kind = LOAN_BLOCK,
		        .block = id,
		        .lane = b->lane,
		        .segment = b->segment,
		        .frame = p->frame,
		        .linktype = r->pool.shared->lane[b->lane].linktype,
		        .bytes = block_bytes(b),
		        .packets = block_packets(b)};

		if (lender_lend(r->lender, &loan, w->block_rx[id], scarce(&r->rx[w->block_rx[id]])))
			return;
	}
	block_free(w, id);
}

static void take_back(struct writer *w)
{
	uint32_t id;

	while (w->recorder->lender && lender_returned(w->recorder->lender, &id))
		block_free(w, id);
}

static void release_held(struct writer *w, struct writer_lane *l)
{
	uint64_t written = l->file ? l->file->written : UINT64_MAX;

	while (l->held != BLOCK_NONE && w->pending[l->held].end <= written) {
		uint32_t id = l->held;

		l->held = w->pending[id].next;
		w->held_count--;
		release(w, id);
	}
}

static void disk_failed(struct writer *w, struct writer_lane *l, int error)
{
	bool full = error == -ENOSPC || error == -EDQUOT;

	w->full = true;
	segment_table_stop(w->recorder->segments, w->place->index, false);
	if (!full)
		l->failed = true;
	recorder_place_lost(w->place, w->recorder, full ? STOP_DISK_FULL : STOP_DISK_ERROR,
	        full ? "the disk is full" : strerror(-error));
}

static int file_open(struct writer *w, struct writer_lane *l, uint32_t lane, uint32_t number)
{
	const struct pool_lane *is = &w->recorder->pool.shared->lane[lane];
	struct segment_info info = {(uint16_t)is->linktype, is->snaplen, is->interface};
	int r = segment_file_create(w->place->fd, lane, number, &info, &w->stages, &l->file);

	if (r == 0) {
		l->progress_bytes = 0;
		l->next_number = number + 1;
		atomic_fetch_add(&w->segments, 1);
	}
	return r;
}

static void state_fill(const struct segment_file *f, const struct counters *c, struct wire_segment_state *out)
{
	*out = (struct wire_segment_state){.lane = f->lane,
	        .number = f->number,
	        .frames = f->frames,
	        .bytes = f->bytes,
	        .packets = f->packets,
	        .counters = *c};
	segment_file_root(f, out->root);
}

static void seal(struct writer *w, uint32_t lane)
{
	struct writer_lane *l = w->lane[lane];
	struct segment_file *f = l->file;
	struct notary_job *job;
	int r;

	unrecorded_give(&l->unrecorded, lane, w->place->notary);
	r = f && !l->failed ? segment_file_finish(f, real_ns(), &l->counters) : -EIO;
	if (r < 0) {
		if (f && !l->failed)
			disk_failed(w, l, r);
		segment_file_free(f);
		l->file = NULL;
		release_held(w, l);
		return;
	}
	release_held(w, l);
	job = notary_job_take(w->place->notary);
	if (!job)
		return;
	job->kind = NOTARY_SEAL;
	job->fd_count = 1;
	job->fd[0] = f->fd;
	state_fill(f, &l->counters, &job->seal.state);
	digest_peek(f->digest, job->seal.sha256);
	job->seal.ts_min = f->packets ? f->ts_min : 0;
	job->seal.ts_max = f->packets ? f->ts_max : 0;
	notary_job_give(w->place->notary, job);
	f->fd = -1; /* transferred */
	segment_file_free(f);
	l->file = NULL;
	l->owing = false;
}

// The end of a lane on a full disk. Sealers may have begun segments ahead, and the last segment's counters must cover
// all that was received: each is made and sealed without packets, in the space that the one before has given back.
static void seal_rest(struct writer *w, uint32_t lane)
{
	struct writer_lane *l = w->lane[lane];
	uint32_t begun;

	if (l->file)
		seal(w, lane);
	if (l->failed || segment_table_begun(w->recorder->segments, lane, l->owing ? l->next_number : 0, &begun) < 0)
		return;
	while (l->next_number < begun && !l->failed) {
		int r = file_open(w, l, lane, l->next_number);

		if (r < 0) {
			fprintf(stderr, "sealtap: segment %u of lane %u stays without an end: %s\n", l->next_number,
			        lane, strerror(-r));
			return;
		}
		seal(w, lane);
	}
}

static int put_block(struct writer *w, struct writer_lane *l, const struct block *b, const struct result *result)
{
	int r = l->file ? 0 : file_open(w, l, b->lane, b->segment);

	if (r == 0 && block_packets(b) > 0)
		r = segment_file_append(l->file, result->frame, result->bytes, result->root);
	return r;
}

// The next block of a lane, in order. Its counters become the lane's.
static void write_block(struct writer *w, uint32_t id)
{
	struct pending *p = &w->pending[id];
	struct recorder *rec = w->recorder;
	struct channel *ch = channel_of(rec, p->rx, p->sealer);
	const struct result *result = &ch->slot[p->slot];
	struct block *b = &rec->pool.block[id];
	struct pool_lane *shared = &rec->pool.shared->lane[b->lane];
	struct writer_lane *l = w->lane[b->lane];
	uint64_t recorded = l->counters.recorded, disk = l->counters.dropped[DROP_DISK], removals;
	uint32_t packets = block_packets(b);
	int r;

	if (!l->started)
		l->next_number = b->segment;
	l->owing = true;
	if (packets > 0 && result->bytes == 0)
		w->full = true; // no segment for it was begun any more: the notary could not sync
	// Under a retention policy the oldest segments go before this block is lost.
	do {
		removals = atomic_load(&w->place->retention.removals);
		r = w->full ? 0 : put_block(w, l, b, result);
	} while (r == -ENOSPC && notary_make_room(w->place->notary, removals));
	if (r < 0)
		disk_failed(w, l, r);
	if (packets > 0 && (r < 0 || w->full)) {
		disk += packets;
	} else if (packets > 0) {
		p->recorded = true;
		p->frame = (uint32_t)l->file->frames - 1;
		l->file->packets += packets;
		if (b->ts_min < l->file->ts_min)
			l->file->ts_min = b->ts_min;
		if (b->ts_max > l->file->ts_max)
			l->file->ts_max = b->ts_max;
		recorded += packets;
	}
	l->counters = b->counters;
	l->counters.recorded = recorded;
	l->counters.dropped[DROP_DISK] = disk;
	shared->recorded = recorded;
	shared->dropped_disk = disk;
	unrecorded_note(&l->unrecorded, &l->counters, b);
	show(w, l, b);
	atomic_store(&w->stored, atomic_load(&w->stored) + (w->full ? 0 : result->bytes));

	ring_push(&ch->spare, p->slot); // room for every slot
	doorbell_ring(&rec->sealer[p->sealer].bell);
	p->next = BLOCK_NONE;
	// A live block waits in the pool until its frame is in the file: a successor could adopt it. A file can be read
	// again.
	p->end = l->file && !w->full && rec->job->kind == JOB_CAPTURE ? l->file->bytes : 0;
	if (l->held == BLOCK_NONE)
		l->held = id;
	else
		w->pending[l->held_last].next = id;
	l->held_last = id;
	w->held_count++;
	release_held(w, l);
}

// Sorted into the lane's list; nearly always at its end.
static void receive(struct writer *w, unsigned rx, unsigned sealer, uint32_t slot)
{
	struct channel *ch = channel_of(w->recorder, rx, sealer);
	uint32_t id = ch->slot[slot].block, *at;
	const struct block *block = w->recorder->pool.block;
	struct writer_lane *l = lane_get(w, block[id].lane);

	if (!l) {
		recorder_stop(w->recorder, STOP_FAILED);
		return;
	}
	w->pending[id] = (struct pending){.next = BLOCK_NONE, .rx = rx, .sealer = sealer, .slot = slot};
	for (at = &l->waiting; *at != BLOCK_NONE && block[*at].seq < block[id].seq; at = &w->pending[*at].next)
		;
	w->pending[id].next = *at;
	*at = id;
	while (l->waiting != BLOCK_NONE && block[l->waiting].seq == l->next_seq) {
		uint32_t now = l->waiting, lane = block[now].lane, flags = block[now].flags;

		l->waiting = w->pending[now].next;
		l->next_seq++;
		write_block(w, now);
		if (w->full && (flags & BLOCK_LANE_END))
			seal_rest(w, lane);
		else if (!w->full && (flags & BLOCK_SEGMENT_END))
			seal(w, lane);
	}
}

static bool drain(struct writer *w)
{
	struct recorder *r = w->recorder;
	bool any = false;

	for (unsigned rx = 0; rx < r->rx_count; rx++) {
		if (atomic_load(&r->rx[rx].place) != w->place->index)
			continue; // another writer's
		for (unsigned s = 0; s < r->sealer_count; s++) {
			uint32_t slot;

			while (ring_pop(&channel_of(r, rx, s)->out, &slot)) {
				receive(w, rx, s, slot);
				any = true;
			}
		}
	}
	return any;
}

static void flush_all(struct writer *w)
{
	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct writer_lane *l = w->lane[i];
		int r;

		if (!l || !l->file || l->failed)
			continue;
		r = segment_file_flush(l->file);
		if (r < 0)
			disk_failed(w, l, r);
		release_held(w, l);
	}
}

// What is in the files now goes to the notary: after its sync the keeper signs it.
static void give_progress(struct writer *w)
{
	struct notary_job *job = NULL;

	for (uint32_t i = 0; i < w->lane_count; i++) {
		struct writer_lane *l = w->lane[i];

		if (!l)
			continue;
		unrecorded_give(&l->unrecorded, i, w->place->notary);
		if (!l->file || l->failed || l->file->bytes == l->progress_bytes)
			continue;
		if (!job) {
			job = notary_job_take(w->place->notary);
			if (!job)
				return;
			job->kind = NOTARY_PROGRESS;
		}
		l->progress_bytes = l->file->bytes;
		job->fd[job->fd_count++] = l->file->fd;
		state_fill(l->file, &l->counters, &job->progress.segment[job->progress.count++]);
		if (job->progress.count == WIRE_PROGRESS_SEGMENTS) {
			notary_job_give(w->place->notary, job);
			job = NULL;
		}
	}
	if (job)
		notary_job_give(w->place->notary, job);
}

// Whether nothing that was received is on its way to a segment of this disk.
static bool quiet(const struct writer *w)
{
	const struct recorder *r = w->recorder;
	const struct pool_shared *shared = r->pool.shared;
	uint32_t lanes = atomic_load(&shared->lane_count);

	for (uint32_t i = w->place->index; i < lanes; i += r->place_count) {
		const struct writer_lane *l = w->lane[i];
		uint64_t published = __atomic_load_n(&shared->lane[i].next_seq, __ATOMIC_RELAXED);

		if (l ? l->next_seq != published || l->held != BLOCK_NONE : published != 0)
			return false;
	}
	return true;
}

// When that is so of all disks, what comes will be newer than what the kernel and RX hold back. The inspector then ends
// what has been idle, also on a silent wire. The other writers said so within the flush interval, or not at all.
static void tick(struct writer *w, uint64_t now)
{
	const struct recorder *r = w->recorder;

	atomic_store(&w->quiet_ns, quiet(w) ? now : 0);
	if (w->place->index != 0)
		return;
	for (unsigned i = 0; i < r->place_count; i++) {
		uint64_t said = atomic_load(&r->place[i].writer->quiet_ns);

		if (said == 0 || (int64_t)(now - said) > (int64_t)(r->job->flush_ms * 1000000ULL))
			return;
	}
	lender_tick(r->lender, real_ns() - TICK_BEHIND_NS - r->job->flush_ms * 1000000ULL);
}

// The disk's reserve is reached, or it did not sync: it takes no more while others go on. When the recording ends with
// it, what has arrived is still written.
static void give_up(struct writer *w)
{
	struct recorder *r = w->recorder;

	if (w->full || !atomic_load(&w->place->lost) || atomic_load(&w->place->ends))
		return;
	w->full = true;
	segment_table_stop(r->segments, w->place->index, false);
}

void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct recorder *r = w->recorder;
	// The kernel keeps a frame for an eighth of the interval, RX for an eighth and at most as long again until it
	// looks: with half of it here there is an eighth for sealing.
	uint64_t interval = r->job->flush_ms * 1000000ULL / 2, next = monotonic_ns() + interval;

	cores_enter(r, "writer", r->place_count > 1 ? (int)w->place->index : -1, NULL, false);
	for (;;) {
		uint32_t seen = doorbell_read(&w->bell);
		bool last = atomic_load(&r->sealers_gone);
		bool any = drain(w);
		uint64_t now = monotonic_ns();
		int wait_ms;

		give_up(w);
		take_back(w);
		if (now >= next) {
			flush_all(w);
			give_progress(w);
			if (r->lender && r->job->kind == JOB_CAPTURE)
				tick(w, now);
			next = now + interval;
		} else if (!any && w->held_count > r->pool.blocks / 4) {
			flush_all(w); // nothing to do, and blocks are getting scarce
		}
		if (any)
			continue;
		if (last)
			break;
		wait_ms = (int)((next - now) / 1000000) + 1;
		if (wait_ms > LOAN_LOOK_MS && r->lender && lender_has_loans(r->lender))
			wait_ms = LOAN_LOOK_MS; // nobody rings when a loan is over
		doorbell_wait(&w->bell, seen, wait_ms);
	}
	give_progress(w);
	return NULL;
}

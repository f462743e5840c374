// SPDX-License-Identifier: Apache-2.0
// What a recorder that died has left behind: segments without an end and blocks that never reached the disk. Its
// successor completes the segments before it starts threads of its own. Everything taken over is checked as outside
// bytes are, for the process that wrote it may have died of them.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/segment_blocks.h"
#include "sensor/evidence/reader/zstd_frame.h"
#include "sensor/recorder/clock.h"
#include "sensor/recorder/recorder.h"
#include "sensor/recorder/segment_file.h"

struct adoption {
	struct recorder *recorder;
	struct stages stages;
	struct commit *commit;
	ZSTD_CCtx *zc;
	ZSTD_DCtx *zd;
	uint8_t *stored; // FRAME_STORED_MAX
	uint8_t *raw;    // FRAME_RAW_MAX
	uint64_t frames; // found in files
	uint64_t blocks; // carried over from memory
	uint64_t packets;
};

// A segment as far as its file is whole.
struct found {
	uint64_t bytes;
	uint64_t frames;
	uint64_t packets;
	uint64_t ts_min;
	uint64_t ts_max;
	struct digest *digest;
	struct merkle roots;
};

static int commit_frame(struct adoption *a, const struct commit_segment *segment, const uint8_t *data, uint32_t len,
        struct found *f, uint8_t root[DIGEST_LEN])
{
	struct cursor c = cursor_make(data, len);
	struct segment_packet p;
	const char *reason;
	int more, r = commit_begin(a->commit, segment, f->packets);

	while (r == 0 && (more = segment_packet_next(&c, &p, &reason)) != 0) {
		if (more < 0)
			return more;
		r = commit_add(a->commit, &p.packet);
		f->packets++;
		if (p.packet.ts_ns < f->ts_min)
			f->ts_min = p.packet.ts_ns;
		if (p.packet.ts_ns > f->ts_max)
			f->ts_max = p.packet.ts_ns;
	}
	return r < 0 ? r : commit_end(a->commit, root);
}

// One frame at f->bytes: 1 when it is whole and counted, 0 when nothing whole is left.
static int scan_frame(
        struct adoption *a, int fd, const struct commit_segment *segment, const struct pool_lane *lane, struct found *f)
{
	const struct segment_interface interface = {lane->interface, lane->linktype, lane->snaplen};
	struct found after = *f;
	struct zstd_frame frame;
	struct zstd_need need;
	uint8_t root[DIGEST_LEN];
	const char *reason;
	ssize_t n = pread(fd, a->stored, FRAME_STORED_MAX, (off_t)f->bytes);
	int r;

	if (n < 0)
		return -errno;
	if (zstd_frame_parse(a->stored, (size_t)n, &frame, &need) < 0 ||
	        zstd_frame_decompress(a->zd, a->stored, &frame, a->raw, &reason) < 0)
		return 0;
	if (f->frames == 0) {
		if (segment_head_check(a->raw, frame.content, &interface, &reason) < 0)
			return 0;
		digest_once("", 0, root);
	} else {
		if (segment_frame_kind(a->raw, frame.content) != FRAME_PACKETS)
			return 0; // the last frame is written anew
		r = commit_frame(a, segment, a->raw, frame.content, &after, root);
		if (r == -EBADMSG)
			return 0;
		if (r < 0)
			return r;
	}
	digest_update(f->digest, a->stored, frame.stored);
	merkle_append(&after.roots, root, DIGEST_LEN);
	after.bytes += frame.stored;
	after.frames++;
	*f = after;
	return 1;
}

// Reads the file up to its last whole frame and holds it against what the ledger has signed about it.
static int scan_file(struct adoption *a, int fd, const struct commit_segment *segment, const struct pool_lane *lane,
        const struct wire_segment_state *progress, struct found *f)
{
	uint8_t root[DIGEST_LEN];
	bool agrees = progress->frames == 0;
	int r;

	while ((r = scan_frame(a, fd, segment, lane, f)) == 1) {
		if (f->frames != progress->frames)
			continue;
		merkle_root(&f->roots, root);
		agrees = f->bytes == progress->bytes && f->packets == progress->packets &&
		         memcmp(root, progress->root, DIGEST_LEN) == 0;
	}
	if (r < 0)
		return r;
	return agrees ? 0 : -EBADMSG;
}

static int open_segment(struct adoption *a, const struct wire_adopt *is, const struct commit_segment *segment,
        const struct pool_lane *lane, struct segment_file **ret_file)
{
	const struct segment_info info = {(uint16_t)lane->linktype, lane->snaplen, lane->interface};
	struct found f = {.ts_min = UINT64_MAX, .digest = digest_new()};
	const int dir_fd = place_of(a->recorder, segment->lane)->fd;
	char path[64];
	int fd, r;

	snprintf(path, sizeof(path), "%u/%08u.pcapng.zst", segment->lane, is->begin.number);
	if (!f.digest)
		return -ENOMEM;
	fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		digest_free(f.digest);
		return r == -ENOENT && is->progress.frames == 0 ? segment_file_create(dir_fd, segment->lane,
		                                                          is->begin.number, &info, &a->stages, ret_file)
		                                                : r;
	}
	merkle_init(&f.roots);
	r = scan_file(a, fd, segment, lane, &is->progress, &f);
	close(fd);
	if (r == 0 && f.frames == 0) { // not even frame 0 was whole
		unlinkat(dir_fd, path, 0);
		digest_free(f.digest);
		return segment_file_create(dir_fd, segment->lane, is->begin.number, &info, &a->stages, ret_file);
	}
	if (r == 0)
		r = segment_file_resume(dir_fd, segment->lane, is->begin.number, f.bytes, &a->stages, ret_file);
	if (r < 0) {
		digest_free(f.digest);
		return r;
	}
	digest_free((*ret_file)->digest);
	(*ret_file)->digest = f.digest; /* transferred */
	(*ret_file)->roots = f.roots;
	(*ret_file)->frames = f.frames;
	(*ret_file)->packets = f.packets;
	(*ret_file)->ts_min = f.ts_min;
	(*ret_file)->ts_max = f.ts_max;
	a->frames += f.frames;
	return 0;
}

static int by_seq(const void *left, const void *right, void *blocks)
{
	const struct block *b = blocks;
	uint64_t l = b[*(const uint32_t *)left].seq, r = b[*(const uint32_t *)right].seq;

	return l < r ? -1 : l > r;
}

// Blocks of the lane that hold packets, oldest first. Returns their number.
static uint32_t blocks_of(const struct pool *pool, uint32_t lane, uint32_t *ids)
{
	uint32_t count = 0;

	for (uint32_t id = 0; id < pool->blocks; id++) {
		const struct block *b = &pool->block[id];
		uint32_t state = atomic_load(&b->state);

		if ((state == BLOCK_FILLING || state == BLOCK_PUBLISHED) && b->lane == lane && block_packets(b) > 0 &&
		        block_bytes(b) <= BLOCK_BYTES)
			ids[count++] = id;
	}
	qsort_r(ids, count, sizeof(*ids), by_seq, pool->block);
	return count;
}

// A block from memory becomes the segment's next frame, if every one of its packets is well-formed.
static int append_block(struct adoption *a, const struct commit_segment *segment, uint32_t id, struct segment_file *f)
{
	struct pool *pool = &a->recorder->pool;
	struct block *b = &pool->block[id];
	struct found now = {.packets = f->packets, .ts_min = f->ts_min, .ts_max = f->ts_max};
	uint32_t bytes = block_bytes(b);
	uint8_t root[DIGEST_LEN];
	size_t n;
	int r;

	// A copy: what was checked is what is compressed.
	memcpy(a->raw, pool_data(pool, id), bytes);
	r = commit_frame(a, segment, a->raw, bytes, &now, root);
	if (r < 0)
		return r;
	n = ZSTD_compress2(a->zc, a->stored, FRAME_STORED_MAX, a->raw, bytes);
	if (ZSTD_isError(n))
		return -EIO;
	r = segment_file_append(f, a->stored, (uint32_t)n, root);
	if (r < 0)
		return r;
	a->blocks++;
	a->packets += now.packets - f->packets;
	f->packets = now.packets;
	f->ts_min = now.ts_min;
	f->ts_max = now.ts_max;
	atomic_store(&b->state, BLOCK_FREE);
	return 0;
}

static uint64_t law_sum(const struct counters *c)
{
	uint64_t sum = c->recorded + c->filtered + c->out_of_scope + c->shunted;

	for (int i = 0; i < DROP_CAUSES; i++)
		sum += c->dropped[i];
	return sum;
}

// The lane's counters at the end of an adopted segment. For the last one: what RX had counted; a frame that it had
// counted and not yet appended is named as lost in the crash. For an earlier one: what was signed, plus its packets.
static void counters_at_end(
        const struct wire_adopt *is, const struct pool_lane *lane, uint64_t packets, bool last, struct counters *out)
{
	struct counters c = last ? lane->rx : is->progress.frames ? is->progress.counters : is->counters_begin;

	c.recorded = is->counters_begin.recorded + packets;
	if (last) {
		c.dropped[DROP_DISK] = lane->dropped_disk;
		if (c.received >= law_sum(&c))
			c.dropped[DROP_CRASH] += c.received - law_sum(&c);
	}
	c.received = law_sum(&c);
	*out = c;
}

// Losses that the dead recorder had counted and not stated, and those of its death.
static int state_losses(struct adoption *a, const struct wire_adopt *is, const struct pool_lane *lane, uint32_t id,
        const struct counters *end, uint64_t ts_max)
{
	for (unsigned i = 0; i < DROP_CAUSES; i++) {
		struct wire_loss loss = {.lane = id, .cause = i, .frames = end->dropped[i] - is->losses[i]};
		union wire_message answer;
		int r;

		if (end->dropped[i] <= is->losses[i])
			continue;
		loss.t_first = lane->loss[i].t_first ? lane->loss[i].t_first : ts_max;
		loss.t_last = i == DROP_CRASH || !lane->loss[i].t_last ? real_ns() : lane->loss[i].t_last;
		r = keeper_call(a->recorder, WIRE_LOSS, &loss, sizeof(loss), sizeof(answer.plain), &answer);
		if (r < 0)
			return r;
	}
	return 0;
}

// Likewise what it had shunted.
static int state_shunted(struct adoption *a, const struct wire_adopt *is, const struct pool_lane *lane, uint32_t id,
        const struct counters *end, uint64_t ts_max)
{
	const struct block_shunt *s = &lane->shunt;
	struct wire_shunt said = {.lane = id,
	        .frames = end->shunted - is->shunted,
	        .bytes = s->bytes - is->shunted_bytes,
	        .t_first = s->t_first ? s->t_first : ts_max,
	        .t_last = s->t_last};
	union wire_message answer;

	if (end->shunted <= is->shunted)
		return 0;
	return keeper_call(a->recorder, WIRE_SHUNT, &said, sizeof(said), sizeof(answer.plain), &answer);
}

static int seal_adopted(
        struct adoption *a, const struct wire_adopt *is, struct pool_lane *lane, bool last, struct segment_file *f)
{
	struct wire_seal seal = {.adopted = 1};
	union wire_message answer;
	int r;

	counters_at_end(is, lane, f->packets, last, &seal.state.counters);
	if (last) {
		uint64_t ts_max = f->packets ? f->ts_max : real_ns();

		r = state_losses(a, is, lane, f->lane, &seal.state.counters, ts_max);
		if (r == 0)
			r = state_shunted(a, is, lane, f->lane, &seal.state.counters, ts_max);
		if (r < 0)
			return r;
		lane->rx = seal.state.counters;
		lane->rx.recorded = 0;
		lane->rx.dropped[DROP_DISK] = 0;
		lane->recorded = seal.state.counters.recorded;
	}
	r = segment_file_finish(f, real_ns(), &seal.state.counters);
	if (r == 0 && fdatasync(f->fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	seal.state.lane = f->lane;
	seal.state.number = f->number;
	seal.state.frames = f->frames;
	seal.state.bytes = f->bytes;
	seal.state.packets = f->packets;
	segment_file_root(f, seal.state.root);
	digest_peek(f->digest, seal.sha256);
	seal.ts_min = f->packets ? f->ts_min : 0;
	seal.ts_max = f->packets ? f->ts_max : 0;
	return keeper_call(a->recorder, WIRE_SEAL, &seal, sizeof(seal), sizeof(answer.plain), &answer);
}

static int adopt_segment(struct adoption *a, const struct wire_adopt *is, uint32_t lane_id, bool last)
{
	struct pool *pool = &a->recorder->pool;
	struct pool_lane *lane = &pool->shared->lane[lane_id];
	struct commit_segment segment = {.lane = lane_id, .linktype = lane->linktype};
	uint32_t *ids = calloc(pool->blocks, sizeof(*ids)), count;
	struct segment_file *f = NULL;
	int r;

	if (!ids)
		return -ENOMEM;
	segment_id(is->secret.recording_id, lane_id, is->begin.number, segment.id);
	memcpy(segment.salt_key, is->secret.salt_key, DIGEST_LEN);
	r = open_segment(a, is, &segment, lane, &f);
	count = r == 0 ? blocks_of(pool, lane_id, ids) : 0;
	for (uint32_t i = 0; i < count && r == 0; i++) {
		const struct block *b = &pool->block[ids[i]];

		if (b->segment > is->begin.number && !last)
			continue;
		// Its frame is in the file already: the writer had not yet given the block back.
		if (b->segment < is->begin.number || (b->segment == is->begin.number && b->first_packet < f->packets)) {
			atomic_store(&pool->block[ids[i]].state, BLOCK_FREE);
			continue;
		}
		r = append_block(a, &segment, ids[i], f);
		if (r == -EBADMSG)
			r = 0; // the block that the recorder died of: its packets are counted as lost in the crash
	}
	if (r == 0)
		r = seal_adopted(a, is, lane, last, f);
	segment_file_free(f);
	free(ids);
	return r;
}

static int ask(struct recorder *r, uint32_t lane, union wire_message *answer)
{
	struct wire_plain request = {.number = lane};

	return keeper_call(r, WIRE_ADOPT, &request, sizeof(request), sizeof(answer->adopt), answer);
}

// The sum is written after its terms, and the recorder can have died between.
static void add_xdp_losses(struct counters *c)
{
	if (c->driver_mask & COUNTERS_XDP)
		c->driver_dropped = c->xsk[XSK_NO_SOCKET] + c->xsk[XSK_DROPPED] + c->xsk[XSK_RING_FULL];
}

// A frame that the dead recorder had counted and not yet put into a block, in a lane that has nothing open: lost in the
// crash, and stated with the lane's next block.
static void name_in_hand(struct pool_lane *lane)
{
	struct counters c = lane->rx;

	c.recorded = lane->recorded;
	c.dropped[DROP_DISK] = lane->dropped_disk;
	if (c.received <= law_sum(&c))
		return;
	lane->rx.dropped[DROP_CRASH] += c.received - law_sum(&c);
	lane->loss[DROP_CRASH] = (struct block_loss){real_ns(), real_ns()};
}

// All that a lane has open; and when it has blocks but nothing open, a segment for them.
static int adopt_lane(struct adoption *a, uint32_t id)
{
	struct recorder *rec = a->recorder;
	struct pool_lane *lane = &rec->pool.shared->lane[id];
	uint32_t *ids = calloc(rec->pool.blocks, sizeof(*ids)), left;
	union wire_message m;
	int r;

	if (!ids)
		return -ENOMEM;
	add_xdp_losses(&lane->rx);
	while ((r = ask(rec, id, &m)) == 0 && m.adopt.open) {
		r = adopt_segment(a, &m.adopt, id, m.adopt.last);
		if (r < 0)
			goto out;
	}
	if (r < 0)
		goto out;
	segment_table_resume(rec->segments, id, m.adopt.next_number);
	left = blocks_of(&rec->pool, id, ids);
	if (left > 0) {
		struct commit_segment begun;

		r = segment_table_get(rec->segments, id, m.adopt.next_number, &begun);
		if (r == 0)
			r = ask(rec, id, &m);
		if (r == 0)
			r = adopt_segment(a, &m.adopt, id, true);
		segment_table_ended(rec->segments, id, m.adopt.begin.number);
	}
	if (r == 0)
		r = ask(rec, id, &m);
	if (r == 0) {
		lane->segment = m.adopt.next_number;
		lane->next_seq = 0;
		memcpy(lane->losses, m.adopt.losses, sizeof(lane->losses));
		lane->recorded = m.adopt.counters_begin.recorded;
		memset(lane->loss, 0, sizeof(lane->loss));
		lane->shunted = m.adopt.shunted;
		lane->shunted_bytes = m.adopt.shunted_bytes;
		if (lane->rx.shunted > lane->shunted && !lane->shunt.t_first)
			lane->shunt.t_first = lane->shunt.t_last;
		name_in_hand(lane);
	}
out:
	free(ids);
	return r;
}

int adopt(struct recorder *rec, struct error *e)
{
	struct adoption a = {.recorder = rec};
	uint32_t lanes = atomic_load(&rec->pool.shared->lane_count);
	int r = stages_init(&a.stages);

	a.stored = malloc(FRAME_STORED_MAX);
	a.raw = malloc(FRAME_RAW_MAX);
	a.zc = ZSTD_createCCtx();
	a.zd = ZSTD_createDCtx();
	if (r < 0 || !a.stored || !a.raw || !a.zc || !a.zd || commit_new(&a.commit) < 0) {
		r = error_set(e, -ENOMEM, "out of memory");
		goto out;
	}
	ZSTD_CCtx_setParameter(a.zc, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(a.zc, ZSTD_c_compressionLevel, rec->job->level);
	for (uint32_t id = 0; id < lanes && r == 0; id++)
		r = adopt_lane(&a, id);
	if (r < 0) {
		r = error_set(e, r, "what the recorder before left behind cannot be completed: %s", strerror(-r));
		goto out;
	}
	for (uint32_t id = 0; id < rec->pool.blocks; id++)
		atomic_store(&rec->pool.block[id].state, BLOCK_FREE);
	keeper_incident(rec, "adopted", "%llu frames in files, %llu blocks with %llu packets from memory",
	        (unsigned long long)a.frames, (unsigned long long)a.blocks, (unsigned long long)a.packets);
	keeper_incident(rec, "recorder-resumed", "recorder %u", rec->pool.shared->generation + 1);
out:
	commit_free(a.commit);
	ZSTD_freeCCtx(a.zc);
	ZSTD_freeDCtx(a.zd);
	free(a.stored);
	free(a.raw);
	stages_free(&a.stages);
	return r;
}

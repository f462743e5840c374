// SPDX-License-Identifier: Apache-2.0
// Sealer thread: commits to the packets of any block of any lane and compresses it to one zstd frame. It reads blocks
// and writes only into its own result slots; the block stays as it is until the writer has its frame on the disk.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "sensor/recorder/recorder.h"

#define AHEAD 2048u
#define SAMPLE_BYTES 16384u

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

// The block's EPBs were written by this process, or validated by adopt.c.
static int commit_block(struct commit *c, const struct commit_segment *segment, const struct block *b,
        const uint8_t *data, uint8_t root[DIGEST_LEN])
{
	uint32_t bytes = block_bytes(b);
	int r = commit_begin(c, segment, b->first_packet);

	for (uint32_t at = 0; at < bytes && r == 0;) {
		uint32_t total = get32(data + at + 4), caplen = get32(data + at + 20);
		struct commit_packet p = {
		        .data = data + at + EPB_FIXED,
		        .ts_ns = (uint64_t)get32(data + at + 12) << 32 | get32(data + at + 16),
		        .caplen = caplen,
		        .origlen = get32(data + at + 24),
		        .flags = total == epb_bytes(caplen, 0) ? 0 : get32(data + at + total - 12),
		};

		// Headers lie a packet apart: too far for the processor to see the pattern, and each would be a miss
		// (measured: 60 ns per packet).
		for (uint32_t ahead = 0; ahead < total; ahead += 64)
			__builtin_prefetch(data + at + AHEAD + ahead);
		r = commit_add(c, &p);
		at += total;
	}
	return r < 0 ? r : commit_end(c, root);
}

// Encrypted traffic does not compress, and trying costs as much as succeeding. After a block that gave nothing the next
// is tried on a sample first; when that gives nothing either, the block is stored: zstd's lowest level looks at little
// and makes raw blocks.
static bool gave_nothing(size_t compressed, size_t raw)
{
	return compressed > raw - raw / 50;
}

static int level_for(struct sealer *s, ZSTD_CCtx *z, const uint8_t *data, uint32_t bytes, uint8_t *scratch)
{
	int level = atomic_load_explicit(&s->recorder->level, memory_order_relaxed);
	size_t n;

	if (!s->dense || bytes < 4 * SAMPLE_BYTES)
		return level;
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level);
	n = ZSTD_compress2(z, scratch, RESULT_BYTES, data + bytes / 2, SAMPLE_BYTES);
	return !ZSTD_isError(n) && gave_nothing(n, SAMPLE_BYTES) ? ZSTD_minCLevel() : level;
}

static int seal_block(struct sealer *s, struct commit *c, ZSTD_CCtx *z, uint32_t id, struct result *out)
{
	struct recorder *r = s->recorder;
	const struct block *b = &r->pool.block[id];
	const uint8_t *data = pool_data(&r->pool, id);
	struct commit_segment segment;
	size_t n;
	int result;

	out->block = id;
	out->bytes = 0;
	result = segment_table_get(r->segments, b->lane, b->segment, &segment);
	if (result == -ENOSPC)
		return 0; // the disk takes no more: the writer counts it as dropped
	if (result < 0 || block_packets(b) == 0)
		return result;
	result = commit_block(c, &segment, b, data, out->root);
	if (result < 0)
		return result;
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level_for(s, z, data, block_bytes(b), out->frame));
	n = ZSTD_compress2(z, out->frame, RESULT_BYTES, data, block_bytes(b));
	if (ZSTD_isError(n))
		return -EIO;
	s->dense = gave_nothing(n, block_bytes(b));
	out->bytes = (uint32_t)n;
	return 0;
}

// Of an RX thread: a result slot, and a block that waits for its lane's next segment. BLOCK_NONE: none.
struct taken {
	uint32_t slot;
	uint32_t block;
};

// One block from any RX thread for which a result slot is free. When a lane is behind with its segments, because its
// disk is slow, the others go on.
static bool work(struct sealer *s, struct commit *c, ZSTD_CCtx *z, struct taken *taken)
{
	struct recorder *r = s->recorder;
	bool worked = false;

	for (unsigned i = 0; i < r->rx_count; i++) {
		struct channel *ch = channel_of(r, i, s->index);
		struct taken *t = &taken[i];
		const struct place *place;
		int result;

		if (t->slot == BLOCK_NONE && !ring_pop(&ch->spare, &t->slot))
			continue;
		if (t->block == BLOCK_NONE && !ring_pop(&ch->in, &t->block))
			continue;
		result = seal_block(s, c, z, t->block, &ch->slot[t->slot]);
		if (result == -EAGAIN)
			continue;
		worked = true;
		if (result < 0) {
			t->block = BLOCK_NONE;
			recorder_stop(r, STOP_FAILED);
			continue;
		}
		place = place_of(r, r->pool.block[t->block].lane); // once pushed, the block is the writer's
		if (!ring_push(&ch->out, t->slot))
			abort(); // the ring has room for every slot
		doorbell_ring(writer_bell(place->writer));
		*t = (struct taken){BLOCK_NONE, BLOCK_NONE};
	}
	return worked;
}

void *sealer_main(void *arg)
{
	struct sealer *s = arg;
	struct recorder *r = s->recorder;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	struct taken *taken = malloc(r->rx_count * sizeof(*taken));
	struct commit *c = NULL;

	cores_enter(r, "sealer", (int)s->index, &s->placement, false);
	if (!z || !taken || commit_new(&c) < 0) {
		fprintf(stderr, "sealtap-recorder: no memory for a sealer\n");
		recorder_stop(r, STOP_FAILED);
		goto out;
	}
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 1);
	for (unsigned i = 0; i < r->rx_count; i++)
		taken[i] = (struct taken){BLOCK_NONE, BLOCK_NONE};
	for (;;) {
		uint32_t seen = doorbell_read(&s->bell);
		// Read before looking: what was published before rx_gone is found by this look.
		bool last = atomic_load(&r->rx_gone);

		if (work(s, c, z, taken))
			continue;
		if (last) {
			bool empty = true;

			for (unsigned i = 0; i < r->rx_count; i++)
				empty = empty && taken[i].block == BLOCK_NONE &&
				        ring_backlog(&channel_of(r, i, s->index)->in) == 0;
			if (empty || atomic_load(&r->stop) == STOP_FAILED)
				break;
		}
		doorbell_wait(&s->bell, seen, 100);
	}
out:
	free(taken);
	commit_free(c);
	ZSTD_freeCCtx(z);
	return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// Any bytes as a segment file: what the verifier does with frames must keep to its bounds and agree with itself.
// The first byte tells how: even, the rest is the file as stored; odd, it is a list of contents (le16 length, bytes)
// that are compressed here as section 3 prescribes, so that hostile blocks come behind good frames.
#include <errno.h>
#include <zstd.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/frame_pool.h"
#include "sensor/evidence/reader/limits.h"
#include "tests/fuzz/fuzz.h"

static struct ZSTD_DCtx_s *dctx;
static ZSTD_CCtx *cctx;
static struct commit *commit;
static uint8_t *content;

static const struct frame_segment segment = {
        .commit = {.linktype = 1},
        .interface = {.name = "eth0", .linktype = 1, .snaplen = 262144},
};

static void set_up(void)
{
	MUST(digest_init() == 0 && commit_new(&commit) == 0);
	dctx = ZSTD_createDCtx();
	cctx = ZSTD_createCCtx();
	content = malloc(FRAME_RAW_MAX);
	MUST(dctx && cctx && content);
	ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
}

static void check_packets(uint32_t len, const struct frame_result *result)
{
	struct cursor c = cursor_make(content, len);
	struct segment_packet p;
	const char *reason = NULL;
	uint64_t packets = 0, blocks = 0;
	int r;

	while ((r = segment_packet_next(&c, &p, &reason)) > 0) {
		MUST(p.packet.caplen <= CAPLEN_MAX && p.packet.data >= content);
		MUST(p.packet.data + p.packet.caplen <= content + len);
		MUST(p.packet.ts_ns >= result->ts_min && p.packet.ts_ns <= result->ts_max);
		packets++;
		blocks += p.block_len;
	}
	MUST(r == 0 && packets == result->packets && blocks == len);
}

static void read_file(const uint8_t *data, size_t size)
{
	uint64_t packets = 0;
	size_t at = 0;

	for (uint64_t index = 0;; index++) {
		struct frame_result result;
		struct zstd_frame frame;
		struct zstd_need need = {0};
		int r = zstd_frame_parse(data + at, size - at, &frame, &need);

		if (r < 0) {
			MUST(r == -ENODATA ? need.bytes > size - at || need.bytes == 0 : need.reason != NULL);
			return;
		}
		MUST(frame.stored > 0 && frame.stored <= size - at && frame.stored <= FRAME_STORED_MAX);
		MUST(frame.content > 0 && frame.content <= FRAME_RAW_MAX);
		if (frame_open(dctx, &segment, index, data + at, &frame, content, &result) < 0) {
			MUST(result.reason != NULL && result.packets == 0);
			return;
		}
		if (result.kind == FRAME_PACKETS)
			check_packets(frame.content, &result);
		MUST(frame_commit(commit, &segment, packets, content, frame.content, &result) == 0);
		packets += result.packets;
		at += frame.stored;
	}
}

static void compress_and_read(const uint8_t *data, size_t size)
{
	size_t room = ZSTD_compressBound(size) + 64 * (size / 2 + 1), used = 0;
	uint8_t *file = malloc(room);

	MUST(file);
	while (size >= 2) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8, n;

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		n = ZSTD_compress2(cctx, file + used, room - used, data, len);
		MUST(!ZSTD_isError(n));
		used += n;
		data += len;
		size -= len;
	}
	read_file(file, used);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!content)
		set_up();
	if (size == 0)
		return 0;
	if (data[0] & 1)
		compress_and_read(data + 1, size - 1);
	else
		read_file(data + 1, size - 1);
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Reads the files back with libzstd and a parser of its own. Main thread, after the run.
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/unit/pipeline_world.h"

struct read_lane {
	uint32_t source;
	uint32_t lane;
	uint64_t next; // number of the packet expected, or the least that may come when there are holes
	uint64_t packets;
};

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

// One EPB.
static void read_packet(struct read_lane *lane, const uint8_t *block, bool holes)
{
	static uint8_t expected[PACKET_MAX];
	uint64_t number = (uint64_t)word(block + 12) << 32 | word(block + 16);

	number -= 1; // ts_ns
	assert_true(holes ? number >= lane->next : number == lane->next);
	assert_int_equal(word(block + 20), packet_make(lane->source, lane->lane, number, expected));
	assert_int_equal(word(block + 24), word(block + 20));
	assert_memory_equal(block + 28, expected, word(block + 20));
	lane->next = number + 1;
	lane->packets++;
}

static void read_segment(uint32_t id, uint32_t number, struct read_lane *lane, bool holes)
{
	const struct told_segment *was = &told.lane[id].segment[number];
	static uint8_t raw[FRAME_RAW_MAX];
	uint8_t hash[SHA256_DIGEST_LENGTH], *data;
	uint64_t frames = 0, before = lane->packets;
	char path[128];
	struct stat st;
	int fd;

	if (disks.count > 1 && id % disks.count)
		snprintf(path, sizeof(path), "%s/disk%u/%u/%08u.pcapng.zst", disks.directory, id % disks.count, id,
		        number);
	else
		snprintf(path, sizeof(path), "%s/%u/%08u.pcapng.zst", disks.directory, id, number);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_true(was->sealed);
	assert_int_equal(st.st_size, was->seal.state.bytes);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	SHA256(data, (size_t)st.st_size, hash);
	assert_memory_equal(hash, was->seal.sha256, sizeof(hash));
	for (size_t at = 0; at < (size_t)st.st_size; frames++) {
		size_t stored = ZSTD_findFrameCompressedSize(data + at, (size_t)st.st_size - at), n;

		assert_false(ZSTD_isError(stored));
		n = ZSTD_decompress(raw, sizeof(raw), data + at, stored);
		assert_false(ZSTD_isError(n));
		for (size_t block = 0; block < n; block += word(raw + block + 4))
			if (word(raw + block) == 6)
				read_packet(lane, raw + block, holes);
		at += stored;
	}
	assert_int_equal(frames, was->seal.state.frames);
	assert_int_equal(lane->packets - before, was->seal.state.packets);
	free(data);
}

uint64_t read_lane_back(uint32_t id, bool holes)
{
	struct read_lane lane = {0};

	assert_int_equal(sscanf(told.lane[id].is.interface, "%u.%u", &lane.source, &lane.lane), 2);
	for (uint32_t number = 0; number < told.lane[id].sealed; number++)
		read_segment(id, number, &lane, holes);
	return lane.packets;
}

uint64_t read_back(bool holes)
{
	uint64_t all = 0;

	for (uint32_t id = 0; id < told.lane_count; id++) {
		const struct told_lane *was = &told.lane[id];
		const struct counters *end = told_end(id);
		uint64_t packets = read_lane_back(id, holes);

		assert_int_equal(was->sealed, was->begun);
		assert_int_equal(packets, end->recorded);
		for (int cause = 0; cause < DROP_CAUSES; cause++)
			assert_int_equal(was->losses[cause], end->dropped[cause]);
		all += packets;
	}
	return all;
}

// SPDX-License-Identifier: Apache-2.0
// Reads a pcapng stream of frames made by tests/netns/send_frames.c, compares every byte of every frame with what that
// program makes for its number, and prints the runs of numbers as `FIRST LAST` lines. Shares no code with sealtap.
// Usage: read_frames SEED SIZE_MIN SIZE_MAX < PCAPNG. Exit 1: a frame that was never sent, a second copy, a wrong
// order.
#include <stdbool.h>

#define main sender_main
#include "../netns/send_frames.c"
#undef main

#define BLOCK_MAX (1u << 20)

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static int wrong(const char *what, uint64_t number)
{
	fflush(stdout);
	fprintf(stderr, "read_frames: %s, near frame %llu\n", what, (unsigned long long)number);
	return 1;
}

int main(int argc, char **argv)
{
	struct plan plan = {.dst = {2, 0, 0, 0, 0, 1}};
	static uint8_t block[BLOCK_MAX], expected[FRAME_MAX];
	uint64_t first = 0, next = 0, number;
	bool any = false;

	if (argc != 4)
		return 2;
	plan.seed = strtoull(argv[1], NULL, 10);
	plan.size_min = strtoull(argv[2], NULL, 10);
	plan.size_max = strtoull(argv[3], NULL, 10);
	while (fread(block, 1, 8, stdin) == 8) {
		uint32_t total = word(block + 4), caplen;
		const uint8_t *frame = block + 28;

		if (total < 12 || total > BLOCK_MAX || fread(block + 8, 1, total - 8, stdin) != total - 8 ||
		        word(block + total - 4) != total)
			return wrong("a block is cut short", next);
		if (word(block) != 6)
			continue;
		caplen = word(block + 20);
		if (caplen < 22 || caplen > FRAME_MAX || total < 32 + caplen)
			return wrong("a frame of impossible length", next);
		number = 0;
		for (int i = 0; i < 8; i++)
			number = number << 8 | frame[14 + i];
		if (build_frame(&plan, number, expected) != caplen || memcmp(expected, frame, caplen) != 0)
			return wrong("a frame that was never sent", number);
		if (any && number < next)
			return wrong("a frame twice or out of order", number);
		if (any && number != next)
			printf("%llu %llu\n", (unsigned long long)first, (unsigned long long)next - 1);
		if (!any || number != next)
			first = number;
		any = true;
		next = number + 1;
	}
	if (any)
		printf("%llu %llu\n", (unsigned long long)first, (unsigned long long)next - 1);
	return 0;
}

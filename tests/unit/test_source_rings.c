// SPDX-License-Identifier: Apache-2.0
// The receiving halves of the afpacket and xdp drivers over rings that the test fills as the kernel would: what no
// virtual interface gives, such as frames with and without the NIC's time, and frames in pieces that are not all there.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sensor/sources/afpacket.h"
#ifdef HAVE_XDP
#include "sensor/sources/xdp.h"
#endif

#define NIC_NS 1700000000123456789ULL

static void test_afpacket_mixed_times(void **state)
{
	static struct afpacket_group group;
	static struct afpacket a = {.group = &group, .block_count = 1, .nic_time = true, .fd = -1};
	struct tpacket_block_desc *block = aligned_alloc(4096, AFPACKET_BLOCK_BYTES);
	struct tpacket3_hdr *first, *second;
	struct packet batch[8];

	assert_non_null(block);
	memset(block, 0, AFPACKET_BLOCK_BYTES);
	block->hdr.bh1.num_pkts = 2;
	block->hdr.bh1.offset_to_first_pkt = 256;
	block->hdr.bh1.block_status = TP_STATUS_USER;
	first = (struct tpacket3_hdr *)((uint8_t *)block + 256);
	second = (struct tpacket3_hdr *)((uint8_t *)block + 512);
	*first = (struct tpacket3_hdr){.tp_next_offset = 256,
	        .tp_sec = NIC_NS / 1000000000,
	        .tp_nsec = NIC_NS % 1000000000,
	        .tp_snaplen = 60,
	        .tp_len = 60,
	        .tp_status = TP_STATUS_USER | TP_STATUS_TS_RAW_HARDWARE,
	        .tp_mac = 128};
	*second = *first;
	second->tp_status = TP_STATUS_USER | TP_STATUS_TS_SOFTWARE;
	a.source.ops = &afpacket_ops;
	a.ring = (uint8_t *)block;
	assert_int_equal(afpacket_ops.recv(&a.source, batch, 8, 0), 2);
	assert_true(batch[0].ts_ns == NIC_NS);
	assert_true(a.source.kernel_times == 1);
	afpacket_ops.release(&a.source);
	free(block);
}

#ifdef HAVE_XDP
#define CHUNK 2048u
#define PLACES 8u
#define CONTD 1u

// One source over memory of the test: the RX ring holds what put() put there.
struct fake {
	struct xdp_source x;
	struct xdp_shared shared;
	uint32_t produced, consumed, fill_produced, fill_consumed, flags;
	struct xdp_desc rx[PLACES];
	uint64_t fill[PLACES];
	uint8_t memory[PLACES * CHUNK];
	uint8_t scratch[XDP_SCRATCH_BYTES];
};

static struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->x.source.ops = &xdp_ops;
	f->x.shared = &f->shared;
	f->x.memory = f->memory;
	f->x.chunk_bytes = CHUNK;
	f->x.snaplen = UINT32_MAX;
	f->x.scratch = f->scratch;
	f->x.fd = -1;
	f->x.rx = (struct xsk_ring_cons){.mask = PLACES - 1,
	        .size = PLACES,
	        .producer = &f->produced,
	        .consumer = &f->consumed,
	        .ring = f->rx,
	        .flags = &f->flags};
	f->x.fill = (struct xsk_ring_prod){.cached_cons = PLACES,
	        .mask = PLACES - 1,
	        .size = PLACES,
	        .producer = &f->fill_produced,
	        .consumer = &f->fill_consumed,
	        .ring = f->fill,
	        .flags = &f->flags};
	return f;
}

static void put(struct fake *f, uint32_t len, uint32_t options, const struct xdp_take_note *note)
{
	uint32_t i = f->produced;
	uint8_t *frame = f->memory + i * CHUNK + 256;

	memset(frame, (int)i + 1, len);
	if (note)
		memcpy(frame - sizeof(*note), note, sizeof(*note));
	f->rx[i] = (struct xdp_desc){.addr = i * CHUNK + 256, .len = len, .options = options};
	f->produced++;
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void test_xdp_mixed_times(void **state)
{
	struct fake *f = fake_new();
	struct xdp_take_note note = {.mono_ns = monotonic_ns(), .nic_ns = NIC_NS};
	struct packet batch[8];

	f->x.nic_time = true;
	put(f, 60, 0, &note);
	note.nic_ns = 0;
	put(f, 60, 0, &note);
	assert_int_equal(xdp_ops.recv(&f->x.source, batch, 8, 0), 2);
	assert_true(batch[0].ts_ns == NIC_NS);
	assert_true(batch[1].ts_ns == note.mono_ns + f->x.real_minus_mono_ns);
	assert_true(f->x.source.kernel_times == 1);
	xdp_ops.release(&f->x.source);
	free(f);
}

// A frame whose last piece is not there yet waits for the next batch, with its time; its chunks come back together.
static void test_xdp_pieces(void **state)
{
	struct fake *f = fake_new();
	struct xdp_take_note note = {.mono_ns = monotonic_ns() - 5000000000ULL};
	struct packet batch[8];

	put(f, 60, 0, &note);
	put(f, 1000, CONTD, &note);
	put(f, 1000, CONTD, NULL);
	assert_int_equal(xdp_ops.recv(&f->x.source, batch, 8, 0), 1);
	assert_int_equal(batch[0].caplen, 60);
	xdp_ops.release(&f->x.source);
	assert_int_equal(f->fill_produced, 1);
	put(f, 500, 0, NULL);
	assert_int_equal(xdp_ops.recv(&f->x.source, batch, 8, 0), 1);
	assert_int_equal(batch[0].caplen, 2500);
	assert_int_equal(batch[0].origlen, 2500);
	assert_true(batch[0].ts_ns == note.mono_ns + f->x.real_minus_mono_ns);
	assert_int_equal(batch[0].data[0], 2);
	assert_int_equal(batch[0].data[1000], 3);
	assert_int_equal(batch[0].data[2499], 4);
	xdp_ops.release(&f->x.source);
	assert_int_equal(f->fill_produced, 4);
	assert_int_equal(f->consumed, 4);
	assert_true(f->fill[3] == 3 * CHUNK);
	free(f);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_afpacket_mixed_times),
#ifdef HAVE_XDP
	        cmocka_unit_test(test_xdp_mixed_times),
	        cmocka_unit_test(test_xdp_pieces),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Gives the same frames to the XDP program of bpf/ (BPF_PROG_TEST_RUN, in this kernel), to the recorder's table, and to
// the decoder of analyzers/: program and table leave out the same ones, and what they take for a flow the decoder takes
// for the same one. Each frame comes as it is in the capture and with bytes changed and cut off.
// Usage: shunt_differential CUTOFF FILE...  Exit: 0, 1, or 77 where this process may not load the program.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "analyzers/flow_key.h"
#include "bpf/shunt.h"
#include "bpf/xdp_take.h"
#include "sealtap/source.h"
#include "sensor/recorder/shunt_table.h"
#include "xdp_take.skel.h"

#define LINKTYPE_ETHERNET 1
#define FLOWS (1u << 20) // nothing is forgotten
#define FRAME_MAX 3000u  // that a test run takes in one buffer
#define CHANGED 3u       // copies of each frame

struct counts {
	uint64_t frames, eligible, left_out, left_out_bytes, too_long, failed;
};

static struct xdp_take *program;
static struct shunt_table *table;
static uint64_t cutoff;
static struct counts counts;

static uint64_t random64(void)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void differ(const char *what, const uint8_t *data, uint32_t len)
{
	if (counts.failed++ >= 5)
		return;
	fprintf(stderr, "%s:", what);
	for (uint32_t i = 0; i < len && i < 100; i++)
		fprintf(stderr, " %02x", data[i]);
	fprintf(stderr, " (%u bytes)\n", len);
}

// A socket with a ring and bound to nothing: the program finds it in its map.
static int put_socket(void)
{
	int fd = socket(AF_XDP, SOCK_RAW, 0), entries = 64;
	uint32_t queue = 0;

	if (fd < 0 || setsockopt(fd, SOL_XDP, XDP_RX_RING, &entries, sizeof(entries)) < 0)
		return -errno;
	return bpf_map_update_elem(bpf_map__fd(program->maps.sockets), &queue, &fd, BPF_ANY);
}

static int load(void)
{
	int r;

	program = xdp_take__open();
	if (!program)
		return -errno;
	program->rodata->cutoff_bytes = cutoff;
	bpf_map__set_max_entries(program->maps.flows, FLOWS);
	bpf_map__set_max_entries(program->maps.named, 1);
	r = xdp_take__load(program);
	if (r == 0)
		r = put_socket();
	if (r == 0)
		program->bss->taking = 1;
	return r;
}

static bool program_leaves_out(const uint8_t *data, uint32_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = len, .repeat = 1);
	int r = bpf_prog_test_run_opts(bpf_program__fd(program->progs.xdp_take), &opts);

	if (r < 0 || (opts.retval != XDP_DROP && opts.retval != XDP_REDIRECT)) {
		fprintf(stderr, "test run of %u bytes: %s, verdict %u\n", len, r < 0 ? strerror(-r) : "done",
		        opts.retval);
		exit(1);
	}
	return opts.retval == XDP_DROP;
}

// As the recorder does it.
static bool table_leaves_out(const struct shunt_frame *frame, uint32_t len)
{
	struct timespec now;
	struct shunt_flow *flow;

	clock_gettime(CLOCK_MONOTONIC, &now);
	flow = &shunt_table_flow(table, frame, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec)->flow;
	if (shunt_beyond(flow, frame, cutoff))
		return true;
	flow->bytes += len;
	return false;
}

static bool decoder_agrees(const struct shunt_frame *frame, const uint8_t *data, uint32_t len)
{
	struct decoded d;
	struct flow_key key;
	bool swapped;

	decode_packet(LINKTYPE_ETHERNET, data, len, len, &d);
	if (d.end != DECODE_IP || d.count != 1 || d.flows[0].fragment || !d.flows[0].has_ports ||
	        d.flows[0].proto != frame->key.proto || d.flows[0].ip_version != frame->key.ip_version ||
	        (frame->key.proto == SHUNT_PROTO_TCP && d.flows[0].tcp_flags != frame->tcp_flags))
		return false;
	flow_key_make(&d.flows[0], &key);
	swapped = memcmp(frame->key.addr[0], key.addr[0], 16) != 0 || frame->key.port[0] != key.port[0];
	for (unsigned i = 0; i < 2; i++)
		if (memcmp(frame->key.addr[i], key.addr[swapped ? !i : i], 16) != 0 ||
		        frame->key.port[i] != key.port[swapped ? !i : i] || frame->key.vlan[i] != key.vlan[i])
			return false;
	return true;
}

static void compare(const uint8_t *data, uint32_t len)
{
	bool eligible, out = false, by_program;
	struct shunt_frame frame;

	if (len < 14 || len > FRAME_MAX) {
		counts.too_long += len > FRAME_MAX;
		return;
	}
	counts.frames++;
	eligible = shunt_read(data, data + len, 0, 0, &frame);
	if (eligible) {
		counts.eligible++;
		if (!decoder_agrees(&frame, data, len))
			differ("the decoder sees no such flow", data, len);
		out = table_leaves_out(&frame, len);
	}
	by_program = program_leaves_out(data, len);
	if (by_program != out)
		differ(by_program ? "only the program leaves out" : "only the recorder leaves out", data, len);
	counts.left_out += out;
	counts.left_out_bytes += out ? len : 0;
}

static void compare_packet(const uint8_t *data, uint32_t caplen)
{
	uint8_t copy[FRAME_MAX];

	compare(data, caplen);
	for (unsigned i = 0; i < CHANGED && caplen > 14 && caplen <= FRAME_MAX; i++) {
		uint32_t len = caplen;

		memcpy(copy, data, len);
		copy[12 + random64() % (len - 12 < 60 ? len - 12 : 60)] = (uint8_t)random64();
		if (i == 0)
			len = 14 + (uint32_t)(random64() % (len - 13 < 90 ? len - 13 : 90));
		compare(copy, len);
	}
}

static void compare_file(const char *path)
{
	struct source_file_config config = {.fd = open(path, O_RDONLY | O_CLOEXEC), .name = path, .extra_fd = -1};
	struct packet batch[64];
	struct source *s;
	struct error e;
	int n;

	if (config.fd < 0 || source_file_open(&config, &s, &e) < 0)
		return; // damaged ones are among them
	while ((n = s->ops->recv(s, batch, 64, 1000)) > 0) {
		for (int i = 0; i < n; i++)
			if (s->lanes[batch[i].lane].linktype == LINKTYPE_ETHERNET)
				compare_packet(batch[i].data, batch[i].caplen);
		s->ops->release(s);
	}
	s->ops->close(s);
}

int main(int argc, char **argv)
{
	const struct xdp_take_slot *slot;
	int r;

	if (argc < 3 || (cutoff = strtoull(argv[1], NULL, 10)) == 0)
		return 2;
	r = load();
	if (r < 0) {
		fprintf(stderr, "the program does not load: %s\n", strerror(-r));
		return r == -EPERM ? 77 : 1; // -EACCES is the verifier's word, and its log stands above
	}
	if (shunt_table_new(FLOWS, random64(), false, &table) < 0)
		return 1;
	for (int i = 2; i < argc; i++)
		compare_file(argv[i]);
	slot = &program->bss->slots[0];
	printf("frames=%llu eligible=%llu left_out=%llu too_long=%llu\n", (unsigned long long)counts.frames,
	        (unsigned long long)counts.eligible, (unsigned long long)counts.left_out,
	        (unsigned long long)counts.too_long);
	if (slot->shunted != counts.left_out || slot->shunted_bytes != counts.left_out_bytes ||
	        slot->redirected != counts.frames - counts.left_out) {
		fprintf(stderr, "the program counted %llu frames of %llu bytes\n", (unsigned long long)slot->shunted,
		        (unsigned long long)slot->shunted_bytes);
		counts.failed++;
	}
	shunt_table_free(table);
	xdp_take__destroy(program);
	return counts.failed > 0;
}

// SPDX-License-Identifier: Apache-2.0
// Any sequence of packets at any times in a small table: every packet is in exactly one record, no record ends before
// it begins, the table never holds more than it may. No record misses more payload than was acknowledged, and all of
// them together say what the totals say.
//
// Input: for each packet a command byte (low bits choose the template, a bit each for direction, TCP flags and time),
// then as many bytes as it says. TCP has a byte each for its two numbers: steps of 64 about the place where numbers
// begin anew, and in the two high bits jumps of 512 MiB.
#include "analyzers/flow_format.h"
#include "analyzers/flow_meter.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define FLOWS_MAX 24u

struct seen {
	uint64_t pkts, records;
	struct tcp_gap_stats gap;
};

static void take(void *user, const struct flow_record *r)
{
	struct seen *seen = user;
	json_t *o = flow_json(r);

	MUST(o != NULL);
	json_decref(o);
	MUST(r->end_ns >= r->start_ns);
	MUST(r->pkts[0] + r->pkts[1] > 0);
	MUST(r->segments_count > 0);
	seen->pkts += r->pkts[0] + r->pkts[1];
	seen->records++;
	for (unsigned d = 0; d < FLOW_DIRECTIONS; d++) {
		MUST(r->missed_bytes[d] <= r->acked_bytes[d] && r->gaps[d] <= r->missed_bytes[d]);
		MUST((r->gaps[d] > 0) == (r->missed_bytes[d] > 0) && (r->gaps[d] > 0) == (r->has_gaps >> d & 1));
		MUST(r->unseen_bytes[d] == 0 || (r->acked_bytes[d] == 0 && r->pkts[d] == 0));
		seen->gap.acked_bytes += r->acked_bytes[d];
		seen->gap.missed_bytes += r->missed_bytes[d];
		seen->gap.gaps += r->gaps[d];
		seen->gap.one_sided_bytes += r->unseen_bytes[d];
	}
}

struct input {
	const uint8_t *at, *end;
};

static uint8_t next(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void tcp_number(uint8_t head[4], uint8_t byte)
{
	const uint32_t n = UINT32_MAX - 2000 + (byte & 63u) * 64 + ((uint32_t)byte >> 6 << 29);

	for (unsigned i = 0; i < 4; i++)
		head[i] = (uint8_t)(n >> (24 - 8 * i));
}

// 10.0.0.x to 10.0.0.y, TCP or UDP or a fragment, or raw bytes.
static size_t make(struct input *in, uint8_t command, uint8_t packet[300])
{
	const uint8_t a = next(in), ports = next(in);
	size_t payload = next(in), len = 0;
	uint8_t head[40] = {
	        0x45, 0, 0, 0, 0, 7, 0, 0, 64, command & 1 ? 6 : 17, 0, 0, 10, 0, 0, a & 15, 10, 0, 0, a >> 4};

	if ((command & 1) && (command & 7) != 7) {
		tcp_number(head + 24, next(in));
		tcp_number(head + 28, next(in));
	}
	payload = payload < (size_t)(in->end - in->at) ? payload : (size_t)(in->end - in->at);
	if ((command & 7) == 7) { // as it is
		memcpy(packet, in->at, payload);
		in->at += payload;
		return payload;
	}
	if ((command & 6) == 4) // fragments, of two packets
		head[6] = ports & 0x20, head[7] = ports & 3, head[5] = ports >> 6;
	head[21] = ports & 7;
	head[23] = 53;
	len = command & 1 ? 40 : 28;
	if (command & 1) {
		head[32] = 0x50;
		head[33] = command >> 3;
	}
	head[3] = (uint8_t)(len + payload);
	head[2] = (uint8_t)((len + payload) >> 8);
	memcpy(packet, head, len);
	memcpy(packet + len, in->at, payload);
	in->at += payload;
	return len + payload;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {0};
	const struct flow_meter_config config = {.flows_max = FLOWS_MAX,
	        .seed = 1,
	        .idle_tcp_ns = 300000000000,
	        .idle_other_ns = 60000000000,
	        .close_ns = 5000000000,
	        .active_ns = 1800000000000,
	        .record = take,
	        .user = &seen};
	struct input in = {data, data + size};
	struct flow_meter_stats stats;
	struct flow_meter *m;
	uint64_t ts_ns = 1700000000000000000, decoded;

	MUST(flow_meter_new(&config, &m) == 0);
	for (unsigned n = 0; in.at < in.end && n < 2000; n++) {
		const uint8_t command = next(&in);
		uint8_t packet[300], when = next(&in);
		size_t len = make(&in, command, packet);
		struct metered_packet p = {.data = packet,
		        .caplen = (uint32_t)len,
		        .origlen = (uint32_t)len,
		        .linktype = 101,
		        .lane = command >> 5,
		        .segment = n / 16};

		ts_ns += when & 64 ? -(1ull << (when & 63)) : 1ull << (when & 63);
		p.ts_ns = ts_ns;
		flow_meter_packet(m, &p);
	}
	flow_meter_end(m);
	flow_meter_stats(m, &stats);
	decoded = stats.ip + stats.inner;
	MUST(stats.packets == stats.ip + stats.not_ip + stats.link_unknown + stats.malformed);
	MUST(seen.pkts == decoded && seen.records == stats.records);
	MUST(seen.gap.acked_bytes == stats.gap.acked_bytes && seen.gap.missed_bytes == stats.gap.missed_bytes);
	MUST(seen.gap.gaps == stats.gap.gaps && seen.gap.one_sided_bytes == stats.gap.one_sided_bytes);
	MUST(stats.table.now == 0 && stats.table.now_max <= FLOWS_MAX);
	flow_meter_free(m);
	return 0;
}

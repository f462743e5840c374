// SPDX-License-Identifier: Apache-2.0
// From packets to records: fragments find their flow in any order, names of fields are unique and documented, records
// become JSON and CSV that hold what they should. Community ids are compared with the published ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/community_id.h"
#include "analyzers/flow_format.h"
#include "analyzers/flow_meter.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define S 1000000000ull
#define START (1700000000 * S)

struct taken {
	struct flow_record records[16];
	unsigned count;
};

static void take(void *user, const struct flow_record *record)
{
	struct taken *t = user;

	assert_true(t->count < 16);
	t->records[t->count++] = *record;
}

static struct flow_meter *meter_new(struct taken *t)
{
	const struct flow_meter_config config = {.flows_max = 64, .record = take, .user = t};
	struct flow_meter *m;

	memset(t, 0, sizeof(*t));
	assert_int_equal(flow_meter_new(&config, &m), 0);
	return m;
}

static void send(struct flow_meter *m, const uint8_t *bytes, uint32_t len, uint64_t ts_ns, uint32_t lane)
{
	const struct metered_packet p = {
	        .data = bytes, .caplen = len, .origlen = len, .linktype = 101, .ts_ns = ts_ns, .lane = lane};

	flow_meter_packet(m, &p);
}

// A part of a UDP packet from 10.0.0.1:1000 to 10.0.0.2:53: 8 bytes at offset 8 * at.
static void send_fragment(struct flow_meter *m, uint16_t id, unsigned at, bool more, uint64_t ts_ns)
{
	uint8_t p[28] = {0x45, 0, 0, 28, (uint8_t)(id >> 8), (uint8_t)id, more ? 0x20 : 0, (uint8_t)at, 64, 17, 0, 0,
	        10, 0, 0, 1, 10, 0, 0, 2};

	if (at == 0) {
		p[20] = 1000 >> 8, p[21] = 1000 & 255;
		p[23] = 53;
		p[25] = 24;
	}
	send(m, p, sizeof(p), ts_ns, 0);
}

static void fragments_find_their_flow(void **state)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}};

	for (size_t i = 0; i < 4; i++) {
		struct taken t;
		struct flow_meter *m = meter_new(&t);

		for (unsigned k = 0; k < 3; k++)
			send_fragment(m, 7, orders[i][k], orders[i][k] < 2, START + k);
		flow_meter_end(m);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.records[0].src_port, 1000);
		assert_int_equal(t.records[0].pkts[0], 3);
		assert_int_equal(t.records[0].ip_bytes[0], 84);
		assert_int_equal(t.records[0].start_ns, START);
		assert_int_equal(t.records[0].end_ns, START + 2);
		flow_meter_free(m);
	}
}

static void fragments_without_a_first_are_a_flow_without_ports(void **state)
{
	struct flow_meter_stats stats;
	struct taken t;
	struct flow_meter *m = meter_new(&t);

	send_fragment(m, 7, 1, true, START);
	send_fragment(m, 7, 2, false, START + 1);
	send_fragment(m, 8, 0, true, START + 2);
	send_fragment(m, 7, 0, true, START + 100 * S); // an old number again
	flow_meter_end(m);
	flow_meter_stats(m, &stats);
	assert_int_equal(stats.fragments_lost, 2);
	assert_int_equal(stats.packets, 4);
	assert_int_equal(stats.ip, 4);
	assert_int_equal(t.count, 2);
	for (unsigned i = 0; i < t.count; i++)
		assert_int_equal(t.records[i].pkts[0], 2);
	assert_true((t.records[0].groups ^ t.records[1].groups) & FLOW_GROUP_PORTS);
	flow_meter_free(m);
}

static void many_fragments_lose_no_count(void **state)
{
	struct taken t;
	struct flow_meter *m = meter_new(&t);
	uint64_t pkts = 0;

	for (unsigned id = 0; id < 30000; id++)
		send_fragment(m, (uint16_t)id, 1 + id % 3, true, START + id);
	flow_meter_end(m);
	for (unsigned i = 0; i < t.count; i++)
		pkts += t.records[i].pkts[0];
	assert_int_equal(pkts, 30000);
	flow_meter_free(m);
}

static void lanes_are_named_up_to_a_number(void **state)
{
	static const uint8_t p[28] = {
	        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8};
	struct taken t;
	struct flow_meter *m = meter_new(&t);

	for (uint32_t lane = 0; lane < 5; lane++)
		send(m, p, sizeof(p), START, lane);
	flow_meter_end(m);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.records[0].segments_count, FLOW_LANES_MAX);
	assert_true(t.records[0].segments_more);
	flow_meter_free(m);
}

// A flow that is idle for its time ends without another packet, and not before; a tick from the past is no time.
static void time_without_packets_ends_flows(void **state)
{
	static const uint8_t p[28] = {
	        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8};
	struct taken t = {0};
	const struct flow_meter_config config = {.flows_max = 64, .idle_other_ns = 60 * S, .record = take, .user = &t};
	struct flow_meter *m;

	assert_int_equal(flow_meter_new(&config, &m), 0);
	flow_meter_tick(m, START + 5000 * S); // there is no flow yet, nor a time
	send(m, p, sizeof(p), START, 0);
	flow_meter_tick(m, START + 59 * S);
	assert_int_equal(t.count, 0);
	flow_meter_tick(m, START - 7200 * S); // would, taken for the time, make the next tick two hours
	flow_meter_tick(m, START + 59 * S + 1);
	assert_int_equal(t.count, 0);
	flow_meter_tick(m, START + 63 * S);
	assert_int_equal(t.count, 1);
	assert_int_equal(t.records[0].reason, FLOW_REASON_TIMEOUT);
	assert_int_equal(t.records[0].end_ns, START);
	flow_meter_end(m);
	assert_int_equal(t.count, 1);
	flow_meter_free(m);
}

// Three flows that say nothing, of which two may be looked into at once: the third ends the search into the first. A
// flow that is given up is given no more packets.
static void flows_that_wait_longest_are_given_up(void **state)
{
	struct taken t = {0};
	const struct flow_meter_config config = {
	        .flows_max = 64, .dpi = true, .dpi_config = {.states_max = 2}, .record = take, .user = &t};
	struct flow_meter_stats stats;
	struct flow_meter *m;

	if (!dpi_library())
		skip();
	assert_int_equal(flow_meter_new(&config, &m), 0);
	for (uint8_t i = 0; i < 4; i++) {
		const uint8_t p[36] = {0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xb0, i % 3,
		        0xc0, i % 3, 0, 16, 0, 0, 0x9d, 0x8e, 0x7f, 0x91};

		send(m, p, sizeof(p), START, 0);
	}
	flow_meter_end(m);
	flow_meter_stats(m, &stats);
	assert_int_equal(t.count, 3);
	assert_int_equal(stats.dpi.given_up_early, 1);
	assert_int_equal(stats.dpi.packets, 3);
	assert_int_equal(stats.dpi.detected + stats.dpi.guessed + stats.dpi.unknown, 3);
	flow_meter_free(m);
}

// From the baseline of corelight/community-id-spec, seed 0.
static void community_ids_are_the_published_ones(void **state)
{
	static const struct {
		uint8_t proto, version;
		const char *src, *dest;
		uint16_t from, to;
		const char *id;
	} known[] = {
	        {6, 4, "\x80\xe8\x6e\x78", "\x42\x23\xfa\xcc", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	        {6, 4, "\x42\x23\xfa\xcc", "\x80\xe8\x6e\x78", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	        {17, 4, "\xc0\xa8\x01\x34", "\x08\x08\x08\x08", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	        {1, 4, "\xc0\xa8\x00\x59", "\xc0\xa8\x00\x01", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct decoded_flow p = {.proto = known[i].proto,
		        .ip_version = known[i].version,
		        .has_ports = true,
		        .src_port = known[i].from,
		        .dest_port = known[i].to};
		struct flow_key key;
		char id[COMMUNITY_ID_MAX];

		memcpy(p.src, known[i].src, 4);
		memcpy(p.dest, known[i].dest, 4);
		if (p.proto == 1) {
			p.icmp_type = (uint8_t)p.src_port;
			p.icmp_code = (uint8_t)p.dest_port;
			p.src_port = p.dest_port = 0;
		}
		flow_key_make(&p, &key);
		community_id(&key, id);
		assert_string_equal(id, known[i].id);
	}
}

static struct flow_record full_record(void)
{
	struct flow_record r = {.start_ns = START,
	        .end_ns = START + 1500000001,
	        .ip_version = 4,
	        .proto = 6,
	        .src_port = 1000,
	        .dest_port = 443,
	        .vlan = {5, 6},
	        .vlan_count = 2,
	        .tcp_flags_both = TCP_SYN | TCP_ACK,
	        .groups = UINT32_MAX,
	        .risk_count = 2,
	        .risks = {"one, two", "three"},
	        .app_proto = "tls",
	        .app = "TLS.Some",
	        .segments = {{3, 4, 5}},
	        .segments_count = 1};

	for (unsigned i = 0; i < FLOW_TEXTS; i++)
		r.text[i] = "=cmd \"quoted\"";
	return r;
}

// An Ethernet frame of so many bytes on the wire from 10.0.0.1:1000 to 10.0.0.2:443, or back.
static void send_segment(
        struct flow_meter *m, uint8_t flags, uint16_t seq, uint16_t ack, uint32_t bytes, bool back, uint64_t ts_ns)
{
	uint8_t p[54] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, (uint8_t)((bytes - 14) >> 8),
	        (uint8_t)(bytes - 14), 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3, 232, 1, 187};
	const struct metered_packet packet = {
	        .data = p, .caplen = sizeof(p), .origlen = bytes, .linktype = 1, .ts_ns = ts_ns};

	if (back) {
		p[29] = 2, p[33] = 1;
		p[34] = 1, p[35] = 187, p[36] = 3, p[37] = 232;
	}
	p[40] = (uint8_t)(seq >> 8), p[41] = (uint8_t)seq;
	p[44] = (uint8_t)(ack >> 8), p[45] = (uint8_t)ack;
	p[46] = 0x50;
	p[47] = flags;
	flow_meter_packet(m, &packet);
}

static void send_tcp(struct flow_meter *m, uint8_t flags, uint32_t bytes, bool back, uint64_t ts_ns)
{
	send_segment(m, flags, 0, 0, bytes, back, ts_ns);
}

// What a recording with a cutoff of 1,000 bytes holds: connections that reached it say so, others on their ports do
// not.
static void flows_at_the_cutoff_say_so(void **state)
{
	const uint32_t rest[] = {879, 880, 881}; // behind a SYN of 60 bytes and its answer of 60
	struct taken t;

	for (unsigned i = 0; i < 3; i++) {
		struct flow_meter *m = meter_new(&t);

		flow_meter_cutoff(m, &(struct flow_cutoff){.bytes = 1000});
		send_tcp(m, TCP_SYN, 60, false, START);
		send_tcp(m, TCP_SYN | TCP_ACK, 60, true, START + 1);
		send_tcp(m, TCP_ACK, rest[i], true, START + 2);
		send_tcp(m, TCP_SYN, 60, false, START + 3); // the next connection; the end of the first was left out
		send_tcp(m, TCP_ACK, 939, false, START + 4);
		flow_meter_end(m);
		if (rest[i] < 880) { // nothing was left out, so the SYN is one sent again: the recorder counts anew
			assert_int_equal(t.count, 1);
			assert_int_equal(t.records[0].cut, 0);
		} else {
			assert_int_equal(t.count, 2);
			assert_int_equal(t.records[0].cut, 1);
			assert_int_equal(t.records[0].reason, FLOW_REASON_TCP_REUSE);
			assert_int_equal(t.records[0].pkts[0] + t.records[0].pkts[1], 3);
			assert_int_equal(t.records[1].cut, 0);
		}
		flow_meter_free(m);
	}
	for (unsigned cutoff = 0; cutoff <= 1500; cutoff += 1500) { // none, and one byte more than there is
		struct flow_meter *m = meter_new(&t);

		flow_meter_cutoff(m, &(struct flow_cutoff){.bytes = cutoff});
		send_tcp(m, TCP_ACK, 1499, false, START);
		flow_meter_end(m);
		assert_int_equal(t.records[0].cut, 0);
		flow_meter_free(m);
	}
}

// 100 bytes were dropped before the sensor, and what comes after the cutoff was left out on purpose: FIN and RST alone
// are recorded then.
static void what_the_cutoff_left_out_is_not_missed(void **state)
{
	for (unsigned cutoff = 0; cutoff <= 1000; cutoff += 1000) {
		struct flow_meter_stats stats;
		struct taken t;
		struct flow_meter *m = meter_new(&t);

		flow_meter_cutoff(m, &(struct flow_cutoff){.bytes = cutoff});
		send_segment(m, TCP_SYN, 99, 0, 54, false, START);
		send_segment(m, TCP_SYN | TCP_ACK, 199, 100, 54, true, START + 1);
		send_segment(m, TCP_ACK, 200, 100, 254, true, START + 2);
		send_segment(m, TCP_ACK, 500, 100, 254, true, START + 3);
		send_segment(m, TCP_ACK, 100, 700, 54, false, START + 4);
		send_segment(m, TCP_ACK, 700, 100, 554, true, START + 5);
		send_segment(m, TCP_FIN | TCP_ACK, 5200, 100, 54, true, START + 6);
		send_segment(m, TCP_FIN | TCP_ACK, 100, 5201, 54, false, START + 7);
		flow_meter_end(m);
		flow_meter_stats(m, &stats);
		assert_int_equal(t.records[0].cut, cutoff != 0);
		assert_int_equal(t.records[0].missed_bytes[FLOW_TO_CLIENT], cutoff ? 100 : 4100);
		assert_int_equal(t.records[0].acked_bytes[FLOW_TO_CLIENT], cutoff ? 500 : 5000);
		assert_int_equal(t.records[0].has_gaps, 1 << FLOW_TO_CLIENT);
		assert_int_equal(stats.gap.missed_bytes, cutoff ? 100 : 4100);
		assert_int_equal(stats.gap.implausible, 0);
		flow_meter_free(m);
	}
}

static void fields_have_one_name_each(void **state)
{
	for (size_t i = 0; i < flow_field_count; i++) {
		assert_true(strlen(flow_fields[i].what) > 0);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(flow_fields[i].name, flow_fields[k].name);
	}
}

// Each is explained once, in the words of the table.
static void docs_list_every_field(void **state)
{
	char line[512], wanted[512];
	size_t rows = 0;
	FILE *f = fopen(DOCS "/flows.md", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "| `", 3) != 0)
			continue;
		assert_true(rows < flow_field_count);
		snprintf(wanted, sizeof(wanted), "| `%s` | %s |\n", flow_fields[rows].name, flow_fields[rows].what);
		assert_string_equal(line, wanted);
		rows++;
	}
	assert_int_equal(rows, flow_field_count);
	fclose(f);
}

static void json_is_eve(void **state)
{
	const struct flow_record r = full_record();
	json_t *o = flow_json(&r), *flow = json_object_get(o, "flow"), *segments;

	assert_string_equal(json_string_value(json_object_get(o, "event_type")), "flow");
	assert_string_equal(json_string_value(json_object_get(o, "proto")), "TCP");
	assert_string_equal(json_string_value(json_object_get(flow, "start")), "2023-11-14T22:13:20.000000000Z");
	assert_string_equal(json_string_value(json_object_get(flow, "end")), "2023-11-14T22:13:21.500000001Z");
	assert_int_equal(json_array_size(json_object_get(o, "vlan")), 2);
	assert_string_equal(json_string_value(json_object_get(json_object_get(o, "tls"), "sni")), "=cmd \"quoted\"");
	assert_true(json_is_true(json_object_get(json_object_get(o, "tcp"), "syn")));
	assert_null(json_object_get(json_object_get(o, "tcp"), "rst"));
	segments = json_object_get(json_object_get(o, "sealtap"), "segments");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(segments, 0), "last")), 5);
	json_decref(o);
}

static void csv_has_every_column_and_no_formula(void **state)
{
	const struct flow_record r = full_record();
	char *text = NULL;
	size_t len = 0, commas = 0;
	bool quoted = false;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	flow_csv(&r, f);
	fclose(f);
	assert_non_null(strstr(text, "\"\\x3dcmd \"\"quoted\"\"\""));
	assert_null(strstr(text, "\"=cmd"));
	for (const char *at = text; *at; at++) {
		quoted = *at == '"' ? !quoted : quoted;
		commas += *at == ',' && !quoted;
	}
	assert_int_equal(commas, flow_field_count - 1);
	free(text);
}

static void drop(void *user, const struct flow_record *record)
{
	uint64_t *records = user;

	*records += record->pkts[0] + record->pkts[1];
}

static long resident_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

static struct flow_meter *million_new(uint64_t *counted)
{
	const struct flow_meter_config config = {.flows_max = FLOW_TABLE_FLOWS,
	        .seed = 3,
	        .idle_other_ns = 60 * S,
	        .idle_tcp_ns = 60 * S,
	        .dpi = dpi_library() != NULL,
	        .record = drop,
	        .user = counted};
	struct flow_meter *m;

	*counted = 0;
	malloc_trim(0); // what earlier tests gave back is nobody's
	assert_int_equal(flow_meter_new(&config, &m), 0);
	return m;
}

static void million_end(struct flow_meter *m, const char *what, const uint64_t *counted, uint64_t packets)
{
	const long used = resident_kib();
	struct flow_meter_stats stats;

	flow_meter_stats(m, &stats);
	assert_int_equal(stats.table.now, 1000000);
	assert_int_equal(stats.table.ended[FLOW_REASON_FORCED], 0);
	printf("a million %s: %ld KiB\n", what, used);
	assert_true(used < 400 * 1000000 / 1024);
	flow_meter_end(m);
	assert_int_equal(*counted, packets);
	flow_meter_free(m);
}

// Everything that a thread holds, with a million conversations under way that nDPI could not decide yet or that have a
// name.
static void a_million_conversations_in_400_mb(void **state)
{
	uint8_t packet[] = {0x45, 0, 0, 68, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 0, 192, 0, 2, 1, 0x30, 0x39, 0, 53, 0,
	        48, 0, 0,
	        // a DNS query for name.of.a.host.example.org
	        0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 'n', 'a', 'm', 'e', 2, 'o', 'f', 7, 'e', 'x', 'a', 'm', 'p', 'l',
	        'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1, 0, 0, 0};
	uint64_t counted;
	struct flow_meter *m;

	if (SANITIZED)
		skip(); // a sanitizer keeps memory of its own beside every piece
	m = million_new(&counted);
	for (uint32_t i = 0; i < 1000000; i++) {
		packet[13] = (uint8_t)(i >> 16), packet[14] = (uint8_t)(i >> 8), packet[15] = (uint8_t)i;
		packet[22] = 0, packet[23] = i % 2 ? 53 : 77;
		send(m, packet, sizeof(packet), START + i * (S / 100000), 0);
	}
	million_end(m, "conversations", &counted, 1000000);
}

// A million connections that lose packets before the sensor: those that are not followed are counted.
static void a_million_connections_in_400_mb(void **state)
{
	uint8_t packet[] = {0x45, 0, 0, 44, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 0, 192, 0, 2, 1, 0x30, 0x39, 0, 80, 0, 0,
	        0, 0, 0, 0, 0, 0, 0x50, TCP_ACK, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4};
	struct flow_meter_stats stats;
	uint64_t counted;
	struct flow_meter *m;

	if (SANITIZED)
		skip();
	m = million_new(&counted);
	for (unsigned sent = 0; sent < 5; sent++) {
		for (uint32_t i = 0; i < 1000000; i++) {
			packet[13] = (uint8_t)(i >> 16), packet[14] = (uint8_t)(i >> 8), packet[15] = (uint8_t)i;
			packet[33] = sent == 0 ? TCP_SYN | TCP_ACK : TCP_ACK;
			packet[27] = (uint8_t)(sent * 100); // 96 bytes are missing before each
			send(m, packet, sizeof(packet), START + i * (S / 100000), 0);
		}
	}
	flow_meter_stats(m, &stats);
	assert_int_equal(stats.gap.flows_left_out, 1000000 - FLOW_TABLE_FLOWS / 2 - 1);
	assert_true(stats.gap.holes_dropped > 1000000);
	million_end(m, "connections", &counted, 5000000);
}

// A million connections whose request was seen, in both directions: nDPI holds its state, what it has of the request,
// and names; the gap estimate follows those that it has room for.
static void a_million_requests_in_400_mb(void **state)
{
	static const char request[] = "GET /a/path/to/something.html HTTP/1.1\r\nHost: name.of.a.host.example.org\r\n"
	                              "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101\r\n\r\n";
	uint8_t packet[40 + sizeof(request) - 1] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 0, 192, 0, 2, 1,
	        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, TCP_ACK | TCP_PSH, 1, 0, 0, 0, 0, 0};
	uint8_t answer[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 10, 0, 0, 0, 0, 80, 0x30, 0x39, 0,
	        0, 0, 1, 0, 0, 0, sizeof(request), 0x50, TCP_ACK, 1, 0, 0, 0, 0, 0};
	uint64_t counted;
	struct flow_meter *m;

	if (SANITIZED)
		skip();
	memcpy(packet + 40, request, sizeof(request) - 1);
	packet[3] = sizeof(packet);
	m = million_new(&counted);
	for (uint32_t i = 0; i < 1000000; i++) {
		packet[13] = answer[17] = (uint8_t)(i >> 16);
		packet[14] = answer[18] = (uint8_t)(i >> 8);
		packet[15] = answer[19] = (uint8_t)i;
		send(m, packet, sizeof(packet), START + i * (S / 100000), 0);
		send(m, answer, sizeof(answer), START + i * (S / 100000), 0);
	}
	million_end(m, "requests", &counted, 2000000); // packets
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fragments_find_their_flow),
	        cmocka_unit_test(fragments_without_a_first_are_a_flow_without_ports),
	        cmocka_unit_test(many_fragments_lose_no_count),
	        cmocka_unit_test(lanes_are_named_up_to_a_number),
	        cmocka_unit_test(time_without_packets_ends_flows),
	        cmocka_unit_test(flows_that_wait_longest_are_given_up),
	        cmocka_unit_test(community_ids_are_the_published_ones),
	        cmocka_unit_test(flows_at_the_cutoff_say_so),
	        cmocka_unit_test(what_the_cutoff_left_out_is_not_missed),
	        cmocka_unit_test(fields_have_one_name_each),
	        cmocka_unit_test(docs_list_every_field),
	        cmocka_unit_test(json_is_eve),
	        cmocka_unit_test(csv_has_every_column_and_no_formula),
	        cmocka_unit_test(a_million_conversations_in_400_mb),
	        cmocka_unit_test(a_million_connections_in_400_mb),
	        cmocka_unit_test(a_million_requests_in_400_mb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

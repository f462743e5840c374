// SPDX-License-Identifier: Apache-2.0
// bpf/shunt.h and sensor/recorder/shunt_table.h: of which frames a flow consists, when its rest is left out, and that a
// table which is too small forgets, so that more is recorded. What the header reads is held against the decoder and the
// flow key of analyzers/, which read frames by other code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyzers/flow_key.h"
#include "bpf/shunt.h"
#include "sensor/recorder/shunt_table.h"

#define LINKTYPE_ETHERNET 1
#define CUTOFF 1000u
#define SECOND 1000000000ull

struct made {
	uint8_t bytes[256];
	unsigned len;
};

static void put(struct made *f, const void *bytes, unsigned len)
{
	assert_true(f->len + len <= sizeof(f->bytes));
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static void put16(struct made *f, unsigned value)
{
	put(f, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

struct shape {
	unsigned tags[4]; // TPID << 16 | TCI
	unsigned version; // of IP
	unsigned proto;
	unsigned options; // bytes, of IPv4
	unsigned fragment;
	unsigned flags; // of TCP
	unsigned short_by;
	unsigned from, to; // ports
	uint8_t src, dest; // last byte of the address
};

static struct made make(const struct shape *s)
{
	const unsigned transport = s->proto == 6 ? 20 : 8, payload = 10;
	struct made f = {.len = 0};
	uint8_t addr[16] = {0x20, 1, 0xd, 0xb8};

	put(&f, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	for (unsigned i = 0; i < 4 && s->tags[i]; i++) {
		put16(&f, s->tags[i] >> 16);
		put16(&f, s->tags[i] & 0xffff);
	}
	if (s->version == 4) {
		put16(&f, 0x0800);
		put(&f, (uint8_t[]){(uint8_t)(0x40 | (20 + s->options) / 4), 0}, 2);
		put16(&f, 20 + s->options + transport + payload - s->short_by);
		put16(&f, 7);
		put16(&f, s->fragment);
		put(&f, (uint8_t[]){64, (uint8_t)s->proto, 0, 0, 10, 0, 0, s->src, 10, 0, 0, s->dest}, 12);
		for (unsigned i = 0; i < s->options; i++)
			put(&f, "\1", 1);
	} else {
		put16(&f, 0x86dd);
		put(&f, "\x60\0\0\0", 4);
		put16(&f, transport + payload - s->short_by);
		put(&f, (uint8_t[]){(uint8_t)s->proto, 64}, 2);
		addr[15] = s->src;
		put(&f, addr, 16);
		addr[15] = s->dest;
		put(&f, addr, 16);
	}
	put16(&f, s->from);
	put16(&f, s->to);
	if (s->proto == 6)
		put(&f, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 0, 0x50, (uint8_t)s->flags, 1, 0, 0, 0, 0, 0}, 16);
	else
		put(&f, "\0\x12\0\0", 4);
	put(&f, "0123456789", payload);
	return f;
}

static bool take(const struct made *f, struct shunt_frame *ret_frame)
{
	return shunt_read(f->bytes, f->bytes + f->len, 0, 0, ret_frame);
}

static struct shape plain(unsigned version, unsigned proto)
{
	return (struct shape){.version = version, .proto = proto, .from = 1111, .to = 2222, .src = 1, .dest = 2};
}

static struct shape back(struct shape s)
{
	const struct shape was = s;

	s.src = was.dest;
	s.dest = was.src;
	s.from = was.to;
	s.to = was.from;
	return s;
}

// The decoder's flow of the frame, when it has exactly one, whole and outermost.
static bool decoder_key(const struct made *f, struct flow_key *ret_key)
{
	struct decoded d;

	decode_packet(LINKTYPE_ETHERNET, f->bytes, f->len, f->len, &d);
	if (d.end != DECODE_IP || d.count != 1 || d.flows[0].fragment || !d.flows[0].has_ports)
		return false;
	flow_key_make(&d.flows[0], ret_key);
	return true;
}

static void same_flow_as_the_decoder(const struct made *f)
{
	struct shunt_frame frame;
	struct flow_key key;
	bool swapped;

	assert_true(take(f, &frame));
	assert_true(decoder_key(f, &key));
	assert_int_equal(frame.key.proto, key.proto);
	assert_int_equal(frame.key.ip_version, key.ip_version);
	assert_memory_equal(frame.key.vlan, key.vlan, sizeof(key.vlan));
	// Each puts the smaller endpoint first, by an order of its own.
	swapped = memcmp(frame.key.addr[0], key.addr[0], 16) != 0 || frame.key.port[0] != key.port[0];
	for (unsigned i = 0; i < 2; i++) {
		assert_memory_equal(frame.key.addr[i], key.addr[swapped ? !i : i], 16);
		assert_int_equal(frame.key.port[i], key.port[swapped ? !i : i]);
	}
}

static void both_directions_are_one_flow(void **state)
{
	const unsigned versions[] = {4, 6}, protos[] = {6, 17};
	const unsigned tags[][4] = {
	        {0}, {0x81000064}, {0x81000000}, {0x88a80064, 0x8100effe}, {0x91000001, 0x81000002}};

	for (unsigned v = 0; v < 2; v++)
		for (unsigned p = 0; p < 2; p++)
			for (unsigned t = 0; t < 5; t++) {
				struct shape s = plain(versions[v], protos[p]);
				struct made there, again;
				struct shunt_frame a, b;

				memcpy(s.tags, tags[t], sizeof(s.tags));
				there = make(&s);
				s = back(s);
				again = make(&s);
				same_flow_as_the_decoder(&there);
				same_flow_as_the_decoder(&again);
				assert_true(take(&there, &a) && take(&again, &b));
				assert_memory_equal(&a.key, &b.key, sizeof(a.key));
			}
}

static void ports_alone_order_what_one_host_sends_itself(void **state)
{
	struct shape s = plain(4, 17), t;
	struct shunt_frame a, b;
	struct made f;

	s.dest = s.src;
	t = back(s);
	f = make(&s);
	assert_true(take(&f, &a));
	f = make(&t);
	assert_true(take(&f, &b));
	assert_memory_equal(&a.key, &b.key, sizeof(a.key));
}

static void whatever_differs_is_another_flow(void **state)
{
	struct shape base = plain(4, 6), other[7];
	struct shunt_frame a, b;
	struct made f = make(&base);

	assert_true(take(&f, &a));
	for (unsigned i = 0; i < 7; i++)
		other[i] = base;
	other[0].src = 9;
	other[1].dest = 9;
	other[2].from = 9;
	other[3].to = 9;
	other[4].proto = 17;
	other[5].tags[0] = 0x81000005;
	other[6].from = base.to; // ports exchanged, addresses not
	other[6].to = base.from;
	for (unsigned i = 0; i < 7; i++) {
		f = make(&other[i]);
		assert_true(take(&f, &b));
		assert_memory_not_equal(&a.key, &b.key, sizeof(a.key));
	}
}

static void a_tag_that_was_taken_out_counts_as_if_it_were_there(void **state)
{
	struct shape tagged = plain(6, 17), inner = plain(6, 17);
	struct shunt_frame a, b;
	struct made f, g;

	tagged.tags[0] = 0x8100a064;
	tagged.tags[1] = 0x81000007;
	inner.tags[0] = 0x81000007;
	f = make(&tagged);
	g = make(&inner);
	assert_true(take(&f, &a));
	assert_true(shunt_read(g.bytes, g.bytes + g.len, 0x8100, 0xa064, &b));
	assert_memory_equal(&a.key, &b.key, sizeof(a.key));
	// With two in the frame it is the third.
	assert_false(shunt_read(f.bytes, f.bytes + f.len, 0x8100, 1, &b));
}

static void what_takes_no_part(void **state)
{
	const unsigned tunnels[] = {2152, 4789, 6081, 8472};
	struct shunt_frame frame;
	struct shape s;
	struct made f;

	for (unsigned offset = 1; offset <= 0x2000; offset = offset == 1 ? 0x2000 : 0x4000) {
		s = plain(4, 17);
		s.fragment = offset; // a later one; the first one
		f = make(&s);
		assert_false(take(&f, &frame));
	}
	s = plain(4, 17);
	s.fragment = 0x4000; // "don't fragment" is none
	f = make(&s);
	assert_true(take(&f, &frame));
	for (unsigned i = 0; i < 4; i++) {
		s = plain(4, 17);
		s.to = tunnels[i];
		f = make(&s);
		assert_false(take(&f, &frame));
		s = back(s);
		f = make(&s);
		assert_false(take(&f, &frame));
		s.proto = 6; // to TCP these are ports like others
		f = make(&s);
		assert_true(take(&f, &frame));
	}
	s = plain(4, 17);
	s.tags[0] = s.tags[1] = s.tags[2] = 0x81000001;
	f = make(&s);
	assert_false(take(&f, &frame));
	for (unsigned proto = 0; proto < 256; proto++) {
		s = plain(proto & 1 ? 4 : 6, proto); // 0, 43, 44, 60: extension headers of IPv6
		f = make(&s);
		assert_int_equal(take(&f, &frame), proto == 6 || proto == 17);
	}
	for (unsigned version = 4; version <= 6; version += 2) {
		s = plain(version, 6);
		s.short_by = 11; // the IP packet ends inside the TCP header
		f = make(&s);
		assert_false(take(&f, &frame));
		s.short_by = 10;
		f = make(&s);
		assert_true(take(&f, &frame));
	}
}

// A frame that was cut off takes part as soon as its headers are whole, wherever the cut; nothing is read beyond it.
static void headers_must_be_whole(void **state)
{
	struct shape s = plain(4, 6);
	unsigned whole;
	struct made f;

	s.options = 40;
	s.tags[0] = 0x81000003;
	f = make(&s);
	whole = 14 + 4 + 60 + 20;
	for (unsigned len = 0; len <= f.len; len++) {
		uint8_t *exact = malloc(len ? len : 1); // so that a sanitizer sees a read too far
		struct shunt_frame frame;

		memcpy(exact, f.bytes, len);
		assert_int_equal(shunt_read(exact, exact + len, 0, 0, &frame), len >= whole);
		free(exact);
	}
}

static struct shunt_frame frame_of(unsigned proto, unsigned flags)
{
	struct shape s = plain(4, proto);
	struct shunt_frame frame;
	struct made f;

	s.flags = flags;
	f = make(&s);
	assert_true(take(&f, &frame));
	return frame;
}

// What the recorder does with a frame: true when it is recorded.
static bool records(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns, uint64_t bytes)
{
	struct shunt_flow *flow = &shunt_table_flow(t, frame, now_ns)->flow;

	if (shunt_beyond(flow, frame, CUTOFF))
		return false;
	flow->bytes += bytes;
	return true;
}

static struct shunt_table *table_of(uint32_t flows, bool numbered)
{
	struct shunt_table *t;

	assert_int_equal(shunt_table_new(flows, 0x1234567890abcdefull, numbered, &t), 0);
	return t;
}

static struct shunt_table *table(uint32_t flows)
{
	return table_of(flows, false);
}

static void the_first_bytes_are_recorded_and_not_the_rest(void **state)
{
	struct shunt_frame data = frame_of(6, SHUNT_ACK), fin = frame_of(6, SHUNT_FIN | SHUNT_ACK),
	                   rst = frame_of(6, SHUNT_RST), syn_ack = frame_of(6, SHUNT_SYN | SHUNT_ACK),
	                   syn = frame_of(6, SHUNT_SYN);
	struct shunt_table *t = table(64);

	assert_true(records(t, &data, SECOND, 999));
	assert_true(records(t, &data, SECOND, 1500)); // the frame that crosses it is whole
	assert_false(records(t, &data, SECOND, 1));
	assert_true(records(t, &syn_ack, SECOND, 60)); // an answer to a SYN that was seen before
	assert_false(records(t, &data, SECOND, 1));
	assert_true(records(t, &fin, SECOND, 60));
	assert_true(records(t, &rst, SECOND, 60));
	assert_false(records(t, &data, SECOND, 1));
	assert_true(records(t, &syn, 2 * SECOND, 60)); // the next connection on these ports
	assert_true(records(t, &data, 2 * SECOND, 939));
	assert_true(records(t, &data, 2 * SECOND, 1));
	assert_false(records(t, &data, 2 * SECOND, 1));
	shunt_table_free(t);
}

static void a_flow_that_was_silent_for_long_counts_anew(void **state)
{
	const struct {
		unsigned proto;
		uint64_t idle_ns;
	} rows[] = {{6, 300 * SECOND}, {17, 60 * SECOND}};

	for (unsigned i = 0; i < 2; i++) {
		struct shunt_frame data = frame_of(rows[i].proto, SHUNT_ACK);
		struct shunt_table *t = table(64);
		uint64_t now = 5000 * SECOND;

		assert_true(records(t, &data, now, CUTOFF));
		for (unsigned k = 0; k < 3; k++) // what is left out keeps it alive
			assert_false(records(t, &data, now += rows[i].idle_ns - 1, 1));
		assert_false(records(t, &data, now - 1000 * SECOND, 1)); // a clock that went back ends nothing
		assert_false(records(t, &data, now - 1000 * SECOND, 1));
		assert_true(records(t, &data, now - 1000 * SECOND + rows[i].idle_ns, CUTOFF));
		shunt_table_free(t);
	}
}

// Whatever is forgotten, no flow is left out before its first CUTOFF bytes were recorded since it was remembered; and
// what is used is not forgotten for what is not.
static void a_full_table_has_more_recorded(void **state)
{
	struct shunt_frame bulk = frame_of(17, 0), other = bulk;
	struct shunt_table *t = table(8); // one bucket
	uint64_t now = 0;

	assert_true(records(t, &bulk, now, CUTOFF));
	for (unsigned i = 1; i <= 7; i++) {
		other.key.port[0] = (uint16_t)i;
		assert_true(records(t, &other, now += SECOND / 10, CUTOFF));
	}
	assert_false(records(t, &bulk, now += SECOND / 10, 1)); // eight have room
	for (unsigned i = 100; i < 200; i++) {                  // a scan; the bulk flow goes on
		other.key.port[0] = (uint16_t)i;
		assert_true(records(t, &other, now += SECOND / 10, 1));
		assert_false(records(t, &bulk, now += SECOND / 10, 1));
	}
	for (unsigned i = 200; i < 208; i++) { // and now it does not
		other.key.port[0] = (uint16_t)i;
		assert_true(records(t, &other, now += SECOND / 10, CUTOFF));
	}
	assert_true(records(t, &bulk, now += SECOND / 10, CUTOFF));
	assert_false(records(t, &bulk, now += SECOND / 10, 1));
	shunt_table_free(t);
}

// A model that forgets nothing leaves out at least what the table leaves out.
static void a_table_never_leaves_out_more_than_one_without_limit(void **state)
{
	enum { FLOWS = 4096, FRAMES = 400000 };
	uint64_t *model = calloc(FLOWS, sizeof(*model)), seed = 88172645463325252ull;
	struct shunt_frame frame = frame_of(17, 0);
	struct shunt_table *t = table(1024);
	unsigned left_out = 0, forgotten = 0;

	assert_non_null(model);
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned flow, bytes;
		bool recorded;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		flow = seed % 16 < 12 ? seed % 64 : (unsigned)(seed >> 16) % FLOWS; // few have most of it
		bytes = 60 + (unsigned)(seed >> 40) % 100;
		frame.key.port[0] = (uint16_t)flow;
		recorded = records(t, &frame, i * 1000ull, bytes);
		if (!recorded) {
			assert_true(model[flow] >= CUTOFF);
			left_out++;
		} else {
			forgotten += model[flow] >= CUTOFF;
			model[flow] += bytes;
		}
	}
	assert_true(left_out > FRAMES / 2 && forgotten > 0);
	free(model);
	shunt_table_free(t);
}

static bool name(struct shunt_table *t, const struct shunt_frame *frame, uint64_t ns)
{
	uint64_t number;

	return shunt_table_name(t, &frame->key, ns, &number);
}

static bool is_named(struct shunt_table *t, const struct shunt_frame *frame, uint64_t now_ns)
{
	return shunt_table_flow(t, frame, now_ns)->named;
}

// A word about a flow is about the one that it was said of, not about the next one with these endpoints.
static void a_name_is_of_this_flow_only(void **state)
{
	const uint64_t begun = 5000 * SECOND, tick = 1 << 20;
	struct shunt_frame syn = frame_of(6, SHUNT_SYN), data = frame_of(6, SHUNT_ACK), other = data;
	struct shunt_table *t = table(64);

	assert_false(name(t, &data, begun)); // not known
	assert_false(is_named(t, &syn, begun));
	assert_false(name(t, &data, begun - 30 * SECOND)); // before it began
	assert_false(name(t, &data, begun));               // nobody can tell
	assert_false(is_named(t, &data, begun + SECOND));
	assert_true(name(t, &data, begun + tick));
	assert_true(is_named(t, &data, begun + SECOND));
	other.key.port[0]++;
	assert_false(is_named(t, &other, begun + SECOND));
	assert_false(is_named(t, &syn, begun + 2 * SECOND)); // the next connection
	assert_false(name(t, &data, begun + SECOND));        // was said of the one before
	assert_false(is_named(t, &data, begun + 3 * SECOND));
	assert_true(name(t, &data, begun + 3 * SECOND));
	assert_true(is_named(t, &data, begun + 3 * SECOND));
	assert_false(is_named(t, &data, begun + 303 * SECOND)); // after a silence
	shunt_table_free(t);
}

// Times of which the table keeps 31 bits: a day or a week later is later, wherever they come again.
static void a_name_comes_later_by_any_clock(void **state)
{
	const uint64_t day = 86400 * SECOND;
	struct shunt_frame data = frame_of(17, 0);

	for (uint64_t begun = 0; begun < 60 * day; begun += day / 2 + 12345) {
		struct shunt_table *t = table(64);

		shunt_table_flow(t, &data, begun);
		assert_false(name(t, &data, begun > SECOND ? begun - SECOND : 0));
		assert_false(begun > day && name(t, &data, begun - day));
		assert_true(name(t, &data, begun + SECOND));
		assert_true(name(t, &data, begun + 7 * day));
		shunt_table_free(t);
	}
}

static void a_forgotten_flow_has_no_name(void **state)
{
	struct shunt_frame bulk = frame_of(17, 0), other = bulk;
	struct shunt_table *t = table(8);
	uint64_t now = SECOND;

	shunt_table_flow(t, &bulk, now);
	assert_true(name(t, &bulk, now += SECOND));
	for (unsigned i = 100; i < 108; i++) {
		other.key.port[0] = (uint16_t)i;
		shunt_table_flow(t, &other, now += SECOND);
	}
	assert_false(name(t, &bulk, now));
	assert_false(is_named(t, &bulk, now));
	shunt_table_free(t);
}

// A driver that counts itself says by a number which flow it is.
static void a_driver_numbers_flows(void **state)
{
	struct shunt_frame data = frame_of(17, 0);
	struct shunt_table *t = table_of(64, true);
	uint64_t number = 0, now = SECOND;

	shunt_table_follow(t, &data, 77, now);
	shunt_table_follow(t, &data, 77, now += SECOND);
	assert_true(shunt_table_name(t, &data.key, now, &number));
	assert_int_equal(number, 77);
	shunt_table_follow(t, &data, UINT64_MAX, now += SECOND); // it has begun anew
	number = 0;
	assert_false(shunt_table_name(t, &data.key, now - 1, &number));
	assert_int_equal(number, 0);
	assert_true(shunt_table_name(t, &data.key, now += SECOND, &number));
	assert_true(number == UINT64_MAX);
	shunt_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_directions_are_one_flow),
	        cmocka_unit_test(ports_alone_order_what_one_host_sends_itself),
	        cmocka_unit_test(whatever_differs_is_another_flow),
	        cmocka_unit_test(a_tag_that_was_taken_out_counts_as_if_it_were_there),
	        cmocka_unit_test(what_takes_no_part),
	        cmocka_unit_test(headers_must_be_whole),
	        cmocka_unit_test(the_first_bytes_are_recorded_and_not_the_rest),
	        cmocka_unit_test(a_flow_that_was_silent_for_long_counts_anew),
	        cmocka_unit_test(a_full_table_has_more_recorded),
	        cmocka_unit_test(a_table_never_leaves_out_more_than_one_without_limit),
	        cmocka_unit_test(a_name_is_of_this_flow_only),
	        cmocka_unit_test(a_name_comes_later_by_any_clock),
	        cmocka_unit_test(a_forgotten_flow_has_no_name),
	        cmocka_unit_test(a_driver_numbers_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Owns the pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, blocks, options.
// One thread: RX of the recorder, or the verifier; parses in place out of the stream's window.
// Must not interpret what it only keeps: such blocks pass through to the extra file, whatever is in them.
//
// Block  type32 | total32 | body, padded to 4 | total32
// SHB    0A0D0D0A | total32 | 1A2B3C4D: byte order of the section | major16 minor16 | length64 | options
// IDB    00000001 | total32 | linktype16 reserved16 | snaplen32 | options
#include "sensor/sources/file/pcapng_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define BLOCK_MIN 12u
#define SHB_MIN 28u
#define IDB_MIN 20u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
// As Wireshark: the largest packet of any link type and 128 KiB of options. Beyond it a length is taken for a lie.
#define BLOCK_MAX (32u + (128u << 20) + (128u << 10))

#define OPT_IF_NAME 2
#define OPT_IF_TSRESOL 9
#define OPT_IF_TSOFFSET 14

int pcapng_reader_init(struct pcapng_reader *r, struct extra_writer *extra)
{
	r->extra = extra;
	r->interfaces = calloc(LANES_MAX, sizeof(*r->interfaces));
	return r->interfaces ? 0 : -ENOMEM;
}

void pcapng_reader_free(struct pcapng_reader *r)
{
	free(r->interfaces);
	r->interfaces = NULL;
}

int pcapng_option_next(struct cursor *c, struct pcapng_option *ret_option)
{
	struct pcapng_option o;

	if (!cursor_left(c))
		return 0;
	o.code = cursor_u16(c);
	o.len = cursor_u16(c);
	o.value = cursor_bytes(c, o.len);
	cursor_bytes(c, -(unsigned)o.len & 3);
	if (!cursor_ok(c))
		return -EBADMSG;
	*ret_option = o;
	return o.code != 0;
}

// False when the resolution does not fit 64 bits of units in a second; Wireshark refuses the same ones.
static bool set_resolution(struct pcapng_interface *i, uint8_t resolution)
{
	unsigned exponent = resolution & 0x7f;

	i->mul = i->div = 1;
	i->shift = 0;
	if (resolution & 0x80) {
		i->mul = 1000000000;
		i->shift = exponent;
		return exponent <= 63;
	}
	for (unsigned k = exponent; k < 9; ++k)
		i->mul *= 10;
	for (unsigned k = 9; k < exponent && exponent <= 19; ++k)
		i->div *= 10;
	return exponent <= 19;
}

static int keep_part(
        struct pcapng_reader *r, uint64_t offset, uint32_t type, uint64_t packet, const void *data, size_t len)
{
	int n = extra_writer_begin(r->extra, offset, type, packet);

	if (n == 0)
		n = extra_writer_data(r->extra, data, len);
	return n < 0 ? n : extra_writer_end(r->extra);
}

static int keep_block(struct pcapng_reader *r, uint64_t offset, uint32_t type, const uint8_t *block, size_t len)
{
	return r->extra ? keep_part(r, offset, type, EXTRA_NO_PACKET, block, len) : 0;
}

// 1 when the interface is added, 0 when the block is damaged, or a negative errno.
static int read_interface(struct pcapng_reader *r, struct source *s, const uint8_t *block, uint32_t block_len,
        uint64_t offset, struct reader_report *report)
{
	struct cursor c = cursor_over(block + 8, block_len - 12, r->big_endian);
	struct pcapng_interface added = {0};
	struct source_lane lane = {0};
	struct pcapng_option o;
	uint8_t resolution = 6;
	int n;

	lane.linktype = cursor_u16(&c);
	cursor_u16(&c);
	lane.snaplen = added.snaplen = cursor_u32(&c);
	while ((n = pcapng_option_next(&c, &o)) > 0) {
		struct cursor value = cursor_over(o.value, o.len, r->big_endian);

		if (o.code == OPT_IF_NAME && !lane.interface[0])
			source_file_name(o.value, o.len, lane.interface);
		else if (o.code == OPT_IF_TSRESOL && o.len == 1)
			resolution = cursor_u8(&value);
		else if (o.code == OPT_IF_TSOFFSET && o.len == 8)
			added.offset_s = (int64_t)cursor_u64(&value);
	}
	if (n < 0) {
		reader_damage(report, offset, "an option of an interface description leaves the block");
		return 0;
	}
	if (!set_resolution(&added, resolution)) {
		reader_damage(report, offset, "time resolution 0x%02x is not supported", resolution);
		return 0;
	}
	n = source_file_add_lane(s, &lane);
	if (n == -ENOBUFS) {
		reader_damage(report, offset, "more than %u interfaces", LANES_MAX);
		return 0;
	}
	if (n < 0)
		return n;
	r->interfaces[n] = added;
	++r->interface_count;
	return 1;
}

// Hands a block on piece by piece. 1 when it is over, 0 with the report, or a negative errno.
static int pass_through(struct pcapng_reader *r, struct input_stream *in, struct reader_report *report)
{
	struct cursor c;
	size_t part = input_stream_len(in);
	int n = 0;

	if (part > r->block_left - 4)
		part = r->block_left - 4;
	if (r->extra)
		n = extra_writer_data(r->extra, input_stream_data(in), part);
	if (n < 0)
		return n;
	input_stream_consume(in, part);
	r->block_left -= (uint32_t)part;
	if (r->block_left > 4 || input_stream_len(in) < 4) {
		reader_need(report, r->block_left > 4 ? 1 : 4, "a block", false);
		return 0;
	}
	c = cursor_over(input_stream_data(in), 4, r->big_endian);
	if (((cursor_u32(&c) + 3) & ~3u) != ((r->block_total + 3) & ~3u)) {
		reader_damage(report, r->block_offset, "the two lengths of a block differ, the first is %" PRIu32,
		        r->block_total);
		return 0;
	}
	if (r->extra)
		n = extra_writer_data(r->extra, input_stream_data(in), 4);
	if (n == 0 && r->extra)
		n = extra_writer_end(r->extra);
	if (n < 0)
		return n;
	input_stream_consume(in, 4);
	r->block_left = 0;
	return 1;
}

// Starts a section at its first SHB_MIN bytes. False with the report when it is not one.
static bool read_section(
        struct pcapng_reader *r, struct source *s, const uint8_t *block, uint64_t offset, struct reader_report *report)
{
	struct cursor c = cursor_over(block + 12, 4, r->big_endian);
	uint16_t major = cursor_u16(&c), minor = cursor_u16(&c);

	if (major != 1 || (minor != 0 && minor != 2)) { // 1.2 is 1.0 by another writer's mistake
		reader_damage(report, offset, "pcapng version %u.%u is not supported, only 1.0", major, minor);
		return false;
	}
	r->first_lane = s->lane_count;
	r->interface_count = 0;
	return true;
}

struct block_header {
	uint32_t type, total, padded;
};

// 1 when the header at the start of the window is plausible, else 0 with the report.
static int read_block_header(
        struct pcapng_reader *r, struct input_stream *in, struct block_header *ret, struct reader_report *report)
{
	struct cursor c = cursor_over(input_stream_data(in), input_stream_len(in), r->big_endian);
	uint64_t offset = input_stream_offset(in);
	uint32_t least = BLOCK_MIN;

	if (cursor_left(&c) < BLOCK_MIN) {
		reader_need(report, BLOCK_MIN, "a block header", true);
		return 0;
	}
	ret->type = cursor_u32(&c);
	if (ret->type == PCAPNG_SHB) {
		struct cursor order = cursor_over(c.at + 4, 4, false);
		uint32_t magic = cursor_u32(&order);
		if (magic != BYTE_ORDER_MAGIC && magic != __builtin_bswap32(BYTE_ORDER_MAGIC)) {
			reader_damage(
			        report, offset, "byte-order magic 0x%08" PRIx32 " of a section is unknown", magic);
			return 0;
		}
		r->big_endian = c.big_endian = magic != BYTE_ORDER_MAGIC;
		least = SHB_MIN;
	} else if (ret->type == PCAPNG_IDB) {
		least = IDB_MIN;
	}
	ret->total = cursor_u32(&c);
	ret->padded = ret->total <= BLOCK_MAX ? (ret->total + 3) & ~3u : ret->total;
	if (ret->padded < least || ret->total > BLOCK_MAX) {
		reader_damage(report, offset, "block of type 0x%08" PRIx32 " says it is %" PRIu32 " bytes long",
		        ret->type, ret->total);
		return 0;
	}
	return 1;
}

// Makes sure a block that has to be whole is, and that its lengths agree. 1, or 0 with the report.
static int whole_block(
        struct pcapng_reader *r, struct input_stream *in, const struct block_header *h, struct reader_report *report)
{
	struct cursor c;

	if (h->padded > INPUT_WINDOW) {
		reader_damage(report, input_stream_offset(in),
		        "block of type 0x%08" PRIx32 " is %" PRIu32 " bytes long, more than %u", h->type, h->total,
		        INPUT_WINDOW);
		return 0;
	}
	if (input_stream_len(in) < h->padded) {
		reader_need(report, h->padded, h->type == PCAPNG_IDB ? "an interface description" : "a packet", false);
		return 0;
	}
	c = cursor_over(input_stream_data(in) + h->padded - 4, 4, r->big_endian);
	if (((cursor_u32(&c) + 3) & ~3u) != h->padded) {
		reader_damage(report, input_stream_offset(in),
		        "the two lengths of a block differ, the first is %" PRIu32, h->total);
		return 0;
	}
	return 1;
}

// A fixed part is always followed by the options, if need be empty: a packet's only line is of its options.
static int keep_packet(struct pcapng_reader *r, uint64_t offset, uint32_t type, uint64_t number, const uint8_t *block,
        const struct pcapng_packet *p)
{
	int n = 0;

	if (!r->extra || !(p->keep_fixed || p->options))
		return 0;
	if (p->keep_fixed)
		n = keep_part(r, offset, type, number, block, PCAPNG_FIXED_LEN);
	return n < 0 ? n : keep_part(r, offset, type, number, p->options, p->options_len);
}

// 1 with a packet, 0 with the report, or a negative errno.
static int read_packet(struct pcapng_reader *r, struct source *s, struct input_stream *in, const struct block_header *h,
        uint64_t number, struct packet *ret_packet, struct reader_report *report)
{
	const uint8_t *block = input_stream_data(in);
	struct pcapng_packet p;
	char reason[120];
	int n = whole_block(r, in, h, report);

	if (n <= 0)
		return n;
	if (pcapng_packet_read(r, h->type, block, h->padded, &p, reason, sizeof(reason)) < 0) {
		reader_damage(report, input_stream_offset(in), "packet %" PRIu64 ": %s", number + 1, reason);
		return 0;
	}
	n = keep_packet(r, input_stream_offset(in), h->type, number, block, &p);
	if (n < 0)
		return n;
	s->end.ts_truncated += p.ts_truncated;
	s->end.ts_out_of_range += p.ts_out_of_range;
	*ret_packet = p.packet;
	input_stream_consume(in, h->padded);
	return 1;
}

// A block that is no packet. 1 when it is over or under way, 0 with the report, or a negative errno.
static int read_other(struct pcapng_reader *r, struct source *s, struct input_stream *in, const struct block_header *h,
        struct reader_report *report)
{
	const uint8_t *block = input_stream_data(in);
	uint64_t offset = input_stream_offset(in);
	int n;

	if (h->type == PCAPNG_IDB) {
		n = whole_block(r, in, h, report);
		if (n > 0)
			n = read_interface(r, s, block, h->padded, offset, report);
		if (n > 0) {
			n = keep_block(r, offset, h->type, block, h->padded);
			if (n == 0)
				input_stream_consume(in, h->padded);
			n = n < 0 ? n : 1;
		}
		return n;
	}
	if (h->type == PCAPNG_SHB) {
		if (input_stream_len(in) < SHB_MIN) {
			reader_need(report, SHB_MIN, "a section header", false);
			return 0;
		}
		if (!read_section(r, s, block, offset, report))
			return 0;
	}
	n = r->extra ? extra_writer_begin(r->extra, offset, h->type, EXTRA_NO_PACKET) : 0;
	r->block_offset = offset;
	r->block_total = h->total;
	r->block_left = h->padded;
	return n < 0 ? n : 1;
}

int pcapng_reader_batch(struct pcapng_reader *r, struct source *s, struct input_stream *in, struct packet *batch,
        unsigned max, struct reader_report *report)
{
	unsigned n = 0;

	while (n < max) {
		struct block_header h;
		int more;

		if (r->block_left) {
			more = pass_through(r, in, report);
		} else {
			more = read_block_header(r, in, &h, report);
			if (more > 0 && (h.type == PCAPNG_EPB || h.type == PCAPNG_SPB || h.type == PCAPNG_PB)) {
				more = read_packet(r, s, in, &h, s->end.packets + n, &batch[n], report);
				n += more > 0;
			} else if (more > 0) {
				more = read_other(r, s, in, &h, report);
			}
		}
		if (more < 0)
			return more;
		if (more == 0)
			break;
	}
	return (int)n;
}

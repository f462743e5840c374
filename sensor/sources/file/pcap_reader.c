// SPDX-License-Identifier: Apache-2.0
// Owns the classic pcap format: microseconds and nanoseconds, both byte orders, old versions, the modified variants.
// One thread: RX of the recorder, or the verifier; parses in place out of the stream's window.
// Must not copy packets nor move the window.
//
// File header  magic32 | major16 minor16 | thiszone32 | sigfigs32 | snaplen32 | link type and FCS bits 32
// Record       seconds32 | fraction32 | caplen32 | origlen32 | (modified: ifindex32 protocol16 type8 pad8) | bytes
#include "sensor/sources/file/pcap_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sealtap/cursor.h"

#define FILE_HEADER_LEN 24
#define RECORD_HEADER_LEN 16
// The upper bits of the link type word: FCS length in units of 16 bits, its presence, and reserved ones.
#define LINKTYPE_MASK 0x0000ffffu
#define LINKTYPE_RESERVED 0x03ff0000u

static const struct pcap_variant {
	uint32_t magic;
	const char *name;
	uint32_t unit_ns;
	uint32_t file_header_len, record_header_len;
} variants[] = {
        {0xa1b2c3d4, "us", 1000, FILE_HEADER_LEN, RECORD_HEADER_LEN},
        {0xa1b23c4d, "ns", 1, FILE_HEADER_LEN, RECORD_HEADER_LEN},
        {0xa1b2cd34, "modified us", 1000, FILE_HEADER_LEN, RECORD_HEADER_LEN + 8}, // Kuznetzov, 1999
        {0x1c0001ac, "ixia ns", 1, FILE_HEADER_LEN + 4, RECORD_HEADER_LEN},        // a length follows the header
        {0x1c0001ab, "ixia us", 1000, FILE_HEADER_LEN + 4, RECORD_HEADER_LEN},
};

static const struct pcap_variant *find_variant(const uint8_t magic[4], bool *ret_big_endian)
{
	for (int big_endian = 0; big_endian < 2; ++big_endian) {
		struct cursor c = cursor_over(magic, 4, big_endian);
		uint32_t number = cursor_u32(&c);

		for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); ++i)
			if (variants[i].magic == number) {
				*ret_big_endian = big_endian;
				return &variants[i];
			}
	}
	return NULL;
}

bool pcap_magic_known(const uint8_t magic[4])
{
	bool big_endian;
	return find_variant(magic, &big_endian) != NULL;
}

static enum pcap_lengths lengths_of(uint16_t major, uint16_t minor)
{
	if (major == 543 || (major == 2 && minor < 3)) // 543.0: DG/UX tcpdump
		return LENGTHS_ORIGLEN_FIRST;
	if (major == 2 && minor == 3)
		return LENGTHS_GREATER_IS_ORIGLEN;
	return LENGTHS_CAPLEN_FIRST;
}

static void format_text(struct source *s, const struct pcap_variant *variant, bool big_endian, uint16_t major,
        uint16_t minor, uint32_t linktype)
{
	size_t used = strlen(s->end.format);
	char version[24] = "", bits[24] = "";

	if (major != 2 || minor != 4)
		snprintf(version, sizeof(version), " v%u.%u", major, minor);
	if (linktype & ~LINKTYPE_MASK)
		snprintf(bits, sizeof(bits), " linktype=0x%08" PRIx32, linktype);
	snprintf(s->end.format + used, sizeof(s->end.format) - used, "pcap %s %s%s%s", variant->name,
	        big_endian ? "be" : "le", version, bits);
}

// 1 when the header is read, 0 with the report when it is not, or a negative errno.
static int read_file_header(
        struct pcap_reader *r, struct source *s, struct input_stream *in, struct reader_report *report)
{
	uint64_t offset = input_stream_offset(in);
	const struct pcap_variant *variant;
	struct source_lane lane = {0};
	uint16_t major, minor;
	uint32_t linktype;
	struct cursor c;
	int n;

	reader_need(report, FILE_HEADER_LEN, "the file header", false);
	if (input_stream_len(in) < FILE_HEADER_LEN)
		return 0;
	variant = find_variant(input_stream_data(in), &r->big_endian);
	if (!variant) {
		reader_damage(report, offset, "not the magic number of a pcap file");
		return 0;
	}
	if (input_stream_len(in) < variant->file_header_len) {
		report->need = variant->file_header_len;
		return 0;
	}
	c = cursor_over(input_stream_data(in), variant->file_header_len, r->big_endian);
	cursor_u32(&c);
	major = cursor_u16(&c);
	minor = cursor_u16(&c);
	cursor_bytes(&c, 8);
	lane.snaplen = cursor_u32(&c);
	linktype = cursor_u32(&c);
	format_text(s, variant, r->big_endian, major, minor, linktype);
	if (major < 2) {
		reader_damage(
		        report, offset + 4, "pcap version %u.%u is not supported, only 2.0 and later", major, minor);
		return 0;
	}
	if (linktype & LINKTYPE_RESERVED) {
		reader_damage(
		        report, offset + 20, "reserved bits of the link type 0x%08" PRIx32 " are not zero", linktype);
		return 0;
	}
	lane.linktype = (uint16_t)(linktype & LINKTYPE_MASK);
	n = source_file_add_lane(s, &lane);
	if (n < 0)
		return n;
	r->unit_ns = variant->unit_ns;
	r->record_header_len = variant->record_header_len;
	r->lengths = lengths_of(major, minor);
	input_stream_consume(in, variant->file_header_len);
	return 1;
}

static void swap_lengths(enum pcap_lengths lengths, struct packet *p)
{
	if (lengths == LENGTHS_ORIGLEN_FIRST || p->caplen > p->origlen) {
		uint32_t t = p->caplen;
		p->caplen = p->origlen;
		p->origlen = t;
	}
}

int pcap_reader_batch(struct pcap_reader *r, struct source *s, struct input_stream *in, struct packet *batch,
        unsigned max, struct reader_report *report)
{
	unsigned n = 0;

	if (!r->header_done) {
		int done = read_file_header(r, s, in, report);
		if (done <= 0)
			return done;
		r->header_done = true;
	}
	for (; n < max; ++n) {
		struct cursor c = cursor_over(input_stream_data(in), input_stream_len(in), r->big_endian);
		struct packet *p = &batch[n];
		uint64_t seconds, fraction;

		if (cursor_left(&c) < r->record_header_len) {
			reader_need(report, r->record_header_len, "a packet's header", true);
			break;
		}
		seconds = cursor_u32(&c);
		fraction = cursor_u32(&c);
		*p = (struct packet){.ts_ns = seconds * 1000000000u + fraction * r->unit_ns};
		p->caplen = cursor_u32(&c);
		p->origlen = cursor_u32(&c);
		cursor_bytes(&c, r->record_header_len - RECORD_HEADER_LEN);
		if (r->lengths != LENGTHS_CAPLEN_FIRST)
			swap_lengths(r->lengths, p);
		if (p->caplen > CAPLEN_MAX) {
			reader_damage(report, input_stream_offset(in),
			        "packet %" PRIu64 " says %" PRIu32 " captured bytes, more than %u",
			        s->end.packets + n + 1, p->caplen, CAPLEN_MAX);
			break;
		}
		p->data = cursor_bytes(&c, p->caplen);
		if (!p->data) {
			reader_need(report, r->record_header_len + p->caplen, "a packet", false);
			break;
		}
		input_stream_consume(in, r->record_header_len + p->caplen);
	}
	return (int)n;
}

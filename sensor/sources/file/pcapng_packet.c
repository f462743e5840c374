// SPDX-License-Identifier: Apache-2.0
// Owns the three packet blocks of pcapng and their times.
// One thread: RX of the recorder, or the verifier; no state but the reader's interfaces.
// Must not copy packet bytes.
//
// EPB  type32 total32 | interface32          | ts_hi32 ts_lo32 caplen32 origlen32 | bytes, padded | options | total32
// PB   type32 total32 | interface16 drops16  | ts_hi32 ts_lo32 caplen32 origlen32 | bytes, padded | options | total32
// SPB  type32 total32 | origlen32            | bytes, padded | total32
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "sensor/sources/file/pcapng_reader.h"

#define OPT_FLAGS 2u
#define DROPS_UNKNOWN 0xffffu

#define BAD(...) (snprintf(reason, reason_len, __VA_ARGS__), -EBADMSG)

// The nearest time that fits the format, 0 to 2^64-1 nanoseconds: a packet with an odd time is a packet.
static void to_ns(const struct pcapng_interface *i, uint64_t ts, struct pcapng_packet *ret)
{
	unsigned __int128 scaled = (unsigned __int128)ts * i->mul;
	__int128 ns;

	if (i->shift) {
		ret->ts_truncated = (scaled & (((unsigned __int128)1 << i->shift) - 1)) != 0;
		scaled >>= i->shift;
	} else if (i->div != 1) {
		ret->ts_truncated = scaled % i->div != 0;
		scaled /= i->div;
	}
	ns = (__int128)scaled + (__int128)i->offset_s * 1000000000;
	if (ns < 0 || ns > UINT64_MAX) {
		ret->ts_out_of_range = ret->keep_fixed = true;
		ret->ts_truncated = false;
		ns = ns < 0 ? 0 : UINT64_MAX;
	}
	ret->packet.ts_ns = (uint64_t)ns;
}

// The flags word; keeps the area when anything else is in it.
static int read_options(struct cursor c, struct pcapng_packet *ret, char *reason, size_t reason_len)
{
	const uint8_t *area = c.at;
	size_t area_len = cursor_left(&c);
	struct pcapng_option o;
	bool keep = false, seen = false;
	int r;

	while ((r = pcapng_option_next(&c, &o)) > 0) {
		if (o.code == OPT_FLAGS && o.len != 4)
			return BAD("epb_flags of %u bytes instead of 4", o.len);
		if (o.code == OPT_FLAGS && !seen) {
			struct cursor value = cursor_over(o.value, 4, c.big_endian);
			ret->packet.flags = cursor_u32(&value);
			seen = true;
		} else {
			keep = true;
		}
	}
	if (r < 0)
		return BAD("an option of a packet block leaves the block");
	if (keep || cursor_left(&c)) { // bytes behind opt_endofopt are kept too
		ret->options = area;
		ret->options_len = area_len;
	}
	return 0;
}

int pcapng_packet_read(const struct pcapng_reader *r, uint32_t type, const uint8_t *block, uint32_t block_len,
        struct pcapng_packet *ret_packet, char *reason, size_t reason_len)
{
	struct cursor c = cursor_over(block + 8, block_len - 12, r->big_endian);
	struct pcapng_packet p = {0};
	const struct pcapng_interface *i;
	uint32_t interface = 0;
	uint64_t ts = 0;

	if (type == PCAPNG_EPB) {
		interface = cursor_u32(&c);
	} else if (type == PCAPNG_PB) {
		uint16_t drops;

		interface = cursor_u16(&c);
		drops = cursor_u16(&c);
		p.keep_fixed = drops != 0 && drops != DROPS_UNKNOWN;
	}
	if (type != PCAPNG_SPB) {
		ts = (uint64_t)cursor_u32(&c) << 32;
		ts |= cursor_u32(&c);
		p.packet.caplen = cursor_u32(&c);
	}
	p.packet.origlen = cursor_u32(&c);
	if (!cursor_ok(&c))
		return BAD("a packet block of %" PRIu32 " bytes is too short", block_len);
	if (interface >= r->interface_count)
		return BAD("interface %" PRIu32 " is not described, the section has %u", interface, r->interface_count);
	p.packet.lane = r->first_lane + interface;
	i = &r->interfaces[p.packet.lane];
	if (type == PCAPNG_SPB)
		p.packet.caplen = i->snaplen && i->snaplen < p.packet.origlen ? i->snaplen : p.packet.origlen;
	if (p.packet.caplen > CAPLEN_MAX)
		return BAD("%" PRIu32 " captured bytes, more than %u", p.packet.caplen, CAPLEN_MAX);
	p.packet.data = cursor_bytes(&c, p.packet.caplen);
	cursor_bytes(&c, -p.packet.caplen & 3);
	if (!cursor_ok(&c))
		return BAD("%" PRIu32 " captured bytes in a packet block of %" PRIu32, p.packet.caplen, block_len);
	if (type == PCAPNG_SPB) // no time, no options
		goto out;
	to_ns(i, ts, &p);
	if (cursor_left(&c)) {
		int n = read_options(c, &p, reason, reason_len);
		if (n < 0)
			return n;
	}
out:
	*ret_packet = p;
	return 0;
}

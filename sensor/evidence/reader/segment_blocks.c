// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/segment_blocks.h"

#include <errno.h>
#include <string.h>

#define SHB_TYPE 0x0A0D0D0Au
#define IDB_TYPE 0x00000001u
#define EPB_TYPE 0x00000006u
#define ISB_TYPE 0x00000005u
#define BYTE_ORDER_MAGIC 0x1A2B3C4Du

#define OPT_COMMENT 1
#define OPT_IF_NAME 2
#define OPT_IF_TSRESOL 9
#define OPT_EPB_FLAGS 2
#define OPT_ISB_IFRECV 4
#define OPT_ISB_IFDROP 5
#define OPT_ISB_USRDELIV 8

#define NONCE_COMMENT_LEN 40u // "nonce=" hex32 and two spaces
#define EPB_FIXED_LEN 32u     // without bytes, padding and options

static int bad(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EBADMSG;
}

// Takes an option header of exactly this code and length.
static void expect_option(struct cursor *c, uint16_t code, uint16_t len)
{
	if (cursor_le16(c) != code)
		c->bad = true;
	if (cursor_le16(c) != len)
		c->bad = true;
}

static void expect32(struct cursor *c, uint32_t value)
{
	if (cursor_le32(c) != value)
		c->bad = true;
}

static void expect16(struct cursor *c, uint16_t value)
{
	if (cursor_le16(c) != value)
		c->bad = true;
}

static bool nonce_comment_ok(const uint8_t *text)
{
	if (!text || memcmp(text, "nonce=", 6) != 0 || memcmp(text + 38, "  ", 2) != 0)
		return false;
	for (int i = 6; i < 38; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static bool shb_take(struct cursor *c)
{
	static const uint32_t total = 28 + 4 + NONCE_COMMENT_LEN + 4;

	expect32(c, SHB_TYPE);
	expect32(c, total);
	expect32(c, BYTE_ORDER_MAGIC);
	expect16(c, 1);
	expect16(c, 0);
	expect32(c, UINT32_MAX);
	expect32(c, UINT32_MAX);
	expect_option(c, OPT_COMMENT, NONCE_COMMENT_LEN);
	if (!nonce_comment_ok(cursor_bytes(c, NONCE_COMMENT_LEN)))
		c->bad = true;
	expect_option(c, 0, 0);
	expect32(c, total);
	return cursor_ok(c);
}

static bool idb_take(struct cursor *c, const struct segment_interface *interface)
{
	const size_t name_len = strlen(interface->name);
	const uint32_t name_total = name_len == 0 ? 0 : 4 + (uint32_t)((name_len + 3) / 4 * 4);
	const uint32_t total = 20 + name_total + 8 + 4;
	const uint8_t *name;

	expect32(c, IDB_TYPE);
	expect32(c, total);
	expect16(c, (uint16_t)interface->linktype);
	expect16(c, 0);
	expect32(c, interface->snaplen);
	if (name_len > 0) {
		expect_option(c, OPT_IF_NAME, (uint16_t)name_len);
		name = cursor_bytes(c, name_len);
		if (!name || memcmp(name, interface->name, name_len) != 0)
			c->bad = true;
		cursor_padding(c, name_len);
	}
	expect_option(c, OPT_IF_TSRESOL, 1);
	expect32(c, 9); // the byte and its padding
	expect_option(c, 0, 0);
	expect32(c, total);
	return cursor_ok(c);
}

int segment_head_check(
        const uint8_t *data, size_t len, const struct segment_interface *interface, const char **ret_reason)
{
	struct cursor c = cursor_make(data, len);

	if (!shb_take(&c))
		return bad(ret_reason, "the Section Header Block is not as section 3 prescribes");
	if (!idb_take(&c, interface))
		return bad(ret_reason,
		        "the Interface Description Block is not as section 3 and the lane's `begin` prescribe");
	if (cursor_left(&c) != 0)
		return bad(ret_reason,
		        "frame 0 holds more than a Section Header Block and an Interface Description Block");
	return 0;
}

int segment_tail_parse(
        const uint8_t *data, size_t len, struct segment_statistics *ret_statistics, const char **ret_reason)
{
	static const uint32_t total = 24 + 3 * 12 + 4;
	struct cursor c = cursor_make(data, len);
	struct segment_statistics s;

	expect32(&c, ISB_TYPE);
	expect32(&c, total);
	expect32(&c, 0);
	cursor_bytes(&c, 8); // the wall clock, not checked
	expect_option(&c, OPT_ISB_IFRECV, 8);
	s.received = cursor_le64(&c);
	expect_option(&c, OPT_ISB_IFDROP, 8);
	s.dropped = cursor_le64(&c);
	expect_option(&c, OPT_ISB_USRDELIV, 8);
	s.recorded = cursor_le64(&c);
	expect_option(&c, 0, 0);
	expect32(&c, total);
	if (!cursor_ok(&c) || cursor_left(&c) != 0)
		return bad(ret_reason,
		        "the Interface Statistics Block is not as section 3 prescribes, or is not alone in its frame");
	*ret_statistics = s;
	return 0;
}

int segment_packet_next(struct cursor *c, struct segment_packet *ret_packet, const char **ret_reason)
{
	struct segment_packet p = {.block = c->at};
	uint32_t total, with_flags;
	uint64_t ts_high;

	if (cursor_left(c) == 0)
		return 0;
	if (cursor_le32(c) != EPB_TYPE)
		return bad(ret_reason, "a block among the packets is no Enhanced Packet Block");
	total = cursor_le32(c);
	expect32(c, 0);
	ts_high = cursor_le32(c);
	p.packet.ts_ns = ts_high << 32;
	p.packet.ts_ns |= cursor_le32(c);
	p.packet.caplen = cursor_le32(c);
	p.packet.origlen = cursor_le32(c);
	if (!cursor_ok(c))
		return bad(ret_reason, "an Enhanced Packet Block is cut short");
	if (p.packet.caplen > CAPLEN_MAX)
		return bad(ret_reason, "a packet is longer than 262144 bytes");
	p.packet.data = cursor_bytes(c, p.packet.caplen);
	cursor_padding(c, p.packet.caplen);
	p.block_len = EPB_FIXED_LEN + (p.packet.caplen + 3) / 4 * 4;
	with_flags = p.block_len + 12;
	if (total == with_flags) {
		expect_option(c, OPT_EPB_FLAGS, 4);
		p.packet.flags = cursor_le32(c);
		if (p.packet.flags == 0)
			c->bad = true;
		expect_option(c, 0, 0);
		p.block_len = with_flags;
	} else if (total != p.block_len) {
		return bad(ret_reason, "the length of an Enhanced Packet Block does not fit its packet");
	}
	expect32(c, total);
	if (!cursor_ok(c))
		return bad(ret_reason, "padding, options or trailing length of an Enhanced Packet Block are wrong");
	*ret_packet = p;
	return 1;
}

enum frame_kind segment_frame_kind(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_make(data, len);

	return cursor_le32(&c) == ISB_TYPE ? FRAME_TAIL : FRAME_PACKETS;
}

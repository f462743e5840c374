// SPDX-License-Identifier: Apache-2.0
// The pcapng blocks of section 3, exactly as written there and no others. Works on decompressed frames; pure, any
// thread.
//
//   frame 0     SHB + IDB
//   frame k     EPB EPB ...
//   last frame  ISB
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/cursor.h"
#include "sensor/evidence/commit.h"

enum frame_kind { FRAME_HEAD, FRAME_PACKETS, FRAME_TAIL };

struct segment_interface {
	const char *name;
	uint32_t linktype;
	uint32_t snaplen;
};

struct segment_statistics {
	uint64_t received;
	uint64_t dropped;
	uint64_t recorded;
};

// One EPB as it stands in the frame.
struct segment_packet {
	struct commit_packet packet;
	const uint8_t *block;
	uint32_t block_len;
};

// 0 or -EBADMSG with a reason for people.
int segment_head_check(
        const uint8_t *data, size_t len, const struct segment_interface *interface, const char **ret_reason);
int segment_tail_parse(
        const uint8_t *data, size_t len, struct segment_statistics *ret_statistics, const char **ret_reason);
// 1 and a packet, 0 at the end of the frame, -EBADMSG.
int segment_packet_next(struct cursor *c, struct segment_packet *ret_packet, const char **ret_reason);
// Which kind a frame behind frame 0 claims to be, by its first block: FRAME_TAIL or FRAME_PACKETS.
enum frame_kind segment_frame_kind(const uint8_t *data, size_t len);

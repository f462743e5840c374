// SPDX-License-Identifier: Apache-2.0
// Owns the pcapng format (draft-ietf-opsawg-pcapng): sections, interfaces, blocks, options.
// One thread: RX of the recorder, or the verifier; parses in place out of the stream's window.
// Must not interpret what it only keeps: such blocks pass through to the extra file, whatever is in them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sealtap/cursor.h"
#include "sensor/sources/file/extra_writer.h"
#include "sensor/sources/file/input_stream.h"
#include "sensor/sources/file/source_file.h"

#define PCAPNG_SHB 0x0a0d0d0au
#define PCAPNG_IDB 1u
#define PCAPNG_PB 2u // obsolete
#define PCAPNG_SPB 3u
#define PCAPNG_EPB 6u

// How the times of an interface become nanoseconds: (ts * mul / div or >> shift) + offset.
struct pcapng_interface {
	uint64_t mul, div;
	unsigned shift;
	int64_t offset_s;
	uint32_t snaplen;
};

struct pcapng_reader {
	struct pcapng_interface *interfaces; // LANES_MAX, by lane
	struct extra_writer *extra;          // NULL: nothing is kept
	bool big_endian;
	unsigned first_lane;      // of this section
	unsigned interface_count; // of this section
	// A block that passes through
	uint64_t block_offset;
	uint32_t block_total; // as written
	uint32_t block_left;  // 0: between blocks
};

int pcapng_reader_init(struct pcapng_reader *r, struct extra_writer *extra);
void pcapng_reader_free(struct pcapng_reader *r);

// As pcap_reader_batch.
int pcapng_reader_batch(struct pcapng_reader *r, struct source *s, struct input_stream *in, struct packet *batch,
        unsigned max, struct reader_report *report);

#define PCAPNG_FIXED_LEN 28u // of EPB and PB, from the type to the original length

struct pcapng_option {
	uint16_t code, len;
	const uint8_t *value;
};

// 1, 0 at the end of the list, -EBADMSG when the list leaves its block.
int pcapng_option_next(struct cursor *c, struct pcapng_option *ret_option);

// A packet block, whole in memory. block_len is a multiple of 4 and at least 12.
struct pcapng_packet {
	struct packet packet;
	bool ts_truncated, ts_out_of_range;
	bool keep_fixed;        // what stands before the bytes says more than the packet can
	const uint8_t *options; // what has to be kept of them; NULL: nothing
	size_t options_len;
};

// 0, or -EBADMSG with the reason.
int pcapng_packet_read(const struct pcapng_reader *r, uint32_t type, const uint8_t *block, uint32_t block_len,
        struct pcapng_packet *ret_packet, char *reason, size_t reason_len);

// SPDX-License-Identifier: Apache-2.0
// What the inspector says to the flow log: one message a datagram, on a SOCK_SEQPACKET. The inspector parses hostile
// bytes and is believed nothing: whoever receives checks every length, and what it says is kept as its word only.
//
//   FLOW_STREAM_RECORD  header, then one packed record (analyzers/flow_pack.h)
//   FLOW_STREAM_ORDER   header, then `count` of struct inspected
//
// The order in which frames were looked at decides the records where lanes share flows, so it is kept with them: who
// repeats the inspection over the sealed segments in this order comes to the same records. Frames that are not named
// were not looked at: the inspector was behind, or was not there.
#pragma once

#include <stdint.h>

#define FLOW_STREAM_ORDER_MAX 512u // entries in one message

enum flow_stream_type { FLOW_STREAM_RECORD = 1, FLOW_STREAM_ORDER };

enum inspected_kind {
	INSPECTED_START, // with empty tables: an inspector begins, with `lane` threads and a seed of 63 bits in `ns`
	INSPECTED_FRAME, // every packet of one frame of a segment
	INSPECTED_TICK,  // no packet before `ns` will come: what has been idle until then has ended
	INSPECTED_LOST,  // `ns` records were not taken by the flow log in time
	INSPECTED_END,   // all flows were ended: the recording's end
	INSPECTED_KINDS
};

struct inspected {
	uint32_t kind; // enum inspected_kind
	uint32_t lane;
	uint32_t segment; // number
	uint32_t frame;   // of zstd in the segment, from 0: the first of packets is 1
	uint64_t ns;      // of INSPECTED_TICK, since 1970; of INSPECTED_LOST, a number; of INSPECTED_START, a seed
};

struct flow_stream_header {
	uint32_t type; // enum flow_stream_type
	uint32_t count;
};

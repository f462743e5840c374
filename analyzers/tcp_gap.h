// SPDX-License-Identifier: Apache-2.0
// How much TCP payload receivers acknowledged that was never seen here: what was lost before the sensor, by a mirror
// port that drops for one, which tells nobody. State of each direction of a flow, and the holes of all flows of one
// thread.
//
// A hole is a range of sequence numbers that was passed over. Its bytes count as missed once they are acknowledged, and
// no longer when they come after all: lanes are not read in step, so that data may come after its acknowledgement. Only
// what is certain counts, so the result is rather too small:
//
//   - nothing before the first packet of a direction, and where its SYN was not seen, nothing before the first
//     acknowledgement of what was: what is missing till then may have been sent before the capture began
//   - a direction of which no packet was seen is not loss but a tap on one side; its bytes are counted apart
//   - an acknowledgement over 16 MiB ahead of all that is known is implausible, for forging one is easy; after a real
//   loss
//     of that size the sender's own numbers tell of it. These are believed up to 1 GiB ahead, the largest window (RFC
//     7323)
//   - the last number that only acknowledgements tell of may be a FIN, and counts when something follows it
//   - RST packets say nothing
//
// The state follows from the packets of the flow alone, but for a want of room, which is counted. A flow takes room
// with the first packet that acknowledges something: openings that nobody answers take none.
#pragma once

#include "analyzers/decode.h"

#define TCP_GAP_FLOW_HOLES_MAX 64u // of one direction

// Of one direction: what one side sent and the other acknowledged. All zero: nothing is known yet.
struct tcp_gap {
	uint64_t acked_bytes : 48; // of this record
	uint64_t hole_count : 8;
	uint64_t seen : 1;          // a packet of it, of any length but not RST
	uint64_t started : 1;       // end is known
	uint64_t acked_known : 1;   // acked is known, and while not started alone
	uint64_t in_step : 1;       // its SYN was seen, or an acknowledgement of what was seen
	uint64_t top_unsure : 1;    // the number before end may be a FIN's
	uint64_t fin : 1;           // and stands at end
	uint64_t missed_bytes : 48; // of this record
	uint32_t gaps;              // holes that they are in
	uint32_t end;               // first number of which nothing is known
	uint32_t acked;             // not beyond end
	uint32_t holes;             // the highest, counted from 1; 0: none
};
_Static_assert(sizeof(struct tcp_gap) == 32, "half a cache line");

struct tcp_gap_stats {
	uint64_t acked_bytes;     // payload acknowledged by its receiver, of directions that were seen
	uint64_t missed_bytes;    // of these, never seen. Goes back when late packets come
	uint64_t gaps;            // in so many pieces
	uint64_t one_sided_bytes; // payload acknowledged, of directions of which no packet was seen; told by records
	uint64_t implausible;     // packets whose numbers lead nowhere
	uint64_t flows_left_out;  // for want of room, from all of this
	uint64_t holes_dropped;   // likewise: what was acknowledged in them later is not in missed_bytes
};

struct tcp_gaps;

// Beside a flow table of flows_max: half as many connections are followed, 35 MiB for a million. 0 or -ENOMEM.
int tcp_gaps_new(uint32_t flows_max, struct tcp_gaps **ret_gaps);
void tcp_gaps_free(struct tcp_gaps *g);
// state: what stands for the flow here, 0 for a new one. flags: of each direction seen so far, this packet's among
// them. The packet is TCP, and no fragment but a first one.
void tcp_gap_packet(struct tcp_gaps *g, uint32_t *state, enum flow_direction direction,
        const uint8_t flags[FLOW_DIRECTIONS], const struct decoded_flow *packet);
// Of both directions; NULL: nothing is known of it.
const struct tcp_gap *tcp_gap_of(const struct tcp_gaps *g, uint32_t state);
// A record was made, and the flow goes on: the next one counts from zero.
void tcp_gap_next_record(struct tcp_gaps *g, uint32_t state);
// A record was made, and the flow ends.
void tcp_gap_end(struct tcp_gaps *g, uint32_t *state);
void tcp_gaps_stats(const struct tcp_gaps *g, struct tcp_gap_stats *ret_stats);

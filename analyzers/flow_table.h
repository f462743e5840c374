// SPDX-License-Identifier: Apache-2.0
// The flows of one thread: a table of fixed size, found by hash, ended by a timer wheel, and when it is full by ending
// the flow that was longest unused. One thread; all memory is reserved at the start and touched as flows come.
//
// Whether a packet belongs to a flow or begins the next one is decided by the times of that flow's own packets, so that
// it does not depend on what else is in the table; the wheel only finds flows to which nothing comes any more.
#pragma once

#include "analyzers/flow_key.h"

#define FLOW_NONE UINT32_MAX

struct flow {
	struct flow_key key;
	uint32_t hash, hash_next;
	uint32_t lru_prev, lru_next;     // towards longer and shorter unused
	uint32_t wheel_prev, wheel_next; // within a slot
	uint32_t wheel_slot;             // FLOW_NONE: in none
	uint32_t last_tick;
	uint64_t start_ns, last_ns;
	uint64_t pkts[FLOW_DIRECTIONS], bytes[FLOW_DIRECTIONS], ip_bytes[FLOW_DIRECTIONS];
	struct flow_segments segments[FLOW_LANES_MAX];
	uint8_t tunnel_src[FLOW_ADDR_LEN], tunnel_dest[FLOW_ADDR_LEN];
	uint32_t tunnel_id;
	uint8_t tunnel_ip_version;
	uint8_t vlan_count;
	uint8_t source; // which endpoint of the key is "src"
	uint8_t tcp_flags[FLOW_DIRECTIONS];
	uint8_t icmp_type, icmp_code;
	uint8_t segments_count : 2, segments_more : 1, closed : 1, has_ports : 1;
	uint8_t cut : 1;      // of whoever knows the cutoff: it is reached, so that its end need not be seen
	uint8_t cut_told : 1; // likewise: that it is a flow with a cutoff
	uint8_t cut_not : 1;  // likewise: it goes on as another connection than the one that was looked into
	uint64_t cut_bytes;
	// Of whoever looks into the packets: the table keeps them with the flow, and zero for a new one.
	uint8_t app_packets;
	uint8_t app_done : 1;
	uint8_t app_guessed : 1; // by ports and addresses: the packets did not tell
	uint16_t app_master, app_proto, app_category;
	uint8_t app_confidence;
	uint32_t app_state; // FLOW_NONE: none
	uint32_t gap;       // of tcp_gap.h; 0: none
	uint64_t app_risk;
	char *app_texts;
};
_Static_assert(sizeof(struct flow) <= 288, "a million flows in 400 MB, with what is beside them");

// A packet's part in a flow. More than one packet: fragments that came before the one with the ports.
struct flow_arrival {
	uint64_t ts_ns;
	uint64_t pkts, bytes, ip_bytes;
	uint32_t lane, segment;
};

struct flow_table_config {
	uint32_t flows_max;
	uint64_t seed;          // of the hash: unknown to whoever sends packets, equal where results must be
	uint64_t idle_tcp_ns;   // nothing for so long: it has ended; 0: never
	uint64_t idle_other_ns; // of everything but TCP
	uint64_t close_ns;      // of a TCP connection after RST, or FIN of both
	uint64_t active_ns;     // lasts longer than that: a record, and it goes on; 0: never
	// The flow is still in the table. With FLOW_REASON_ACTIVE_TIMEOUT it stays.
	void (*ended)(void *user, struct flow *flow, enum flow_reason reason);
	void *user;
};

#define FLOW_IDLE_TCP_NS 300000000000ull
#define FLOW_IDLE_OTHER_NS 60000000000ull
#define FLOW_CLOSE_NS 5000000000ull
#define FLOW_ACTIVE_NS 1800000000000ull
#define FLOW_TABLE_FLOWS 1048576u

struct flow_table_stats {
	uint64_t begun;
	uint64_t ended[FLOW_REASONS];
	uint64_t now, now_max; // in the table
};

struct flow_table;

int flow_table_new(const struct flow_table_config *config, struct flow_table **ret_table); // 0 or -ENOMEM
// Does not end what is in it.
void flow_table_free(struct flow_table *t);
// Adds a packet to its flow, which is begun when there is none. Never fails: a full table ends another flow first.
struct flow *flow_table_add(struct flow_table *t, const struct decoded_flow *packet, const struct flow_arrival *arrival,
        enum flow_direction *ret_direction);
// Fragments of a flow that was just added to, in the direction of that packet: they came before.
void flow_table_credit(struct flow *flow, enum flow_direction direction, const struct flow_arrival *arrival);
// Time has come to ts_ns without a packet: ends what has been idle for its time by then. A time before the newest that
// was seen changes nothing.
void flow_table_tick(struct flow_table *t, uint64_t ts_ns);
// Ends every flow, the longest unused first.
void flow_table_end(struct flow_table *t);
void flow_table_stats(const struct flow_table *t, struct flow_table_stats *ret_stats);
enum flow_state flow_state_of(const struct flow *flow);

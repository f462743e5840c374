// SPDX-License-Identifier: Apache-2.0
// Packets in, flow records out: decode, fragments, flow table and application in order. One per thread. The record, and
// all that it points to, is valid during the call that hands it over.
#pragma once

#include "analyzers/app_set.h"
#include "analyzers/flow_table.h"
#include "analyzers/tcp_gap.h"
#include "bpf/shunt.h"

struct flow_meter_config {
	uint32_t flows_max;
	uint64_t seed;
	uint64_t idle_tcp_ns, idle_other_ns, close_ns, active_ns; // as of the flow table
	bool dpi;
	struct dpi_config dpi_config;
	void (*record)(void *user, const struct flow_record *record);
	// May be NULL: told of a first fragment that later ones came before, and when these began to.
	void (*fragments_before)(void *user, const struct decoded_flow *first, uint64_t first_ns, uint64_t since_ns);
	void *user;
};

// Every packet is counted once by how it was decoded: packets = ip + not_ip + link_unknown + malformed.
struct flow_meter_stats {
	uint64_t packets, ip, not_ip, link_unknown, malformed;
	uint64_t inner_malformed; // of ip: a tunnel's content could not be followed
	uint64_t inner;           // packets inside tunnels, counted in flows of their own
	uint64_t fragments_lost;  // fragments whose first one never came, in flows without ports
	uint64_t records;
	struct flow_table_stats table;
	struct dpi_stats dpi;
	struct tcp_gap_stats gap;
};

struct flow_meter;

int flow_meter_new(const struct flow_meter_config *config, struct flow_meter **ret_meter); // 0 or -ENOMEM
void flow_meter_free(struct flow_meter *m);

// Flows of which a recording holds the first so many bytes (bpf/shunt.h) say so in their record.
struct flow_cutoff {
	uint64_t bytes;             // 0, as at first: none
	const struct app_set *apps; // only of these, once the packets of a flow have settled what it is; NULL: of all
	// With apps; may be NULL. A flow is one of these, by a packet at that time: at first when it is tell_ns old,
	// and again as long as packets of it come, for whoever may not have heard it. False: say it again with the
	// next.
	bool (*tell)(void *user, const struct shunt_key *key, uint64_t ns);
	uint64_t tell_ns;
};
void flow_meter_cutoff(struct flow_meter *m, const struct flow_cutoff *cutoff);

struct metered_packet {
	const uint8_t *data;
	uint32_t caplen, origlen, linktype;
	uint64_t ts_ns;
	uint32_t lane, segment;
};
void flow_meter_packet(struct flow_meter *m, const struct metered_packet *packet);
// The same for one that was decoded already.
void flow_meter_decoded(struct flow_meter *m, const struct metered_packet *packet, struct decoded *decoded);
// No packet before ts_ns will come: flows that have been idle for their time by then end. Only forward.
void flow_meter_tick(struct flow_meter *m, uint64_t ts_ns);
// Ends all flows.
void flow_meter_end(struct flow_meter *m);
void flow_meter_stats(const struct flow_meter *m, struct flow_meter_stats *ret_stats);
// Of several meters together.
void flow_meter_stats_add(struct flow_meter_stats *sum, const struct flow_meter_stats *more);
// What looks into its packets, or NULL.
struct dpi *flow_meter_dpi(struct flow_meter *m);

// SPDX-License-Identifier: Apache-2.0
// The flows of a capture file by the analyzers alone, read with libpcap as ndpiReader reads it: for scripts/bench flows
// and for profilers. Each record is packed as the inspector packs it, and goes nowhere.
// `meter_capture FILE [STATES]`: looks into so many flows at once; prints counts as JSON. One process, one thread.
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "analyzers/flow_meter.h"
#include "analyzers/flow_pack.h"

struct run {
	struct flow_meter *meter;
	uint32_t linktype;
	uint64_t packed_bytes, unpacked;
};

static void take_record(void *user, const struct flow_record *record)
{
	static uint8_t packed[FLOW_PACKED_MAX];
	struct run *run = user;
	const int r = flow_pack(record, packed);

	run->packed_bytes += r > 0 ? (uint64_t)r : 0;
	run->unpacked += r < 0;
}

static void take_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct run *run = (struct run *)(void *)user;
	const struct metered_packet packet = {.data = data,
	        .caplen = h->caplen,
	        .origlen = h->len,
	        .linktype = run->linktype,
	        .ts_ns = (uint64_t)h->ts.tv_sec * 1000000000 + (uint64_t)h->ts.tv_usec};

	flow_meter_packet(run->meter, &packet);
}

int main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE] = "usage: meter_capture FILE [STATES]";
	pcap_t *file = argc == 2 || argc == 3
	                       ? pcap_open_offline_with_tstamp_precision(argv[1], PCAP_TSTAMP_PRECISION_NANO, why)
	                       : NULL;
	struct run run = {.meter = NULL};
	const struct flow_meter_config config = {.flows_max = FLOW_TABLE_FLOWS,
	        .seed = 0x243f6a8885a308d3,
	        .idle_tcp_ns = FLOW_IDLE_TCP_NS,
	        .idle_other_ns = FLOW_IDLE_OTHER_NS,
	        .close_ns = FLOW_CLOSE_NS,
	        .active_ns = FLOW_ACTIVE_NS,
	        .dpi = dpi_library() != NULL,
	        .dpi_config = {.states_max = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0},
	        .record = take_record,
	        .user = &run};
	struct flow_meter_stats s;
	bool damaged;

	if (!file) {
		fprintf(stderr, "meter_capture: %s\n", why);
		return 2;
	}
	run.linktype = (uint32_t)pcap_datalink(file);
	if (flow_meter_new(&config, &run.meter) < 0) {
		fprintf(stderr, "meter_capture: no memory\n");
		return 1;
	}
	damaged = pcap_loop(file, -1, take_packet, (u_char *)&run) < 0;
	if (damaged)
		fprintf(stderr, "meter_capture: %s\n", pcap_geterr(file));
	flow_meter_end(run.meter);
	flow_meter_stats(run.meter, &s);
	printf("{\"dpi\": \"%s\", \"packets\": %lu, \"ip\": %lu, \"inner\": %lu, \"dpi_packets\": %lu, "
	       "\"given_up_early\": %lu, "
	       "\"records\": %lu, \"packed_bytes\": %lu, \"too_long\": %lu, \"flows_at_once\": %lu}\n",
	        dpi_library() ? dpi_library() : "none", s.packets, s.ip, s.inner, s.dpi.packets, s.dpi.given_up_early,
	        s.records, run.packed_bytes, run.unpacked, s.table.now_max);
	flow_meter_free(run.meter);
	pcap_close(file);
	return damaged || run.unpacked > 0;
}

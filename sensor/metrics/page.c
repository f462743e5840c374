// SPDX-License-Identifier: Apache-2.0
#include "sensor/metrics/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealtap/block.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/ipc/job.h"

// Upper bounds, to know the length of a page before it is written.
#define RUN_SAMPLES_MAX 48u
#define EXPORT_SAMPLES_MAX 8u                                                  // for each target
#define TARGET_BYTES_MAX (3 * sizeof(((struct control_export *)NULL)->target)) // as a label
#define LANE_SAMPLES_MAX 24u
#define SAMPLE_BYTES_MAX 192u // without the labels of its run and lane

struct page {
	FILE *out;
	uint64_t now_ns;
	bool confidential;
	const char *name; // of the metric that is being written
};

// A run (lane is NULL) or one of its lanes.
struct subject {
	const struct control_run *run;
	const struct control_lane *lane;
	char *labels;
};

static void put_value_text(FILE *out, const char *label, const char *text)
{
	json_t *valid = json_text(text, strlen(text));
	const unsigned char *at = (const unsigned char *)(valid ? json_string_value(valid) : "?");

	fprintf(out, "%s=\"", label);
	for (; *at; at++) {
		if (*at == '\n')
			fputs("\\n", out);
		else if (*at == '\\' || *at == '"')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f) // whoever looks at it in a terminal
			fputs("\xef\xbf\xbd", out);
		else
			fputc(*at, out);
	}
	fputc('"', out);
	json_decref(valid);
}

static void put_name(const struct page *p, const struct subject *s, const char *label, const char *text)
{
	fprintf(p->out, "%s{%s", p->name, s->labels);
	if (label) {
		fputc(',', p->out);
		put_value_text(p->out, label, text);
	}
	fputs("} ", p->out);
}

static void put_count(const struct page *p, const struct subject *s, const char *label, const char *text, uint64_t n)
{
	put_name(p, s, label, text);
	fprintf(p->out, "%" PRIu64 "\n", n);
}

static void put_level(const struct page *p, const struct subject *s, int32_t level)
{
	put_name(p, s, NULL, NULL);
	fprintf(p->out, "%" PRId32 "\n", level);
}

static void put_seconds(const struct page *p, const struct subject *s, const char *label, const char *text, uint64_t ns)
{
	put_name(p, s, label, text);
	fprintf(p->out, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void give_info(const struct page *p, const struct subject *s)
{
	char id[HEX_LEN(DIGEST_LEN)];

	hex_encode(s->run->recording_id, DIGEST_LEN, id);
	fprintf(p->out, "%s{%s,recording_id=\"%s\",kind=\"%s\",process=\"%" PRIu32 "\",", p->name, s->labels, id,
	        s->run->kind == JOB_INGEST ? "ingest" : "capture", s->run->pid);
	put_value_text(p->out, "driver", s->run->driver);
	if (p->confidential) {
		fputc(',', p->out);
		put_value_text(p->out, "reference", s->run->reference);
		fputc(',', p->out);
		put_value_text(p->out, "operator", s->run->operator_name);
	}
	fputs("} 1\n", p->out);
}

static void give_state(const struct page *p, const struct subject *s)
{
	struct control_run r = *s->run;

	for (r.state = CONTROL_STARTING; r.state <= CONTROL_ENDING; r.state++)
		put_count(p, s, "state", run_state_name(&r), r.state == s->run->state);
}

static void give_since(const struct page *p, const struct subject *s)
{
	if (s->run->since_ns)
		put_seconds(p, s, NULL, NULL, s->run->since_ns);
}

static void give_elapsed(const struct page *p, const struct subject *s)
{
	if (s->run->since_ns)
		put_seconds(p, s, NULL, NULL, s->run->elapsed_ns);
}

static void give_ratio(const struct page *p, const struct subject *s)
{
	const struct wire_status *w = &s->run->status;

	if (w->raw_bytes == 0)
		return;
	put_name(p, s, NULL, NULL);
	fprintf(p->out, "%.17g\n", (double)w->stored_bytes / (double)w->raw_bytes);
}

static void give_segments(const struct page *p, const struct subject *s)
{
	put_count(p, s, NULL, NULL, s->run->status.segments);
}

// Nothing has been heard of the present recorder.
static bool silent(const struct subject *s)
{
	return s->run->status.pool_blocks == 0;
}

static void give_compression(const struct page *p, const struct subject *s)
{
	if (!silent(s))
		put_level(p, s, s->run->status.level);
}

static void give_ceiling(const struct page *p, const struct subject *s)
{
	put_level(p, s, s->run->level_ceiling);
}

static void give_pool(const struct page *p, const struct subject *s)
{
	if (!silent(s))
		put_count(p, s, NULL, NULL, (uint64_t)s->run->status.pool_blocks * BLOCK_BYTES);
}

static void give_pool_free(const struct page *p, const struct subject *s)
{
	if (!silent(s))
		put_count(p, s, NULL, NULL, (uint64_t)s->run->status.pool_free * BLOCK_BYTES);
}

static void give_stall(const struct page *p, const struct subject *s)
{
	uint64_t ms = s->run->status.stall_ms;

	if (silent(s) || ms == WIRE_STALL_UNKNOWN)
		return;
	put_name(p, s, NULL, NULL);
	fprintf(p->out, "%" PRIu64 ".%03" PRIu64 "\n", ms / 1000, ms % 1000);
}

static void give_signed(const struct page *p, const struct subject *s)
{
	if (s->run->ledger.size)
		put_count(p, s, NULL, NULL, s->run->ledger.size);
}

static void give_checkpoint(const struct page *p, const struct subject *s)
{
	if (s->run->ledger.signed_ns)
		put_seconds(p, s, NULL, NULL, s->run->ledger.signed_ns);
}

static void give_checkpoint_age(const struct page *p, const struct subject *s)
{
	uint64_t at = s->run->ledger.signed_ns;

	if (at)
		put_seconds(p, s, NULL, NULL, p->now_ns > at ? p->now_ns - at : 0);
}

static void give_sync(const struct page *p, const struct subject *s)
{
	if (s->run->ledger.sync_ns_max)
		put_seconds(p, s, NULL, NULL, s->run->ledger.sync_ns_max);
}

static void give_restarts(const struct page *p, const struct subject *s)
{
	put_count(p, s, NULL, NULL, s->run->restarts);
}

static void give_incident(const struct page *p, const struct subject *s)
{
	if (s->run->incident.kind[0])
		put_seconds(p, s, "incident", s->run->incident.kind, s->run->incident_ns);
}

static void give_inspecting(const struct page *p, const struct subject *s)
{
	if (s->run->inspection.state != INSPECTION_OFF)
		put_count(p, s, NULL, NULL, s->run->inspection.state == INSPECTION_RUNNING);
}

static void give_inspector_deaths(const struct page *p, const struct subject *s)
{
	put_count(p, s, NULL, NULL, s->run->inspection.deaths);
}

static void give_exporter_deaths(const struct page *p, const struct subject *s)
{
	if (s->run->exports > 0)
		put_count(p, s, NULL, NULL, s->run->exporter_deaths);
}

// At that offset of each target's progress.
static void give_exports(const struct page *p, const struct subject *s, size_t at)
{
	uint64_t value;

	for (uint32_t i = 0; i < s->run->exports; i++) {
		memcpy(&value, (const char *)&s->run->export[i].progress + at, sizeof(value));
		put_count(p, s, "target", s->run->export[i].target, value);
	}
}

#define GIVE_EXPORT(field)                                                                                             \
	static void give_export_##field(const struct page *p, const struct subject *s)                                 \
	{                                                                                                              \
		give_exports(p, s, offsetof(struct export_progress, field));                                           \
	}
GIVE_EXPORT(delivered)
GIVE_EXPORT(dropped)
GIVE_EXPORT(refused)
GIVE_EXPORT(malformed)
GIVE_EXPORT(breaks)
GIVE_EXPORT(waiting)
GIVE_EXPORT(behind_bytes)
#undef GIVE_EXPORT

static void give_export_up(const struct page *p, const struct subject *s)
{
	for (uint32_t i = 0; i < s->run->exports; i++)
		put_count(p, s, "target", s->run->export[i].target,
		        s->run->export[i].running && !s->run->export[i].progress.broken);
}

static void give_dropped(const struct page *p, const struct subject *s)
{
	for (int i = 0; i < DROP_CAUSES; i++)
		put_count(p, s, "cause", drop_cause_names[i], s->lane->lane.counters.dropped[i]);
}

static void give_dropped_now(const struct page *p, const struct subject *s)
{
	for (int i = 0; i < DROP_CAUSES; i++)
		put_count(p, s, "cause", drop_cause_names[i], s->lane->lane.dropped[i]);
}

static void give_driver_received(const struct page *p, const struct subject *s)
{
	if (s->lane->lane.counters.driver_mask & COUNTERS_DRIVER_RECEIVED)
		put_count(p, s, NULL, NULL, s->lane->lane.counters.driver_received);
}

static void give_driver_dropped(const struct page *p, const struct subject *s)
{
	if (s->lane->lane.counters.driver_mask & COUNTERS_DRIVER_DROPPED)
		put_count(p, s, NULL, NULL, s->lane->lane.counters.driver_dropped);
}

static void give_nic_received(const struct page *p, const struct subject *s)
{
	if (s->lane->lane.counters.driver_mask & COUNTERS_NIC)
		put_count(p, s, NULL, NULL, s->lane->lane.counters.nic[NIC_RECEIVED]);
}

static void give_nic_dropped(const struct page *p, const struct subject *s)
{
	for (int i = NIC_MISSED; i < NIC_COUNTERS; i++)
		if (s->lane->lane.counters.driver_mask & COUNTERS_NIC)
			put_count(p, s, "cause", nic_counter_names[i], s->lane->lane.counters.nic[i]);
}

static void give_xdp_dropped(const struct page *p, const struct subject *s)
{
	for (int i = 0; i < XSK_LOSSES; i++)
		if (s->lane->lane.counters.driver_mask & COUNTERS_XDP)
			put_count(p, s, "cause", xsk_counter_names[i], s->lane->lane.counters.xsk[i]);
}

static void give_xdp_fill_empty(const struct page *p, const struct subject *s)
{
	if (s->lane->lane.counters.driver_mask & COUNTERS_XDP)
		put_count(p, s, NULL, NULL, s->lane->lane.counters.xsk[XSK_FILL_EMPTY]);
}

static void give_last_packet(const struct page *p, const struct subject *s)
{
	if (s->lane->lane.last_ns)
		put_seconds(p, s, NULL, NULL, s->lane->lane.last_ns);
}

// give writes the samples; without it the metric is the uint64_t at that offset.
struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t at;
	void (*give)(const struct page *p, const struct subject *s);
};
#define RUN(field) .at = offsetof(struct control_run, field)
#define LANE(field) .at = offsetof(struct control_lane, lane.counters.field)

static const struct metric run_metrics[] = {
        {"sealtap_capture_info", "gauge", "A running capture or ingest: 1, what it is stands in the labels.",
                .give = give_info},
        {"sealtap_capture_state", "gauge", "1 for the state that it is in, 0 for the others.", .give = give_state},
        {"sealtap_capture_start_timestamp_seconds", "gauge", "When capturing began.", .give = give_since},
        {"sealtap_capture_elapsed_seconds", "gauge", "Time since capturing began.", .give = give_elapsed},
        {"sealtap_raw_bytes_total", "counter", "Bytes of pcapng before compression.", RUN(status.raw_bytes)},
        {"sealtap_stored_bytes_total", "counter", "Bytes of segments after compression.", RUN(status.stored_bytes)},
        {"sealtap_compression_ratio", "gauge", "Stored bytes over raw bytes, since the start.", .give = give_ratio},
        {"sealtap_packets_per_second", "gauge", "Packets recorded in the last second.", RUN(packets_per_second)},
        {"sealtap_bytes_per_second", "gauge", "Raw bytes in the last second.", RUN(bytes_per_second)},
        {"sealtap_segments_total", "counter", "Segments begun.", .give = give_segments},
        {"sealtap_retired_segments_total", "counter", "Segments given up under the retention policy.",
                RUN(ledger.retired_segments)},
        {"sealtap_retired_packets_total", "counter", "Packets in segments given up under the retention policy.",
                RUN(ledger.retired_packets)},
        {"sealtap_compression_level", "gauge", "zstd level at present.", .give = give_compression},
        {"sealtap_compression_level_ceiling", "gauge", "zstd level asked for; under pressure the present one is lower.",
                .give = give_ceiling},
        {"sealtap_pool_bytes", "gauge", "Size of the block pool.", .give = give_pool},
        {"sealtap_pool_free_bytes", "gauge", "What of the block pool is free.", .give = give_pool_free},
        {"sealtap_pool_stall_seconds", "gauge",
                "How long the disk may stand still at the present rate; absent when nothing comes.",
                .give = give_stall},
        {"sealtap_checkpoint_lines_total", "counter", "Lines of the ledger that the newest checkpoint covers.",
                .give = give_signed},
        {"sealtap_checkpoint_timestamp_seconds", "gauge", "Time of the newest line that a checkpoint covers.",
                .give = give_checkpoint},
        {"sealtap_checkpoint_age_seconds", "gauge",
                "Age of the newest line that a checkpoint covers, by the sensor's clock; up to 6 s when nothing comes.",
                .give = give_checkpoint_age},
        {"sealtap_sync_max_seconds", "gauge", "Longest sync of the disk since the start.", .give = give_sync},
        {"sealtap_recorder_restarts_total", "counter", "Recorders that died and were replaced.", .give = give_restarts},
        {"sealtap_inspector_up", "gauge", "1 when flows are inspected; absent when that is not wanted.",
                .give = give_inspecting},
        {"sealtap_inspector_deaths_total", "counter", "Inspectors that died or were ended, and were replaced.",
                .give = give_inspector_deaths},
        {"sealtap_inspection_lent_packets_total", "counter", "Packets in blocks that were lent to the inspector.",
                RUN(inspection.lent_packets)},
        {"sealtap_inspection_shed_packets_total", "counter",
                "Packets recorded without being inspected: the inspector was behind, or not there.",
                RUN(inspection.shed_packets)},
        {"sealtap_inspected_packets_total", "counter", "Packets inspected, by the inspector's word.",
                RUN(inspection.packets)},
        {"sealtap_flows", "gauge", "Flows in the tables now.", RUN(inspection.flows)},
        {"sealtap_flows_forced_total", "counter", "Flows ended early because a table was full.",
                RUN(inspection.flows_forced)},
        {"sealtap_flow_records_total", "counter", "Flow records given to the flow log.", RUN(inspection.records)},
        {"sealtap_flow_records_lost_total", "counter", "Flow records that the flow log did not take in time.",
                RUN(inspection.records_lost)},
        {"sealtap_exporter_deaths_total", "counter",
                "Exporters of flow records that died or were ended, and were replaced.", .give = give_exporter_deaths},
        {"sealtap_export_up", "gauge", "1 while flow records go to this target, 0 while deliveries stand still.",
                .give = give_export_up},
        {"sealtap_export_delivered_total", "counter", "Flow records that this target has acknowledged.",
                .give = give_export_delivered},
        {"sealtap_export_dropped_total", "counter",
                "Flow records that this target will not get: it was too far behind.", .give = give_export_dropped},
        {"sealtap_export_refused_total", "counter", "Flow records that this target refused for good.",
                .give = give_export_refused},
        {"sealtap_export_malformed_total", "counter", "Lines and flow files that were not understood.",
                .give = give_export_malformed},
        {"sealtap_export_breaks_total", "counter", "Times that deliveries to this target stopped.",
                .give = give_export_breaks},
        {"sealtap_export_waiting", "gauge", "Flow records read and not acknowledged yet.", .give = give_export_waiting},
        {"sealtap_export_behind_bytes", "gauge", "Bytes of flow files that were not read for this target yet.",
                .give = give_export_behind_bytes},
        {"sealtap_tcp_acked_bytes", "gauge", "TCP payload that its receivers acknowledged.",
                RUN(inspection.acked_bytes)},
        {"sealtap_tcp_missed_bytes", "gauge",
                "What of sealtap_tcp_acked_bytes was never seen: lost before the sensor, or by it.",
                RUN(inspection.missed_bytes)},
        {"sealtap_marks_total", "counter", "Marks in the ledger.", RUN(ledger.marks)},
        {"sealtap_incidents_total", "counter", "Incidents in the ledger.", RUN(ledger.incidents)},
        {"sealtap_last_incident_timestamp_seconds", "gauge", "When the newest incident was heard of, and its kind.",
                .give = give_incident},
};

static const struct metric lane_metrics[] = {
        {"sealtap_frames_received_total", "counter",
                "Frames received: recorded + filtered + out_of_scope + shunted + dropped by cause.", LANE(received)},
        {"sealtap_frames_recorded_total", "counter", "Frames recorded.", LANE(recorded)},
        {"sealtap_frames_filtered_total", "counter", "Frames that the capture filter refused.", LANE(filtered)},
        {"sealtap_frames_out_of_scope_total", "counter", "Frames outside the authority's scope.", LANE(out_of_scope)},
        {"sealtap_frames_shunted_total", "counter", "Frames of flows whose rest is not recorded.", LANE(shunted)},
        {"sealtap_frames_dropped_total", "counter",
                "Frames received and lost by sealtap, by cause, at the end of the block written last.",
                .give = give_dropped},
        {"sealtap_frames_dropped_now_total", "counter",
                "The same up to this moment: ahead of sealtap_frames_dropped_total while the disk stands still.",
                .give = give_dropped_now},
        {"sealtap_driver_frames_received_total", "counter", "Frames that the driver says it received.",
                .give = give_driver_received},
        {"sealtap_driver_frames_dropped_total", "counter", "Frames that the driver lost before sealtap received them.",
                .give = give_driver_dropped},
        {"sealtap_nic_frames_received_total", "counter",
                "Frames that the interface received since the start; in its first lane.", .give = give_nic_received},
        {"sealtap_nic_frames_dropped_total", "counter",
                "Frames that the interface lost since the start, by its counters; in its first lane. dropped also has "
                "frames that only had no receiver.",
                .give = give_nic_dropped},
        {"sealtap_xdp_frames_dropped_total", "counter",
                "What of sealtap_driver_frames_dropped_total was why, with xdp.", .give = give_xdp_dropped},
        {"sealtap_xdp_fill_ring_empty_total", "counter",
                "How often the kernel looked for a free chunk of an AF_XDP socket and found none; not frames.",
                .give = give_xdp_fill_empty},
        {"sealtap_last_packet_timestamp_seconds", "gauge", "Greatest time of a packet in a segment.",
                .give = give_last_packet},
};
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(FILE *out, const char *name, const char *help, unsigned n)
{
	put_head(out, name, "gauge", help);
	fprintf(out, "%s %u\n", name, n);
}

static void put_all(struct page *p, const struct metric *m, size_t count, const struct subject *s, size_t subjects)
{
	for (size_t i = 0; i < count; i++) {
		p->name = m[i].name;
		put_head(p->out, m[i].name, m[i].type, m[i].help);
		for (size_t k = 0; k < subjects; k++) {
			const char *base = s[k].lane ? (const char *)s[k].lane : (const char *)s[k].run;

			if (m[i].give)
				m[i].give(p, &s[k]);
			else
				put_count(p, &s[k], NULL, NULL, *(const uint64_t *)(base + m[i].at));
		}
	}
}

// The labels, or NULL.
static char *labels(const struct control_run *run, const struct control_lane *lane)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	put_value_text(out, "recording", run->recording);
	fputc(',', out);
	put_value_text(out, "sensor", run->sensor);
	if (lane) {
		fprintf(out, ",lane=\"%" PRIu32 "\",", lane->lane.lane);
		put_value_text(out, "interface", lane->lane.interface[0] ? lane->lane.interface : lane->source);
		fputc(',', out);
		put_value_text(out, "driver", run->driver);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

struct choice {
	struct subject *run, *lane;
	size_t runs, lanes, bytes;
};

static void choice_cut(struct choice *c, size_t lanes)
{
	while (c->lanes > lanes)
		free(c->lane[--c->lanes].labels);
}

// One run with its lanes: 1 taken, 0 left out, or -ENOMEM.
static int choose(struct choice *c, const struct run_seen *run)
{
	char *own = labels(&run->is, NULL);
	size_t before = c->lanes, bytes = c->bytes;

	if (!own)
		return -ENOMEM;
	bytes += RUN_SAMPLES_MAX * (strlen(own) + SAMPLE_BYTES_MAX);
	bytes += run->is.exports * EXPORT_SAMPLES_MAX * (strlen(own) + SAMPLE_BYTES_MAX + TARGET_BYTES_MAX);
	for (size_t i = 0; i < c->runs; i++)
		if (strcmp(c->run[i].labels, own) == 0)
			goto left_out;
	for (uint32_t i = 0; i < run->is.lanes; i++) {
		const struct control_lane *lane = &run->lane[i];
		char *text;

		if (i > 0 && lane->lane.lane == lane[-1].lane.lane) // no supervisor of ours says so
			goto left_out;
		text = labels(&run->is, lane);
		if (!text) {
			free(own);
			return -ENOMEM;
		}
		c->lane[c->lanes++] = (struct subject){.run = &run->is, .lane = lane, .labels = text};
		bytes += LANE_SAMPLES_MAX * (strlen(text) + SAMPLE_BYTES_MAX);
		if (bytes > PAGE_BYTES_MAX)
			goto left_out;
	}
	if (bytes > PAGE_BYTES_MAX)
		goto left_out;
	c->run[c->runs++] = (struct subject){.run = &run->is, .labels = own};
	c->bytes = bytes;
	return 1;
left_out:
	choice_cut(c, before);
	free(own);
	return 0;
}

static void choice_free(struct choice *c)
{
	choice_cut(c, 0);
	for (size_t i = 0; i < c->runs; i++)
		free(c->run[i].labels);
	free(c->lane);
	free(c->run);
}

static void put_page(struct page *p, const struct runs_seen *seen, const struct choice *c, uint64_t took_ns)
{
	put_head(p->out, "sealtap_build_info", "gauge", "1; the version stands in the label.");
	fprintf(p->out, "sealtap_build_info{version=\"%s\"} 1\n", SEALTAP_VERSION);
	put_one(p->out, "sealtap_captures", "Running captures and ingests that answered and are shown.",
	        (unsigned)c->runs);
	put_one(p->out, "sealtap_captures_unanswered", "Those that did not answer in time, or are of another version.",
	        seen->unanswered);
	put_one(p->out, "sealtap_captures_hidden", "Those of other users, who alone may ask them, beside root.",
	        seen->hidden);
	put_one(p->out, "sealtap_captures_left_out",
	        "Those that answered and are not shown: the page is full, or they claim another one's name.",
	        seen->count - (unsigned)c->runs);
	put_head(p->out, "sealtap_scrape_duration_seconds", "gauge", "How long asking them took.");
	fprintf(p->out, "sealtap_scrape_duration_seconds %" PRIu64 ".%09" PRIu64 "\n", took_ns / 1000000000,
	        took_ns % 1000000000);
	put_all(p, run_metrics, COUNT(run_metrics), c->run, c->runs);
	put_all(p, lane_metrics, COUNT(lane_metrics), c->lane, c->lanes);
}

int page_new(const struct runs_seen *seen, bool confidential, uint64_t now_ns, uint64_t took_ns, char **ret_text,
        size_t *ret_len)
{
	struct choice c = {
	        .run = calloc(seen->count + 1, sizeof(*c.run)), .lane = calloc(seen->lanes + 1, sizeof(*c.lane))};
	struct page p = {.now_ns = now_ns, .confidential = confidential};
	char *text = NULL;
	size_t len = 0;
	int r = c.run && c.lane ? 0 : -ENOMEM;

	for (unsigned i = 0; i < seen->count && r >= 0; i++)
		r = choose(&c, &seen->run[i]);
	if (r >= 0) {
		p.out = open_memstream(&text, &len);
		r = p.out ? 0 : -ENOMEM;
	}
	if (r >= 0) {
		put_page(&p, seen, &c, took_ns);
		r = fclose(p.out) == 0 ? 0 : -ENOMEM;
	}
	choice_free(&c);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

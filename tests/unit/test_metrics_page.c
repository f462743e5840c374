// SPDX-License-Identifier: Apache-2.0
// The page of metrics: every value under its own name, texts escaped, what is not known absent, the length bounded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/metrics/page.h"

#define SECOND 1000000000ULL
#define RUN_LABELS "recording=\"/r/a\\\"b\\\\c\\nd\xef\xbf\xbd\xef\xbf\xbd\",sensor=\"s\""
#define LANE_LABELS RUN_LABELS ",lane=\"3\",interface=\"eth0\",driver=\"xdp\""

static struct control_lane lanes[2];
static struct run_seen runs[3];

static struct runs_seen one(void)
{
	struct control_run *r = &runs[0].is;

	memset(lanes, 0, sizeof(lanes));
	memset(runs, 0, sizeof(runs));
	*r = (struct control_run){
	        .state = CONTROL_CAPTURING, .pid = 77, .lanes = 1, .level_ceiling = -5, .restarts = 2};
	snprintf(r->recording, sizeof(r->recording), "/r/a\"b\\c\nd\xff\x1b");
	snprintf(r->sensor, sizeof(r->sensor), "s");
	snprintf(r->driver, sizeof(r->driver), "xdp");
	snprintf(r->reference, sizeof(r->reference), "warrant 17");
	runs[0].lane = &lanes[0];
	lanes[0].lane.lane = 3;
	snprintf(lanes[0].lane.interface, sizeof(lanes[0].lane.interface), "eth0");
	return (struct runs_seen){.run = runs, .count = 1, .lanes = 1, .hidden = 4, .unanswered = 5};
}

static char *page(const struct runs_seen *seen, bool confidential)
{
	size_t len;
	char *text;

	assert_int_equal(page_new(seen, confidential, 1700000010 * SECOND + 5, 1, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	assert_true(len <= PAGE_BYTES_MAX);
	return text;
}

static void has(const char *text, const char *line)
{
	char whole[1024];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("not there: %s", line);
}

static void lacks(const char *text, const char *start)
{
	char line[256];

	snprintf(line, sizeof(line), "\n%s", start);
	if (strstr(text, line))
		fail_msg("there: %s", start);
}

static void values_stand_under_their_names(void **state)
{
	struct runs_seen seen = one();
	struct control_run *r = &runs[0].is;
	struct counters *c = &lanes[0].lane.counters;
	char *text;

	r->since_ns = 1700000000 * SECOND + 1;
	r->elapsed_ns = 9 * SECOND;
	r->status = (struct wire_status){.raw_bytes = 1000,
	        .stored_bytes = 250,
	        .stall_ms = 1007,
	        .segments = 6,
	        .pool_blocks = 256,
	        .pool_free = 100,
	        .level = -7};
	r->ledger = (struct wire_ledger){.size = 11,
	        .signed_ns = 1700000004 * SECOND,
	        .marks = 12,
	        .incidents = 13,
	        .sync_ns_max = 14,
	        .retired_segments = 15,
	        .retired_packets = 16};
	snprintf(r->incident.kind, sizeof(r->incident.kind), "stalled");
	r->incident_ns = 1700000001 * SECOND;
	r->exporter_deaths = 20;
	r->exports = 2;
	r->export[0] = (struct control_export){.target = "ipfix \"a",
	        .running = 1,
	        .progress = {.delivered = 21,
	                .dropped = 22,
	                .refused = 23,
	                .malformed = 24,
	                .breaks = 25,
	                .waiting = 26,
	                .behind_bytes = 27}};
	r->export[1] = (struct control_export){.target = "kafka b", .running = 1, .progress = {.broken = 1}};
	*c = (struct counters){.received = 100,
	        .recorded = 101,
	        .filtered = 102,
	        .out_of_scope = 103,
	        .shunted = 104,
	        .dropped = {105, 106, 107, 108},
	        .driver_received = 109,
	        .driver_dropped = 110,
	        .nic = {111, 112, 113, 114, 115, UINT64_MAX},
	        .xsk = {117, 118, 119, 120},
	        .driver_mask = COUNTERS_DRIVER_RECEIVED | COUNTERS_DRIVER_DROPPED | COUNTERS_NIC | COUNTERS_XDP};
	memcpy(lanes[0].lane.dropped, (uint64_t[]){205, 206, 207, 208}, sizeof(lanes[0].lane.dropped));
	text = page(&seen, false);
	has(text, "sealtap_captures 1");
	has(text, "sealtap_captures_hidden 4");
	has(text, "sealtap_captures_unanswered 5");
	has(text, "sealtap_capture_state{" RUN_LABELS ",state=\"capturing\"} 1");
	has(text, "sealtap_capture_state{" RUN_LABELS ",state=\"ending\"} 0");
	has(text, "sealtap_capture_start_timestamp_seconds{" RUN_LABELS "} 1700000000.000000001");
	has(text, "sealtap_compression_ratio{" RUN_LABELS "} 0.25");
	has(text, "sealtap_compression_level{" RUN_LABELS "} -7");
	has(text, "sealtap_pool_bytes{" RUN_LABELS "} 268435456");
	has(text, "sealtap_pool_free_bytes{" RUN_LABELS "} 104857600");
	has(text, "sealtap_pool_stall_seconds{" RUN_LABELS "} 1.007");
	has(text, "sealtap_checkpoint_age_seconds{" RUN_LABELS "} 6.000000005");
	has(text, "sealtap_sync_max_seconds{" RUN_LABELS "} 0.000000014");
	has(text, "sealtap_retired_packets_total{" RUN_LABELS "} 16");
	has(text, "sealtap_exporter_deaths_total{" RUN_LABELS "} 20");
	has(text, "sealtap_export_delivered_total{" RUN_LABELS ",target=\"ipfix \\\"a\"} 21");
	has(text, "sealtap_export_dropped_total{" RUN_LABELS ",target=\"ipfix \\\"a\"} 22");
	has(text, "sealtap_export_refused_total{" RUN_LABELS ",target=\"ipfix \\\"a\"} 23");
	has(text, "sealtap_export_malformed_total{" RUN_LABELS ",target=\"ipfix \\\"a\"} 24");
	has(text, "sealtap_export_breaks_total{" RUN_LABELS ",target=\"ipfix \\\"a\"} 25");
	has(text, "sealtap_export_waiting{" RUN_LABELS ",target=\"ipfix \\\"a\"} 26");
	has(text, "sealtap_export_behind_bytes{" RUN_LABELS ",target=\"ipfix \\\"a\"} 27");
	has(text, "sealtap_export_up{" RUN_LABELS ",target=\"ipfix \\\"a\"} 1");
	has(text, "sealtap_export_up{" RUN_LABELS ",target=\"kafka b\"} 0");
	has(text, "sealtap_last_incident_timestamp_seconds{" RUN_LABELS ",incident=\"stalled\"} 1700000001.000000000");
	has(text, "sealtap_frames_received_total{" LANE_LABELS "} 100");
	has(text, "sealtap_frames_recorded_total{" LANE_LABELS "} 101");
	has(text, "sealtap_frames_filtered_total{" LANE_LABELS "} 102");
	has(text, "sealtap_frames_out_of_scope_total{" LANE_LABELS "} 103");
	has(text, "sealtap_frames_shunted_total{" LANE_LABELS "} 104");
	has(text, "sealtap_frames_dropped_total{" LANE_LABELS ",cause=\"pool\"} 105");
	has(text, "sealtap_frames_dropped_total{" LANE_LABELS ",cause=\"crash\"} 108");
	has(text, "sealtap_frames_dropped_now_total{" LANE_LABELS ",cause=\"disk\"} 206");
	has(text, "sealtap_driver_frames_dropped_total{" LANE_LABELS "} 110");
	has(text, "sealtap_nic_frames_received_total{" LANE_LABELS "} 111");
	has(text, "sealtap_nic_frames_dropped_total{" LANE_LABELS ",cause=\"missed\"} 112");
	has(text, "sealtap_nic_frames_dropped_total{" LANE_LABELS ",cause=\"dropped\"} 18446744073709551615");
	has(text, "sealtap_xdp_frames_dropped_total{" LANE_LABELS ",cause=\"no_socket\"} 117");
	has(text, "sealtap_xdp_frames_dropped_total{" LANE_LABELS ",cause=\"ring_full\"} 119");
	has(text, "sealtap_xdp_fill_ring_empty_total{" LANE_LABELS "} 120");
	lacks(text, "fill_empty");
	assert_null(strstr(text, "warrant 17"));
	free(text);
	text = page(&seen, true);
	assert_non_null(strstr(text, ",reference=\"warrant 17\",operator=\"\"} 1\n"));
	free(text);
}

static void what_is_not_known_is_absent(void **state)
{
	static const char *const absent[] = {"sealtap_capture_start_", "sealtap_capture_elapsed_",
	        "sealtap_compression_ratio", "sealtap_compression_level{", "sealtap_pool_", "sealtap_checkpoint_",
	        "sealtap_sync_", "sealtap_last_", "sealtap_driver_", "sealtap_nic_", "sealtap_xdp_"};
	struct runs_seen seen = one();
	char *text = page(&seen, false);

	has(text, "sealtap_frames_received_total{" LANE_LABELS "} 0");
	has(text, "sealtap_incidents_total{" RUN_LABELS "} 0");
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		lacks(text, absent[i]);
	free(text);
}

static void a_name_that_is_taken_is_left_out(void **state)
{
	struct runs_seen seen = one();
	char *text;

	runs[1] = runs[0];
	runs[1].is.ledger.marks = 99;
	runs[2].is = runs[0].is;
	snprintf(runs[2].is.sensor, sizeof(runs[2].is.sensor), "other");
	runs[2].is.lanes = 2; // and both say that they are lane 3
	runs[2].lane = lanes;
	lanes[1] = lanes[0];
	seen.count = 3;
	seen.lanes = 4;
	text = page(&seen, false);
	has(text, "sealtap_captures 1");
	has(text, "sealtap_captures_left_out 2");
	has(text, "sealtap_marks_total{" RUN_LABELS "} 0");
	assert_null(strstr(text, "sensor=\"other\""));
	free(text);
}

static void the_page_is_bounded(void **state)
{
	struct runs_seen seen = one();
	char *text;

	runs[1].is = runs[0].is;
	runs[1].is.lanes = LANES_MAX;
	memset(runs[1].is.sensor, '"', sizeof(runs[1].is.sensor) - 1);
	runs[1].lane = calloc(LANES_MAX, sizeof(*runs[1].lane));
	assert_non_null(runs[1].lane);
	for (uint32_t i = 0; i < LANES_MAX; i++) {
		runs[1].lane[i].lane.lane = i;
		memset(runs[1].lane[i].lane.interface, '\\', sizeof(runs[1].lane[i].lane.interface) - 1);
	}
	seen.count = 2;
	seen.lanes = 1 + LANES_MAX;
	text = page(&seen, false);
	has(text, "sealtap_captures 1");
	has(text, "sealtap_captures_left_out 1");
	has(text, "sealtap_frames_received_total{" LANE_LABELS "} 0");
	free(text);
	free(runs[1].lane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_stand_under_their_names),
	        cmocka_unit_test(what_is_not_known_is_absent),
	        cmocka_unit_test(a_name_that_is_taken_is_left_out),
	        cmocka_unit_test(the_page_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

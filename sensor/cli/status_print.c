// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/status_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/ipc/job.h"

const char *time_for_people(uint64_t ns, char out[TIME_FOR_PEOPLE])
{
	time_t sec = (time_t)(ns / 1000000000);
	char day[32];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) || strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return "a time beyond the calendar";
	snprintf(out, TIME_FOR_PEOPLE, "%s.%03u UTC", day, (unsigned)(ns % 1000000000 / 1000000));
	return out;
}

static void print_safe(FILE *out, const char *text)
{
	char *safe = text_safe(text);

	fputs(safe ? safe : "?", out);
	free(safe);
}

static void print_size(double bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	unsigned i = 0;

	for (; bytes >= 1024 && i < 4; i++)
		bytes /= 1024;
	printf(i ? "%.1f %s" : "%.0f %s", bytes, unit[i]);
}

void status_print_line(FILE *out, const struct run_seen *run)
{
	fputs("  ", out);
	print_safe(out, run->is.recording);
	fputs(" (", out);
	print_safe(out, run->is.reference);
	fprintf(out, ", process %u)\n", run->is.pid);
}

static void print_head(const struct control_run *r)
{
	char day[TIME_FOR_PEOPLE];
	uint64_t s = r->elapsed_ns / 1000000000;

	print_safe(stdout, r->recording);
	printf(": %s", run_state_name(r));
	if (r->since_ns)
		printf(" since %s, %" PRIu64 ":%02u:%02u", time_for_people(r->since_ns, day), s / 3600,
		        (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	printf("\n  sensor        ");
	print_safe(stdout, r->sensor);
	printf(", by ");
	print_safe(stdout, r->operator_name);
	printf("\n  reference     ");
	print_safe(stdout, r->reference);
	if (r->driver[0]) {
		printf("\n  driver        ");
		print_safe(stdout, r->driver);
	}
	printf("\n");
}

static void print_amounts(const struct control_run *r)
{
	const struct wire_status *s = &r->status;

	printf("  packets       %" PRIu64 ", ", r->counters.recorded);
	print_size((double)s->raw_bytes);
	printf(", stored as ");
	print_size((double)s->stored_bytes);
	if (s->raw_bytes)
		printf(" (%.2f)", (double)s->stored_bytes / (double)s->raw_bytes);
	printf(" in %u segments; now %" PRIu64 " packets/s, ", s->segments, r->packets_per_second);
	print_size((double)r->bytes_per_second);
	printf("/s\n  pool          %u of %u MiB free", s->pool_free, s->pool_blocks);
	if (s->stall_ms != WIRE_STALL_UNKNOWN)
		printf(", bridges a disk that stands still for %.1f s at the present rate", (double)s->stall_ms / 1000);
	printf("; zstd level %d", s->level);
	if (s->level != r->level_ceiling)
		printf(" (lowered from %d)", r->level_ceiling);
	printf("\n");
}

static void print_ledger(const struct control_run *r)
{
	const struct wire_ledger *l = &r->ledger;
	char day[TIME_FOR_PEOPLE];

	printf("  ledger        ");
	if (l->size)
		printf("%" PRIu64 " lines signed, the newest of %s", l->size, time_for_people(l->signed_ns, day));
	else
		printf("not open yet");
	printf("; longest sync %.1f ms\n", (double)l->sync_ns_max / 1e6);
	if (l->retired_segments)
		printf("  retired       %" PRIu64 " segments with %" PRIu64 " packets\n", l->retired_segments,
		        l->retired_packets);
	printf("  events        %" PRIu64 " marks, %" PRIu64 " incidents, %u recorder restarts\n", l->marks,
	        l->incidents, r->restarts);
	if (r->incident.kind[0] == '\0')
		return;
	printf("  last incident ");
	print_safe(stdout, r->incident.kind);
	printf(": ");
	print_safe(stdout, r->incident.detail);
	printf(", %s\n", time_for_people(r->incident_ns, day));
}

static const char *const inspection_names[INSPECTION_STATES] = {
        [INSPECTION_OFF] = "off",
        [INSPECTION_RUNNING] = "running",
        [INSPECTION_RESTARTING] = "restarting",
        [INSPECTION_GIVEN_UP] = "given-up",
};

static void print_inspection(const struct control_inspection *i)
{
	if (i->state == INSPECTION_OFF)
		return;
	printf("  flows         inspector %s, %" PRIu64 " flows now, %" PRIu64 " records", inspection_names[i->state],
	        i->flows, i->records);
	if (i->records_lost)
		printf(", %" PRIu64 " records lost", i->records_lost);
	if (i->flows_forced)
		printf(", %" PRIu64 " flows ended early for want of room", i->flows_forced);
	if (i->shed_packets)
		printf(", %" PRIu64 " packets recorded without being inspected", i->shed_packets);
	if (i->deaths)
		printf(", %u inspectors died", i->deaths);
	printf("\n");
	if (i->acked_bytes)
		printf("  before us     %" PRIu64 " of %" PRIu64
		       " bytes that TCP receivers acknowledged were never seen (%.3f %%)\n",
		        i->missed_bytes, i->acked_bytes, 100.0 * (double)i->missed_bytes / (double)i->acked_bytes);
}

static void print_exports(const struct control_run *r)
{
	for (uint32_t i = 0; i < r->exports; i++) {
		const struct control_export *x = &r->export[i];
		const struct export_progress *p = &x->progress;

		printf("  export        ");
		print_safe(stdout, x->target);
		printf(": %" PRIu64 " records delivered, %" PRIu64 " waiting and ", p->delivered, p->waiting);
		print_size((double)p->behind_bytes);
		printf(" of files behind");
		if (p->dropped)
			printf(", %" PRIu64 " dropped", p->dropped);
		if (p->refused)
			printf(", %" PRIu64 " refused", p->refused);
		if (p->malformed)
			printf(", %" PRIu64 " malformed", p->malformed);
		if (p->breaks)
			printf(", %" PRIu64 " breaks", p->breaks);
		printf("; %s", !x->running ? "no exporter runs" : p->broken ? "standing still" : "running");
		if (p->error[0]) {
			printf("; last error: ");
			print_safe(stdout, p->error);
		}
		printf("\n");
	}
	if (r->exporter_deaths)
		printf("  exporters     %u died\n", r->exporter_deaths);
}

static void print_driver(const struct counters *c, unsigned bit, uint64_t value)
{
	if (c->driver_mask & bit)
		printf(" %12" PRIu64, value);
	else
		printf(" %12s", "-");
}

// Of the whole interface, where it has lost or refused anything.
static void print_nic(const struct counters *c)
{
	uint64_t any = 0;

	for (int i = NIC_MISSED; i < NIC_COUNTERS; i++)
		any |= c->nic[i];
	if (!(c->driver_mask & COUNTERS_NIC) || !any)
		return;
	printf("       interface:");
	for (int i = 0; i < NIC_COUNTERS; i++)
		printf(" %s %" PRIu64, nic_counter_names[i], c->nic[i]);
	printf("\n");
}

// Why the driver dropped, and how often the kernel found no free chunk, where there is any.
static void print_xdp(const struct counters *c)
{
	uint64_t any = 0;

	for (int i = 0; i < XSK_COUNTERS; i++)
		any |= c->xsk[i];
	if (!(c->driver_mask & COUNTERS_XDP) || !any)
		return;
	printf("       socket:");
	for (int i = 0; i < XSK_COUNTERS; i++)
		printf(" %s %" PRIu64, xsk_counter_names[i], c->xsk[i]);
	printf("\n");
}

static void print_lane(const struct control_lane *l)
{
	const struct counters *c = &l->lane.counters;
	uint64_t dropped = 0, since = 0;
	char day[TIME_FOR_PEOPLE];

	for (int i = 0; i < DROP_CAUSES; i++) {
		dropped += c->dropped[i];
		since += l->lane.dropped[i] - c->dropped[i];
	}
	printf("  %4u %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64, l->lane.lane,
	        c->received, c->recorded, c->filtered, c->out_of_scope, c->shunted, dropped);
	print_driver(c, COUNTERS_DRIVER_RECEIVED, c->driver_received);
	print_driver(c, COUNTERS_DRIVER_DROPPED, c->driver_dropped);
	printf("  ");
	print_safe(stdout, l->lane.interface[0] ? l->lane.interface : l->source);
	printf(", %s\n", l->lane.last_ns ? time_for_people(l->lane.last_ns, day) : "none yet");
	print_nic(c);
	print_xdp(c);
	if (dropped + since == 0)
		return;
	printf("       dropped:");
	for (int i = 0; i < DROP_CAUSES; i++)
		if (l->lane.dropped[i])
			printf(" %s %" PRIu64, drop_cause_names[i], l->lane.dropped[i]);
	if (since)
		printf(", %" PRIu64 " of them so lately that the counters above do not have them", since);
	printf("\n");
}

void status_print(const struct run_seen *run)
{
	print_head(&run->is);
	print_amounts(&run->is);
	print_inspection(&run->is.inspection);
	print_exports(&run->is);
	print_ledger(&run->is);
	if (run->is.lanes == 0) {
		printf("  nothing has been received yet\n");
		return;
	}
	printf("  %4s %12s %12s %12s %12s %12s %12s %12s %12s  %s, last packet\n", "lane", "received", "recorded",
	        "filtered", "out_of_scope", "shunted", "dropped", "drv.received", "drv.dropped",
	        run->is.driver[0] ? "interface" : "source");
	for (uint32_t i = 0; i < run->is.lanes; i++)
		print_lane(&run->lane[i]);
}

static json_t *text(const char *s)
{
	return json_text(s, strlen(s));
}

static json_t *time_or_null(uint64_t ns)
{
	return ns ? json_time(ns) : json_null();
}

static json_t *lane_json(const struct run_seen *run, const struct control_lane *l)
{
	json_t *dropped = json_object();

	for (int i = 0; i < DROP_CAUSES; i++)
		json_object_set_new(dropped, drop_cause_names[i], json_u64(l->lane.dropped[i]));
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "lane", (json_int_t)l->lane.lane, "interface",
	        text(l->lane.interface), "source", text(l->source), "driver", text(run->is.driver), "counters",
	        json_counters(&l->lane.counters), "dropped_now", dropped, "last_packet", time_or_null(l->lane.last_ns));
}

static json_t *ratio(const struct wire_status *s)
{
	return s->raw_bytes ? json_real((double)s->stored_bytes / (double)s->raw_bytes) : json_null();
}

static json_t *inspection_json(const struct control_inspection *i)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "state", inspection_names[i->state],
	        "deaths", (json_int_t)i->deaths, "lent_packets", (json_int_t)i->lent_packets, "shed_packets",
	        (json_int_t)i->shed_packets, "packets", (json_int_t)i->packets, "flows", (json_int_t)i->flows,
	        "flows_forced", (json_int_t)i->flows_forced, "records", (json_int_t)i->records, "records_lost",
	        (json_int_t)i->records_lost, "acked_bytes", (json_int_t)i->acked_bytes, "missed_bytes",
	        (json_int_t)i->missed_bytes);
}

static json_t *exports_json(const struct control_run *r)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < r->exports; i++) {
		const struct export_progress *p = &r->export[i].progress;

		json_array_append_new(
		        all, json_pack("{s:o, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "target",
		                     text(r->export[i].target), "running", (int)r->export[i].running, "broken",
		                     (int)p->broken, "delivered", (json_int_t)p->delivered, "waiting",
		                     (json_int_t)p->waiting, "behind_bytes", (json_int_t)p->behind_bytes, "dropped",
		                     (json_int_t)p->dropped, "refused", (json_int_t)p->refused, "malformed",
		                     (json_int_t)p->malformed, "breaks", (json_int_t)p->breaks, "last_error",
		                     text(p->error)));
	}
	return all;
}

json_t *status_json(const struct run_seen *run)
{
	const struct control_run *r = &run->is;
	const struct wire_status *s = &r->status;
	char id[HEX_LEN(DIGEST_LEN)];
	json_t *lanes = json_array(), *o = json_object();

	hex_encode(r->recording_id, DIGEST_LEN, id);
	for (uint32_t i = 0; i < r->lanes; i++)
		json_array_append_new(lanes, lane_json(run, &run->lane[i]));
	json_object_set_new(o, "recording", text(r->recording));
	json_object_set_new(o, "recording_id", json_string(id));
	json_object_set_new(o, "kind", json_string(r->kind == JOB_INGEST ? "ingest" : "capture"));
	json_object_set_new(o, "state", json_string(run_state_name(r)));
	json_object_set_new(o, "process", json_integer(r->pid));
	json_object_set_new(o, "sensor", text(r->sensor));
	json_object_set_new(o, "reference", text(r->reference));
	json_object_set_new(o, "operator", text(r->operator_name));
	json_object_set_new(o, "since", time_or_null(r->since_ns));
	json_object_set_new(o, "elapsed_ms", json_integer((json_int_t)(r->elapsed_ns / 1000000)));
	json_object_set_new(o, "packets", json_integer((json_int_t)r->counters.recorded));
	json_object_set_new(o, "raw_bytes", json_integer((json_int_t)s->raw_bytes));
	json_object_set_new(o, "stored_bytes", json_integer((json_int_t)s->stored_bytes));
	json_object_set_new(o, "ratio", ratio(s));
	json_object_set_new(o, "packets_per_second", json_integer((json_int_t)r->packets_per_second));
	json_object_set_new(o, "bytes_per_second", json_integer((json_int_t)r->bytes_per_second));
	json_object_set_new(o, "segments", json_integer(s->segments));
	json_object_set_new(o, "level", json_integer(s->level));
	json_object_set_new(o, "level_ceiling", json_integer(r->level_ceiling));
	json_object_set_new(o, "inspection", inspection_json(&r->inspection));
	json_object_set_new(o, "exports", exports_json(r));
	json_object_set_new(o, "exporter_deaths", json_integer(r->exporter_deaths));
	json_object_set_new(o, "pool",
	        json_pack("{s:I, s:I, s:o}", "blocks", (json_int_t)s->pool_blocks, "free", (json_int_t)s->pool_free,
	                "stall_ms",
	                s->stall_ms == WIRE_STALL_UNKNOWN ? json_null() : json_integer((json_int_t)s->stall_ms)));
	json_object_set_new(o, "checkpoint",
	        json_pack("{s:I, s:o}", "size", (json_int_t)r->ledger.size, "time", time_or_null(r->ledger.signed_ns)));
	json_object_set_new(o, "sync_ns_max", json_u64(r->ledger.sync_ns_max));
	json_object_set_new(o, "recorder_restarts", json_integer(r->restarts));
	json_object_set_new(o, "marks", json_integer((json_int_t)r->ledger.marks));
	json_object_set_new(o, "incidents", json_integer((json_int_t)r->ledger.incidents));
	json_object_set_new(o, "retired_segments", json_integer((json_int_t)r->ledger.retired_segments));
	json_object_set_new(o, "retired_packets", json_integer((json_int_t)r->ledger.retired_packets));
	json_object_set_new(o, "last_incident",
	        r->incident.kind[0] ? json_pack("{s:o, s:o, s:o}", "kind", text(r->incident.kind), "detail",
	                                      text(r->incident.detail), "time", time_or_null(r->incident_ns))
	                            : json_null());
	json_object_set_new(o, "counters", json_counters(&r->counters));
	json_object_set_new(o, "lanes", lanes);
	return o;
}

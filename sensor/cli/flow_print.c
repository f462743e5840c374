// SPDX-License-Identifier: Apache-2.0
// Names in a record are printable ASCII (include/sealtap/flow.h), so that packets cannot speak to the terminal.
#include "sensor/cli/flow_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analyzers/flow_format.h"
#include "sensor/cli/flow_stored.h"

#define ROW "%-23s %9s %-9s %-21s %-21s %6s %6s %9s %9s %-11s %-18s %s"

void flow_print_header(enum flow_output output)
{
	if (output == FLOW_OUTPUT_CSV)
		flow_csv_header(stdout);
	else if (output == FLOW_OUTPUT_TABLE)
		printf(ROW "\n", "start (UTC)", "seconds", "proto", "source", "destination", "pkts>", "<pkts", "bytes>",
		        "<bytes", "state", "application", "name");
}

static const char *endpoint(const struct flow_record *r, const uint8_t *address, uint16_t port, char out[80])
{
	char text[64];

	address_text(r->ip_version, address, text);
	if (!(r->groups & FLOW_GROUP_PORTS))
		snprintf(out, 80, "%s", text);
	else if (r->ip_version == 4)
		snprintf(out, 80, "%s:%u", text, port);
	else
		snprintf(out, 80, "[%s]:%u", text, port);
	return out;
}

static const char *count(uint64_t n, char out[24])
{
	snprintf(out, 24, "%" PRIu64, n);
	return out;
}

static const char *name_of(const struct flow_record *r)
{
	static const enum flow_text best[] = {FLOW_TEXT_HOST, FLOW_TEXT_CERT_SUBJECT, FLOW_TEXT_HTTP_URL,
	        FLOW_TEXT_SSH_SERVER, FLOW_TEXT_SSH_CLIENT, FLOW_TEXT_DNS_ANSWER};

	for (size_t i = 0; i < sizeof(best) / sizeof(best[0]); i++)
		if (r->text[best[i]])
			return r->text[best[i]];
	return "";
}

static void print_row(const struct flow_record *r)
{
	char start[RFC3339_MAX], age[24], proto[16], src[80], dest[80], n[4][24], name[FLOW_VALUE_MAX + 80];
	uint64_t ms = r->end_ns > r->start_ns ? (r->end_ns - r->start_ns) / 1000000 : 0;
	size_t len;

	rfc3339(r->start_ns, start);
	start[10] = ' ';
	start[23] = '\0';
	snprintf(age, sizeof(age), "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
	snprintf(name, sizeof(name), "%s", name_of(r));
	for (unsigned i = 0; i < r->vlan_count; i++) {
		len = strlen(name);
		snprintf(name + len, sizeof(name) - len, "%s[vlan %u]", len > 0 ? " " : "", r->vlan[i]);
	}
	if (r->groups & FLOW_GROUP_TUNNEL) {
		len = strlen(name);
		snprintf(name + len, sizeof(name) - len, "%s[%s %u]", len > 0 ? " " : "",
		        flow_tunnel_names[r->tunnel.kind], r->tunnel.id);
	}
	printf(ROW, start, age, proto_name(r->proto, proto), endpoint(r, r->src, r->src_port, src),
	        endpoint(r, r->dest, r->dest_port, dest), count(r->pkts[FLOW_TO_SERVER], n[0]),
	        count(r->pkts[FLOW_TO_CLIENT], n[1]), count(r->bytes[FLOW_TO_SERVER], n[2]),
	        count(r->bytes[FLOW_TO_CLIENT], n[3]), flow_state_names[r->state],
	        r->groups & FLOW_GROUP_APP ? r->app : "-", name);
	putchar('\n');
}

int flow_print(enum flow_output output, const struct flow_record *record)
{
	json_t *o;
	int r = 0;

	if (output == FLOW_OUTPUT_TABLE) {
		print_row(record);
	} else if (output == FLOW_OUTPUT_CSV) {
		flow_csv(record, stdout);
	} else if (output == FLOW_OUTPUT_JSON) {
		o = flow_json(record);
		if (!o || (json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) < 0 && !ferror(stdout)))
			r = -ENOMEM;
		putchar('\n');
		json_decref(o);
	}
	return r;
}

static double percent(const struct tcp_gap_stats *s)
{
	return s->acked_bytes > 0 ? 100.0 * (double)s->missed_bytes / (double)s->acked_bytes : 0;
}

static json_t *gap_json(const struct tcp_gap_stats *s)
{
	return json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I}", "acked_bytes", (json_int_t)s->acked_bytes,
	        "missed_bytes", (json_int_t)s->missed_bytes, "missed_percent", percent(s), "gaps", (json_int_t)s->gaps,
	        "one_sided_bytes", (json_int_t)s->one_sided_bytes, "implausible", (json_int_t)s->implausible,
	        "flows_left_out", (json_int_t)s->flows_left_out, "holes_dropped", (json_int_t)s->holes_dropped);
}

static void summary_json(const struct flow_meter_stats *s, uint64_t shown, bool beyond_signed, const char *result)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "result", result, "flows",
	        (json_int_t)s->records, "shown", (json_int_t)shown, "packets", (json_int_t)s->packets, "ip",
	        (json_int_t)s->ip, "not_ip", (json_int_t)s->not_ip, "link_unknown", (json_int_t)s->link_unknown,
	        "malformed", (json_int_t)s->malformed, "inner", (json_int_t)s->inner, "inner_malformed",
	        (json_int_t)s->inner_malformed, "fragments_lost", (json_int_t)s->fragments_lost, "beyond_signed",
	        beyond_signed);

	json_object_set_new(o, "evicted", json_integer((json_int_t)s->table.ended[FLOW_REASON_FORCED]));
	json_object_set_new(o, "flows_now_max", json_integer((json_int_t)s->table.now_max));
	json_object_set_new(o, "tcp", gap_json(&s->gap));
	if (dpi_library()) {
		json_object_set_new(o, "dpi", json_string(dpi_library()));
		json_object_set_new(o, "dpi_given_up_early", json_integer((json_int_t)s->dpi.given_up_early));
		json_object_set_new(o, "dpi_names_dropped", json_integer((json_int_t)s->dpi.texts_dropped));
	}
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

static void part(uint64_t n, const char *what)
{
	if (n > 0)
		fprintf(stderr, ", %" PRIu64 " %s", n, what);
}

static void print_gaps(const struct tcp_gap_stats *s, bool complete)
{
	if (s->missed_bytes > 0)
		fprintf(stderr,
		        "sealtap flows: TCP payload acknowledged but never seen: %" PRIu64 " of %" PRIu64
		        " bytes (%.3g %%), in %" PRIu64 " gaps: about so much was lost before the sensor%s",
		        s->missed_bytes, s->acked_bytes, percent(s), s->gaps,
		        complete ? "" : ", or by it: sealtap verify tells what it knows to be missing");
	else if (s->acked_bytes > 0)
		fprintf(stderr, "sealtap flows: TCP payload acknowledged but never seen: none of %" PRIu64 " bytes",
		        s->acked_bytes);
	else if (s->one_sided_bytes > 0)
		fprintf(stderr, "sealtap flows: TCP is seen from one side only");
	else
		return;
	part(s->one_sided_bytes, "bytes acknowledged to senders of whom no packet was seen: not counted");
	part(s->implausible, "packets with sequence numbers that lead nowhere");
	part(s->flows_left_out, "flows left out, for want of memory");
	part(s->holes_dropped, "gaps left out, for want of memory");
	fputc('\n', stderr);
}

void flow_print_summary(const struct flow_meter_stats *s, uint64_t shown, bool complete, bool beyond_signed,
        const char *result, bool json)
{
	if (json) {
		summary_json(s, shown, beyond_signed, result);
		return;
	}
	fprintf(stderr, "sealtap flows: %" PRIu64 " flows", s->records);
	if (shown != s->records)
		fprintf(stderr, ", %" PRIu64 " shown", shown);
	fprintf(stderr, "; %" PRIu64 " packets, %" PRIu64 " of them IP", s->packets, s->ip);
	part(s->inner, "more inside tunnels");
	part(s->not_ip, "not IP");
	part(s->link_unknown, "of a link type that is not decoded");
	part(s->malformed, "malformed before or in the IP header");
	part(s->inner_malformed, "with a malformed packet in a tunnel");
	part(s->fragments_lost, "fragments without a first one");
	part(s->table.ended[FLOW_REASON_FORCED], "flows ended because the table was full");
	part(s->dpi.given_up_early, "flows not looked into to the end, for want of memory");
	part(s->dpi.texts_dropped, "flows without names, for want of memory");
	fputc('\n', stderr);
	print_gaps(&s->gap, complete);
	if (beyond_signed)
		fprintf(stderr, "sealtap flows: the last packets stand behind what the recording has signed so far\n");
}

static void stored_summary_json(
        const struct flow_stored *s, const struct tcp_gap_stats *gap, uint64_t shown, const char *result)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "result", result, "source",
	        "flow files", "flows", (json_int_t)s->records, "shown", (json_int_t)shown, "files",
	        (json_int_t)s->files, "files_retired", (json_int_t)s->retired, "files_unsealed",
	        (json_int_t)s->unsealed, "records_lost", (json_int_t)s->lost, "not_understood",
	        (json_int_t)s->not_understood, "frames_inspected", (json_int_t)s->inspected, "frames",
	        (json_int_t)s->frames);

	json_object_set_new(o, "tcp",
	        json_pack("{s:I, s:I, s:f, s:I, s:I}", "acked_bytes", (json_int_t)gap->acked_bytes, "missed_bytes",
	                (json_int_t)gap->missed_bytes, "missed_percent", percent(gap), "gaps", (json_int_t)gap->gaps,
	                "one_sided_bytes", (json_int_t)gap->one_sided_bytes));
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

void flow_print_stored_summary(const struct flow_stored *s, const struct tcp_gap_stats *gap, bool complete,
        uint64_t shown, const char *result, bool json)
{
	if (json) {
		stored_summary_json(s, gap, shown, result);
		return;
	}
	fprintf(stderr, "sealtap flows: %" PRIu64 " flows", s->records);
	if (shown != s->records)
		fprintf(stderr, ", %" PRIu64 " shown", shown);
	fprintf(stderr, ", as they were found while recording");
	part(s->lost, "records lost then");
	part(s->not_understood, "not understood");
	part(s->retired, "files of them given up, as the ledger says");
	if (s->frames > s->inspected)
		part(s->frames - s->inspected, "blocks of packets not inspected (yet)");
	fprintf(stderr, "; --reanalyse derives all of them from the packets\n");
	print_gaps(gap, complete && s->inspected >= s->frames); // what was not inspected looks like what was lost
	if (s->unsealed > 0)
		fprintf(stderr,
		        "sealtap flows: what stands in %" PRIu64 " more files is not signed (yet) and not shown\n",
		        s->unsealed);
}

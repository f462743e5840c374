// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_format.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *const flow_state_names[FLOW_STATES] = {"new", "established", "closed"};
const char *const flow_reason_names[FLOW_REASONS] = {"timeout", "active_timeout", "tcp_reuse", "forced", "shutdown"};
const char *const flow_tunnel_names[FLOW_TUNNEL_KINDS] = {"none", "ipip", "gre", "erspan", "vxlan", "geneve", "gtpu"};

const char *rfc3339(uint64_t ns, char out[RFC3339_MAX])
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;

	gmtime_r(&sec, &tm); // 64 bits of nanoseconds end in the year 2554
	// Not strftime: it would look for the time zone.
	snprintf(out, RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	        tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ns % 1000000000));
	return out;
}

const char *proto_name(uint8_t proto, char out[16])
{
	static const char *const names[] = {
	        [1] = "ICMP",
	        [2] = "IGMP",
	        [4] = "IPv4-in-IP",
	        [6] = "TCP",
	        [17] = "UDP",
	        [33] = "DCCP",
	        [41] = "IPv6-in-IP",
	        [46] = "RSVP",
	        [47] = "GRE",
	        [50] = "ESP",
	        [51] = "AH",
	        [58] = "IPv6-ICMP",
	        [88] = "EIGRP",
	        [89] = "OSPF",
	        [103] = "PIM",
	        [112] = "VRRP",
	        [115] = "L2TP",
	        [132] = "SCTP",
	        [136] = "UDPLite",
	};

	if (proto < sizeof(names) / sizeof(names[0]) && names[proto])
		return names[proto];
	snprintf(out, 16, "%u", proto);
	return out;
}

const char *address_text(uint8_t ip_version, const uint8_t *address, char out[64])
{
	return inet_ntop(ip_version == 4 ? AF_INET : AF_INET6, address, out, 64);
}

static const void *at(const struct flow_field *field, const struct flow_record *r)
{
	return (const uint8_t *)r + field->offset;
}

static uint64_t number(const struct flow_field *field, const struct flow_record *r)
{
	const void *p = at(field, r);

	switch (field->kind) {
	case FLOW_KIND_U64:
	case FLOW_KIND_COUNT:
		return *(const uint64_t *)p;
	case FLOW_KIND_U32:
		return *(const uint32_t *)p;
	case FLOW_KIND_U16:
		return *(const uint16_t *)p;
	case FLOW_KIND_LANE:
		return ((const struct flow_segments *)p)->lane;
	default:
		return *(const uint8_t *)p;
	}
}

// Appends to a list, cutting it with "..." when it does not fit.
static void append(char out[FLOW_VALUE_MAX], const char *item)
{
	size_t len = strlen(out);

	if (len + strlen(item) + 6 < FLOW_VALUE_MAX)
		snprintf(out + len, FLOW_VALUE_MAX - len, "%s%s", len > 0 ? ";" : "", item);
	else if (len + 5 < FLOW_VALUE_MAX && (len < 3 || strcmp(out + len - 3, "...") != 0))
		snprintf(out + len, FLOW_VALUE_MAX - len, ";...");
}

static const char *list(const struct flow_field *field, const struct flow_record *r, char out[FLOW_VALUE_MAX])
{
	char item[48];

	out[0] = '\0';
	if (field->kind == FLOW_KIND_VLANS) {
		for (unsigned i = 0; i < r->vlan_count; i++) {
			snprintf(item, sizeof(item), "%u", r->vlan[i]);
			append(out, item);
		}
	} else if (field->kind == FLOW_KIND_RISKS) {
		for (unsigned i = 0; i < r->risk_count; i++)
			append(out, r->risks[i]);
	} else {
		for (unsigned i = 0; i < r->segments_count; i++) {
			const struct flow_segments *s = &r->segments[i];

			snprintf(item, sizeof(item), "%u/%u-%u", s->lane, s->first, s->last);
			append(out, item);
		}
		if (r->segments_more)
			append(out, "more");
	}
	return out;
}

const char *flow_value(const struct flow_field *field, const struct flow_record *r, char out[FLOW_VALUE_MAX])
{
	if (!flow_field_present(field, r)) {
		out[0] = '\0';
		return out;
	}
	switch (field->kind) {
	case FLOW_KIND_TIME:
		return rfc3339(*(const uint64_t *)at(field, r), out);
	case FLOW_KIND_ADDR:
		return address_text(r->ip_version, at(field, r), out);
	case FLOW_KIND_TUNNEL_ADDR:
		return address_text(r->tunnel.ip_version, at(field, r), out);
	case FLOW_KIND_PROTO:
		return proto_name(r->proto, out);
	case FLOW_KIND_FLAGS:
		snprintf(out, FLOW_VALUE_MAX, "%02x", *(const uint8_t *)at(field, r));
		return out;
	case FLOW_KIND_FLAG:
		return "true";
	case FLOW_KIND_STATE:
		return flow_state_names[r->state];
	case FLOW_KIND_REASON:
		return flow_reason_names[r->reason];
	case FLOW_KIND_TUNNEL_KIND:
		return flow_tunnel_names[r->tunnel.kind];
	case FLOW_KIND_CHARS:
		return at(field, r);
	case FLOW_KIND_TEXT:
		return *(const char *const *)at(field, r);
	case FLOW_KIND_VLANS:
	case FLOW_KIND_RISKS:
	case FLOW_KIND_SEGMENTS:
		return list(field, r, out);
	default:
		snprintf(out, FLOW_VALUE_MAX, "%" PRIu64, number(field, r));
		return out;
	}
}

static json_t *list_json(const struct flow_field *field, const struct flow_record *r)
{
	json_t *l = json_array();

	if (field->kind == FLOW_KIND_VLANS)
		for (unsigned i = 0; i < r->vlan_count; i++)
			json_array_append_new(l, json_integer(r->vlan[i]));
	else if (field->kind == FLOW_KIND_RISKS)
		for (unsigned i = 0; i < r->risk_count; i++)
			json_array_append_new(l, json_string(r->risks[i]));
	else
		for (unsigned i = 0; i < r->segments_count; i++)
			json_array_append_new(
			        l, json_pack("{s:I, s:I, s:I}", "lane", (json_int_t)r->segments[i].lane, "first",
			                   (json_int_t)r->segments[i].first, "last", (json_int_t)r->segments[i].last));
	if (field->kind == FLOW_KIND_SEGMENTS && r->segments_more)
		json_array_append_new(l, json_pack("{s:b}", "more", 1));
	return l;
}

static json_t *value_json(const struct flow_field *field, const struct flow_record *r)
{
	char text[FLOW_VALUE_MAX];

	switch (field->kind) {
	case FLOW_KIND_U64:
	case FLOW_KIND_COUNT:
	case FLOW_KIND_U32:
	case FLOW_KIND_U16:
	case FLOW_KIND_U8:
	case FLOW_KIND_LANE:
		return json_integer((json_int_t)number(field, r));
	case FLOW_KIND_FLAG:
		return json_true();
	case FLOW_KIND_VLANS:
	case FLOW_KIND_RISKS:
	case FLOW_KIND_SEGMENTS:
		return list_json(field, r);
	default:
		return json_string(flow_value(field, r, text));
	}
}

json_t *flow_json(const struct flow_record *record)
{
	json_t *o = json_object(), *in;
	char text[RFC3339_MAX], level[32];

	json_object_set_new(o, "timestamp", json_string(rfc3339(record->end_ns, text)));
	json_object_set_new(o, "event_type", json_string("flow"));
	for (size_t i = 0; i < flow_field_count; i++) {
		const struct flow_field *f = &flow_fields[i];
		const char *point = strchr(f->name, '.');

		if (!flow_field_present(f, record))
			continue;
		in = o;
		if (point) {
			snprintf(level, sizeof(level), "%.*s", (int)(point - f->name), f->name);
			in = json_object_get(o, level);
			if (!in) {
				in = json_object();
				json_object_set_new(o, level, in);
			}
		}
		json_object_set_new(in, point ? point + 1 : f->name, value_json(f, record));
	}
	return o;
}

static void csv_text(const char *text, FILE *out)
{
	putc('"', out);
	if (text[0] != '\0' && strchr("=+-@", text[0])) {
		fprintf(out, "\\x%02x", (unsigned char)text[0]);
		text++;
	}
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

void flow_csv_header(FILE *out)
{
	for (size_t i = 0; i < flow_field_count; i++)
		fprintf(out, "%s%s", i > 0 ? "," : "", flow_fields[i].name);
	putc('\n', out);
}

void flow_csv(const struct flow_record *record, FILE *out)
{
	char value[FLOW_VALUE_MAX];

	for (size_t i = 0; i < flow_field_count; i++) {
		if (i > 0)
			putc(',', out);
		if (flow_field_present(&flow_fields[i], record))
			csv_text(flow_value(&flow_fields[i], record, value), out);
	}
	putc('\n', out);
}

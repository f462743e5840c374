// SPDX-License-Identifier: Apache-2.0
#include "analyzers/flow_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "analyzers/flow_format.h"

#define FIELDS_MAX 128u

json_t *flow_line_load(const char *line, size_t len)
{
	json_t *o = len <= FLOW_LINE_MAX ? json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (o && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

bool flow_line_is(const json_t *object, const char *event_type)
{
	const char *is = json_string_value(json_object_get(object, "event_type"));

	return is && strcmp(is, event_type) == 0;
}

static bool safe(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return true;
}

static bool no_controls(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

static bool short_and_safe(const char *text)
{
	return !text || (strlen(text) < FLOW_VALUE_MAX && safe(text, strlen(text)));
}

bool flow_texts_safe(const struct flow_record *r)
{
	if (!short_and_safe(r->community_id) || !short_and_safe(r->app_proto) || !short_and_safe(r->app) ||
	        !short_and_safe(r->app_number) || !short_and_safe(r->category) || !short_and_safe(r->confidence))
		return false;
	for (unsigned i = 0; i < r->risk_count; i++)
		if (!short_and_safe(r->risks[i]))
			return false;
	for (unsigned i = 0; i < FLOW_TEXTS; i++)
		if (!short_and_safe(r->text[i]))
			return false;
	return true;
}

bool rfc3339_parse(const char *text, uint64_t *ret_ns)
{
	char again[RFC3339_MAX];
	struct tm tm = {0};
	uint64_t value;
	unsigned ns;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%9uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
	            &tm.tm_sec, &ns) != 7)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	value = (uint64_t)timegm(&tm) * 1000000000 + ns;
	// sscanf takes signs and blanks, timegm a day that there is not, and 64 bits do not hold every year: what is
	// written back is another text then.
	if (strcmp(rfc3339(value, again), text) != 0)
		return false;
	*ret_ns = value;
	return true;
}

static bool number(const json_t *v, uint64_t max, uint64_t *ret_value)
{
	const json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return false;
	*ret_value = (uint64_t)n;
	return true;
}

// The place of a text in a list of names.
static bool name_in(const char *text, const char *const *names, size_t count, uint8_t *ret_index)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], text) == 0) {
			*ret_index = (uint8_t)i;
			return true;
		}
	return false;
}

static bool proto(const char *text, uint8_t *ret_proto)
{
	char out[16];

	for (unsigned i = 0; i < 256; i++)
		if (strcmp(proto_name((uint8_t)i, out), text) == 0) {
			*ret_proto = (uint8_t)i;
			return true;
		}
	return false;
}

static bool flags(const char *text, uint8_t *ret_flags)
{
	static const char hex[] = "0123456789abcdef";
	const char *high = strlen(text) == 2 ? strchr(hex, text[0]) : NULL, *low = high ? strchr(hex, text[1]) : NULL;

	if (!low)
		return false;
	*ret_flags = (uint8_t)((high - hex) << 4 | (low - hex));
	return true;
}

static size_t chars_size(const struct flow_field *field)
{
	switch (field->offset) {
	case offsetof(struct flow_record, app_proto):
		return sizeof(((struct flow_record *)0)->app_proto);
	case offsetof(struct flow_record, community_id):
		return sizeof(((struct flow_record *)0)->community_id);
	case offsetof(struct flow_record, app):
		return sizeof(((struct flow_record *)0)->app);
	case offsetof(struct flow_record, app_number):
		return sizeof(((struct flow_record *)0)->app_number);
	default:
		return 0; // a field that this function should know
	}
}

// An address of either version; the caller compares the version.
static bool address(const char *text, uint8_t out[FLOW_ADDR_LEN], uint8_t *ret_version)
{
	*ret_version = inet_pton(AF_INET, text, out) == 1 ? 4 : inet_pton(AF_INET6, text, out) == 1 ? 6 : 0;
	return *ret_version != 0;
}

static bool vlans(const json_t *v, struct flow_record *r)
{
	const size_t count = json_array_size(v);
	uint64_t n;

	if (!json_is_array(v) || count == 0 || count > FLOW_VLANS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!number(json_array_get(v, i), UINT16_MAX, &n))
			return false;
		r->vlan[i] = (uint16_t)n;
	}
	r->vlan_count = (uint8_t)count;
	return true;
}

static bool risks(const json_t *v, struct flow_record *r)
{
	const size_t count = json_array_size(v);

	if (!json_is_array(v) || count == 0 || count > FLOW_RISKS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(v, i);

		r->risks[i] = json_string_value(item);
		if (!r->risks[i] || strlen(r->risks[i]) != json_string_length(item) || !short_and_safe(r->risks[i]))
			return false;
	}
	r->risk_count = (unsigned)count;
	return true;
}

static bool segments(const json_t *v, struct flow_record *r)
{
	size_t count = json_array_size(v);

	if (!json_is_array(v) || count == 0)
		return false;
	if (json_is_true(json_object_get(json_array_get(v, count - 1), "more"))) {
		r->segments_more = true;
		count--;
	}
	if (count == 0 || count > FLOW_LANES_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(v, i);
		uint64_t lane, first, last;

		if (!number(json_object_get(item, "lane"), UINT32_MAX, &lane) ||
		        !number(json_object_get(item, "first"), UINT32_MAX, &first) ||
		        !number(json_object_get(item, "last"), UINT32_MAX, &last))
			return false;
		r->segments[i] = (struct flow_segments){(uint32_t)lane, (uint32_t)first, (uint32_t)last};
	}
	r->segments_count = (unsigned)count;
	return true;
}

static bool text_field(const struct flow_field *field, const char *text, size_t len, struct flow_record *r)
{
	void *at = (uint8_t *)r + field->offset;
	uint8_t version;

	switch (field->kind) {
	case FLOW_KIND_TIME:
		return rfc3339_parse(text, at);
	case FLOW_KIND_ADDR:
		return address(text, at, &version) && version == r->ip_version;
	case FLOW_KIND_TUNNEL_ADDR:
		if (!address(text, at, &version) || (r->tunnel.ip_version != 0 && r->tunnel.ip_version != version))
			return false;
		r->tunnel.ip_version = version;
		return true;
	case FLOW_KIND_PROTO:
		return proto(text, at);
	case FLOW_KIND_FLAGS:
		return flags(text, at);
	case FLOW_KIND_STATE:
		return name_in(text, flow_state_names, FLOW_STATES, at);
	case FLOW_KIND_REASON:
		return name_in(text, flow_reason_names, FLOW_REASONS, at);
	case FLOW_KIND_TUNNEL_KIND:
		return name_in(text, flow_tunnel_names, FLOW_TUNNEL_KINDS, at);
	case FLOW_KIND_CHARS:
		if (len >= chars_size(field) || !safe(text, len))
			return false;
		memcpy(at, text, len + 1);
		return true;
	case FLOW_KIND_TEXT:
		// An operator may have named the sensor in his own script.
		if (len >= FLOW_VALUE_MAX || !(at == &r->sensor ? no_controls(text, len) : safe(text, len)))
			return false;
		*(const char **)at = text;
		return true;
	default:
		return false;
	}
}

static bool number_field(const struct flow_field *field, const json_t *v, struct flow_record *r)
{
	void *at = (uint8_t *)r + field->offset;
	uint64_t n;

	switch (field->kind) {
	case FLOW_KIND_U64:
	case FLOW_KIND_COUNT:
		return number(v, INT64_MAX, at);
	case FLOW_KIND_U32:
		if (!number(v, UINT32_MAX, &n))
			return false;
		*(uint32_t *)at = (uint32_t)n;
		return true;
	case FLOW_KIND_U16:
		if (!number(v, UINT16_MAX, &n))
			return false;
		*(uint16_t *)at = (uint16_t)n;
		return true;
	default:
		if (!number(v, UINT8_MAX, &n))
			return false;
		*(uint8_t *)at = (uint8_t)n;
		return true;
	}
}

static bool value(const struct flow_field *field, const json_t *v, struct flow_record *r)
{
	switch (field->kind) {
	case FLOW_KIND_U64:
	case FLOW_KIND_COUNT:
	case FLOW_KIND_U32:
	case FLOW_KIND_U16:
	case FLOW_KIND_U8:
		return number_field(field, v, r);
	case FLOW_KIND_FLAG: // what the others say stands elsewhere too
		if (field->offset == offsetof(struct flow_record, cut))
			r->cut = field->bit;
		return json_is_true(v);
	case FLOW_KIND_LANE: // it stands in the segments too
		return json_is_integer(v);
	case FLOW_KIND_VLANS:
		return vlans(v, r);
	case FLOW_KIND_RISKS:
		return risks(v, r);
	case FLOW_KIND_SEGMENTS:
		return segments(v, r);
	default:
		return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) &&
		       text_field(field, json_string_value(v), json_string_length(v), r);
	}
}

static const json_t *find(const json_t *object, const char *name)
{
	const char *point = strchr(name, '.');
	char level[32];

	if (!point)
		return json_object_get(object, name);
	if ((size_t)(point - name) >= sizeof(level))
		return NULL;
	memcpy(level, name, (size_t)(point - name));
	level[point - name] = '\0';
	return json_object_get(json_object_get(object, level), point + 1);
}

static bool one_bit(uint32_t groups)
{
	return (groups & (groups - 1)) == 0;
}

// The line has what the record has by the table, and nothing else of the table.
static bool whole(const struct flow_record *r, const bool *found)
{
	for (size_t i = 0; i < flow_field_count; i++)
		if (flow_field_present(&flow_fields[i], r) != found[i])
			return false;
	return true;
}

int flow_parse(const json_t *object, struct flow_record *ret_record)
{
	struct flow_record *r = ret_record;
	bool found[FIELDS_MAX] = {false};
	uint32_t either = 0;
	uint64_t n;

	if (flow_field_count > FIELDS_MAX || !flow_line_is(object, "flow"))
		return -EBADMSG;
	memset(r, 0, sizeof(*r));
	if (!number(json_object_get(object, "ip_v"), 6, &n) || (n != 4 && n != 6)) // decides how addresses read
		return -EBADMSG;
	r->ip_version = (uint8_t)n;
	for (size_t i = 0; i < flow_field_count; i++) {
		const struct flow_field *f = &flow_fields[i];
		const json_t *v = find(object, f->name);

		found[i] = v != NULL;
		if (!v)
			continue;
		if (!value(f, v, r))
			return -EBADMSG;
		*(one_bit(f->groups) ? &r->groups : &either) |= f->groups;
	}
	for (unsigned d = 0; d < FLOW_DIRECTIONS; d++)
		r->has_gaps |= (uint8_t)(r->gaps[d] > 0 ? 1u << d : 0);
	if (!(r->groups & either)) // seen are only fields that several groups have: the first of them says the same
		r->groups |= either & -either;
	if (r->segments_count > 0 &&
	        json_integer_value(find(object, "sealtap.lane")) != (json_int_t)r->segments[0].lane)
		return -EBADMSG;
	return whole(r, found) ? 0 : -EBADMSG;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "analyzers/community_id.h"
#include "analyzers/flow_format.h"
#include "sensor/cli/app_names.h"
#include "sensor/cli/moment.h"
#include "sensor/cli/quantity.h"

#define COMMUNITY_ID_LEN 30u // "1:" and the Base64 of a SHA-1
#define PROTO_ICMP 1
#define PROTO_ICMPV6 58

static int add_host(struct flow_filter *f, const char *value, struct error *e)
{
	struct flow_filter_host *host = &f->hosts[f->host_count];
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	size_t len = slash ? (size_t)(slash - value) : strlen(value);
	uint64_t bits;

	if (len >= sizeof(address))
		return error_set(
		        e, -EINVAL, "--host takes an address, or a prefix such as 10.0.0.0/8: not \"%s\"", value);
	memcpy(address, value, len);
	address[len] = '\0';
	*host = (struct flow_filter_host){.ip_version = strchr(address, ':') ? 6 : 4};
	if (inet_pton(host->ip_version == 4 ? AF_INET : AF_INET6, address, host->address) != 1)
		return error_set(
		        e, -EINVAL, "--host takes an address, or a prefix such as 10.0.0.0/8: not \"%s\"", value);
	host->bits = host->ip_version == 4 ? 32 : 128;
	if (slash) {
		if (quantity_count(slash + 1, &bits) < 0 || bits > host->bits)
			return error_set(e, -EINVAL, "--host: a prefix of %s has at most %u bits", address, host->bits);
		host->bits = (uint8_t)bits;
	}
	f->host_count++;
	return 0;
}

static int add_port(struct flow_filter *f, const char *value, struct error *e)
{
	uint64_t number;

	if (quantity_count(value, &number) < 0 || number > UINT16_MAX)
		return error_set(e, -EINVAL, "--port takes a number up to 65535: not \"%s\"", value);
	f->ports[f->port_count++] = (uint16_t)number;
	return 0;
}

static int add_proto(struct flow_filter *f, const char *value, struct error *e)
{
	uint8_t *proto = &f->protos[f->proto_count];
	char text[16];
	uint64_t number;

	if (quantity_count(value, &number) == 0 && number <= UINT8_MAX) {
		*proto = (uint8_t)number;
		f->proto_count++;
		return 0;
	}
	if (strcasecmp(value, "icmpv6") == 0)
		value = "IPv6-ICMP";
	for (unsigned i = 0; i <= UINT8_MAX; i++) {
		if (strcasecmp(proto_name((uint8_t)i, text), value) == 0) {
			*proto = (uint8_t)i;
			f->proto_count++;
			return 0;
		}
	}
	return error_set(e, -EINVAL,
	        "--proto takes tcp, udp, icmp, ipv6-icmp, sctp and the like, or a number: not \"%s\"", value);
}

static int add_community_id(struct flow_filter *f, const char *value, struct error *e)
{
	if (strncmp(value, "1:", 2) != 0 || strlen(value) != COMMUNITY_ID_LEN)
		return error_set(e, -EINVAL, "--community-id takes a version 1 id such as 1:%s, not \"%s\"",
		        "wCb3OG7yAFWelaUydu0D+125CLM=", value);
	f->community_ids[f->community_id_count++] = value;
	return 0;
}

static int add_app(struct flow_filter *f, const char *value, struct error *e)
{
	(void)e; // whether it is one, flow_filter_check_apps tells
	f->apps[f->app_count++] = value;
	return 0;
}

static int add_name(struct flow_filter *f, const char *value, struct error *e)
{
	const char *rest = value[0] == '*' ? value + 1 : value;

	if (rest[rest[0] == '.'] == '\0' || strchr(rest, '*') || (value[0] == '*' && rest[0] != '.'))
		return error_set(
		        e, -EINVAL, "--sni takes a name, or *.example.org for all that end so: not \"%s\"", value);
	f->names[f->name_count++] = rest;
	return 0;
}

static int set_time(uint64_t *at, const char *option, const char *value, struct error *e)
{
	if (moment_parse(value, at) < 0)
		return error_set(e, -EINVAL,
		        "--%s takes a time such as 2026-03-01T09:30:00Z, or seconds since 1970: not \"%s\"", option,
		        value);
	return 0;
}

int flow_filter_set(struct flow_filter *f, const char *option, const char *value, struct error *e)
{
	const struct {
		const char *option;
		unsigned count;
		int (*add)(struct flow_filter *f, const char *value, struct error *e);
	} kinds[] = {{"host", f->host_count, add_host}, {"port", f->port_count, add_port},
	        {"proto", f->proto_count, add_proto}, {"community-id", f->community_id_count, add_community_id},
	        {"app", f->app_count, add_app}, {"sni", f->name_count, add_name}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].option, option) != 0)
			continue;
		if (kinds[i].count == FLOW_FILTER_EACH_MAX)
			return error_set(e, -EINVAL, "--%s at most %u times", option, FLOW_FILTER_EACH_MAX);
		return kinds[i].add(f, value, e);
	}
	return set_time(strcmp(option, "from") == 0 ? &f->from_ns : &f->to_ns, option, value, e);
}

int flow_filter_check(const struct flow_filter *f, struct error *e)
{
	if (f->from_ns > f->to_ns)
		return error_set(e, -EINVAL, "--from is later than --to: nothing can match");
	if (flow_filter_asks_names(f) && !dpi_library())
		return error_set(
		        e, -EINVAL, "built without nDPI: --app and --sni cannot be told; --port 443 and the like can");
	return 0;
}

int flow_filter_check_apps(const struct flow_filter *f, struct dpi *dpi, struct error *e)
{
	char near[APP_NAMES_NEAR_LEN];

	for (unsigned i = 0; dpi && i < f->app_count; i++)
		if (!app_names_known(dpi, f->apps[i], near))
			return error_set(e, -EINVAL, "--app: %s knows no \"%.60s\"%s%s", dpi_library(), f->apps[i],
			        near[0] ? "; it knows " : "", near);
	return 0;
}

bool flow_filter_asks_names(const struct flow_filter *f)
{
	return f->app_count > 0 || f->name_count > 0;
}

bool flow_filter_asks_flows(const struct flow_filter *f)
{
	return f->host_count > 0 || f->port_count > 0 || f->proto_count > 0 || f->community_id_count > 0 ||
	       flow_filter_asks_names(f);
}

// --- matching

// What a record and a packet have alike.
struct ends {
	const uint8_t *src, *dest;
	uint16_t src_port, dest_port;
	uint8_t ip_version, proto;
	bool has_ports;
};

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)(a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool ends_match(const struct flow_filter *f, const struct ends *x)
{
	bool proto = f->proto_count == 0;

	for (unsigned i = 0; i < f->proto_count; i++)
		proto = proto || f->protos[i] == x->proto;
	for (unsigned i = 0; i < f->host_count; i++) {
		const struct flow_filter_host *h = &f->hosts[i];

		if (h->ip_version != x->ip_version ||
		        (!same_prefix(x->src, h->address, h->bits) && !same_prefix(x->dest, h->address, h->bits)))
			return false;
	}
	for (unsigned i = 0; i < f->port_count; i++)
		if (!x->has_ports || (f->ports[i] != x->src_port && f->ports[i] != x->dest_port))
			return false;
	return proto;
}

static bool has_community_id(const struct flow_filter *f, const char *id)
{
	for (unsigned i = 0; i < f->community_id_count; i++)
		if (strcmp(f->community_ids[i], id) == 0)
			return true;
	return f->community_id_count == 0;
}

static bool has_app(const struct flow_filter *f, const struct flow_record *r)
{
	const char *point = strchr(r->app, '.');

	for (unsigned i = 0; i < f->app_count; i++)
		if (strcasecmp(r->app_proto, f->apps[i]) == 0 || strcasecmp(r->app, f->apps[i]) == 0 ||
		        (point && strcasecmp(point + 1, f->apps[i]) == 0))
			return true;
	return f->app_count == 0;
}

static bool has_name(const struct flow_filter *f, const struct flow_record *r)
{
	const char *name = r->groups & (FLOW_GROUP_TLS | FLOW_GROUP_QUIC) ? r->text[FLOW_TEXT_HOST] : NULL;
	const size_t len = name ? strlen(name) : 0;

	for (unsigned i = 0; name && i < f->name_count; i++) {
		const size_t wanted = strlen(f->names[i]);

		if (wanted > len || (wanted < len && f->names[i][0] != '.'))
			continue;
		if (strcasecmp(name + len - wanted, f->names[i]) == 0)
			return true;
	}
	return f->name_count == 0;
}

bool flow_filter_matches(const struct flow_filter *f, const struct flow_record *r)
{
	const struct ends ends = {.src = r->src,
	        .dest = r->dest,
	        .src_port = r->src_port,
	        .dest_port = r->dest_port,
	        .ip_version = r->ip_version,
	        .proto = r->proto,
	        .has_ports = r->groups & FLOW_GROUP_PORTS};

	return r->end_ns >= f->from_ns && r->start_ns <= f->to_ns && ends_match(f, &ends) && has_app(f, r) &&
	       has_name(f, r) && has_community_id(f, r->community_id);
}

bool flow_filter_matches_packet(const struct flow_filter *f, const struct decoded_flow *p)
{
	const struct ends ends = {.src = p->src,
	        .dest = p->dest,
	        .src_port = p->src_port,
	        .dest_port = p->dest_port,
	        .ip_version = p->ip_version,
	        .proto = p->proto,
	        .has_ports = p->has_ports && p->proto != PROTO_ICMP && p->proto != PROTO_ICMPV6};
	char id[COMMUNITY_ID_MAX];
	struct flow_key key;

	if (!ends_match(f, &ends))
		return false;
	if (f->community_id_count == 0)
		return true;
	flow_key_make(p, &key);
	community_id(&key, id);
	return has_community_id(f, id);
}

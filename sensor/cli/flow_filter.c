// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/flow_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "analyzers/flow_format.h"
#include "sensor/cli/moment.h"
#include "sensor/cli/quantity.h"

static int set_host(struct flow_filter *f, const char *value, struct error *e)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(value, '/');
	size_t len = slash ? (size_t)(slash - value) : strlen(value);
	uint64_t bits;

	if (len >= sizeof(address))
		return error_set(e, -EINVAL, "--host takes an address, or a prefix such as 10.0.0.0/8: not %s", value);
	memcpy(address, value, len);
	address[len] = '\0';
	f->host_version = strchr(address, ':') ? 6 : 4;
	memset(f->host, 0, sizeof(f->host));
	if (inet_pton(f->host_version == 4 ? AF_INET : AF_INET6, address, f->host) != 1)
		return error_set(e, -EINVAL, "--host takes an address, or a prefix such as 10.0.0.0/8: not %s", value);
	f->host_bits = f->host_version == 4 ? 32 : 128;
	if (slash) {
		if (quantity_count(slash + 1, &bits) < 0 || bits > f->host_bits)
			return error_set(
			        e, -EINVAL, "--host: a prefix of %s has at most %u bits", address, f->host_bits);
		f->host_bits = (unsigned)bits;
	}
	f->has_host = true;
	return 0;
}

static int set_proto(struct flow_filter *f, const char *value, struct error *e)
{
	char text[16];
	uint64_t number;

	f->has_proto = true;
	if (quantity_count(value, &number) == 0 && number <= UINT8_MAX) {
		f->proto = (uint8_t)number;
		return 0;
	}
	if (strcasecmp(value, "icmpv6") == 0)
		value = "IPv6-ICMP";
	for (unsigned i = 0; i <= UINT8_MAX; i++) {
		if (strcasecmp(proto_name((uint8_t)i, text), value) == 0) {
			f->proto = (uint8_t)i;
			return 0;
		}
	}
	return error_set(
	        e, -EINVAL, "--proto takes tcp, udp, icmp, ipv6-icmp, sctp and the like, or a number: not %s", value);
}

int flow_filter_set(struct flow_filter *f, const char *option, const char *value, struct error *e)
{
	uint64_t number;

	if (strcmp(option, "host") == 0)
		return set_host(f, value, e);
	if (strcmp(option, "proto") == 0)
		return set_proto(f, value, e);
	if (strcmp(option, "app") == 0) {
		f->app = value;
		return 0;
	}
	if (strcmp(option, "community-id") == 0) {
		f->community_id = value;
		return 0;
	}
	if (strcmp(option, "port") == 0) {
		if (quantity_count(value, &number) < 0 || number > UINT16_MAX)
			return error_set(e, -EINVAL, "--port takes a number up to 65535: not %s", value);
		f->port = (uint16_t)number;
		f->has_port = true;
		return 0;
	}
	if (moment_parse(value, strcmp(option, "from") == 0 ? &f->from_ns : &f->to_ns) < 0)
		return error_set(e, -EINVAL,
		        "--%s takes a time such as 2026-03-01T09:30:00Z, or seconds since 1970: not %s", option, value);
	return 0;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)(a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool app_matches(const struct flow_record *r, const char *app)
{
	const char *point = strchr(r->app, '.');

	if (strcasecmp(r->app_proto, app) == 0 || strcasecmp(r->app, app) == 0)
		return true;
	return point && strcasecmp(point + 1, app) == 0;
}

bool flow_filter_matches(const struct flow_filter *f, const struct flow_record *r)
{
	if (f->has_host && (r->ip_version != f->host_version || (!same_prefix(r->src, f->host, f->host_bits) &&
	                                                                !same_prefix(r->dest, f->host, f->host_bits))))
		return false;
	if (f->has_port && (!(r->groups & FLOW_GROUP_PORTS) || (r->src_port != f->port && r->dest_port != f->port)))
		return false;
	if (f->has_proto && r->proto != f->proto)
		return false;
	if (f->app && !app_matches(r, f->app))
		return false;
	if (f->community_id && strcmp(r->community_id, f->community_id) != 0)
		return false;
	return r->end_ns >= f->from_ns && r->start_ns <= f->to_ns;
}

// SPDX-License-Identifier: Apache-2.0
// What `flows` and `extract` take to say which flows are meant, parsed and matched in one place, so that it means the
// same to both. Of one kind each: all hosts and ports must be ends of the flow; of protocols, Community IDs,
// applications and server names one must be the flow's. Times are the verb's own: `flows` shows flows that were there
// in between, `extract` gives packets from in between. One thread.
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzers/decode.h"
#include "analyzers/dpi.h"
#include "sealtap/error.h"
#include "sealtap/flow.h"

#define FLOW_FILTER_EACH_MAX 8u // of each kind

struct flow_filter_host {
	uint8_t address[FLOW_ADDR_LEN];
	uint8_t ip_version;
	uint8_t bits; // of a prefix; 32 or 128: one address
};

struct flow_filter { // with to_ns at UINT64_MAX and all else zero: any flow. Texts are borrowed
	struct flow_filter_host hosts[FLOW_FILTER_EACH_MAX];
	uint16_t ports[FLOW_FILTER_EACH_MAX];
	uint8_t protos[FLOW_FILTER_EACH_MAX];
	const char *community_ids[FLOW_FILTER_EACH_MAX];
	const char *apps[FLOW_FILTER_EACH_MAX];
	const char *names[FLOW_FILTER_EACH_MAX];
	unsigned host_count, port_count, proto_count, community_id_count, app_count, name_count;
	uint64_t from_ns, to_ns; // the first moment and the last
};

// The options that flow_filter_set takes, for getopt_long: each gives letter.
// clang-format off
#define FLOW_FILTER_OPTIONS(letter) \
	{"host", required_argument, NULL, letter}, {"port", required_argument, NULL, letter}, \
	{"proto", required_argument, NULL, letter}, {"community-id", required_argument, NULL, letter}, \
	{"app", required_argument, NULL, letter}, {"sni", required_argument, NULL, letter}, \
	{"from", required_argument, NULL, letter}, {"to", required_argument, NULL, letter}
// clang-format on
#define FLOW_FILTER_SYNOPSIS                                                                                           \
	"[--host ADDRESS[/BITS]] [--port N] [--proto NAME] [--app NAME] [--sni NAME]\n"                                \
	"                       [--community-id ID] [--from TIME] [--to TIME]"
#define FLOW_FILTER_HELP                                                                                               \
	"  --host, --port        at either end, behind VLAN tags and inside tunnels too; several must all be ends\n"   \
	"  --proto NAME          tcp, udp, icmp, ipv6-icmp, sctp and so on, or a number\n"                             \
	"  --app NAME            protocol or application as nDPI names them: tls, facebook, tls.facebook\n"            \
	"  --sni NAME            the server name that a TLS or QUIC client asked for; *.example.org or "               \
	".example.org:\n"                                                                                              \
	"                        any name that ends so\n"                                                              \
	"  --community-id ID     as `sealtap flows` shows it\n"

// Takes one option, by its long name. 0, or -EINVAL with the reason.
int flow_filter_set(struct flow_filter *f, const char *option, const char *value, struct error *e);
// Once all are taken: 0, or -EINVAL when they cannot match anything.
int flow_filter_check(const struct flow_filter *f, struct error *e);
// Whether the library knows the applications asked for; -EINVAL with names that are near. dpi is NULL without one.
int flow_filter_check_apps(const struct flow_filter *f, struct dpi *dpi, struct error *e);
// Asks for what only a look into the first packets of a flow can tell.
bool flow_filter_asks_names(const struct flow_filter *f);
// Asks for more than times.
bool flow_filter_asks_flows(const struct flow_filter *f);
bool flow_filter_matches(const struct flow_filter *f, const struct flow_record *record);
// One packet's part in a flow, fragments with their ports filled in. Times, applications and names are not looked at.
bool flow_filter_matches_packet(const struct flow_filter *f, const struct decoded_flow *packet);

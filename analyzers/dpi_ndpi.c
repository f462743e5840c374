// SPDX-License-Identifier: Apache-2.0
// nDPI, from 4.2 to 5.x. What differs between them is asked of the compiler by meson (NDPI_HAS_*), never of a version.
//
// Of nDPI's state of a flow the part `protos` is a union: a name is taken out of it only when nDPI itself says that the
// flow is of the protocol that it belongs to.
#include "analyzers/dpi.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ndpi_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/dpi_text.h"

#define PROTO_TCP 6
#define PACKET_MAX UINT16_MAX
#define JA4_LEN 36

// nDPI's state of a flow that is not done yet.
struct state {
	struct flow *flow;
	uint32_t prev, next; // towards longer and shorter waiting; of a free one: next
};

#define STATES_BY_BYTES (DPI_STATES_BYTES_MAX / (uint32_t)sizeof(struct ndpi_flow_struct))
#define STATES_MAX (STATES_BY_BYTES < DPI_STATES_MAX ? STATES_BY_BYTES : DPI_STATES_MAX)

struct dpi {
	struct dpi_config config;
	struct dpi_stats stats;
	struct ndpi_detection_module_struct *module;
	struct ndpi_flow_struct *flows; // states_max, touched as they are used
	struct state *states;
	uint32_t fresh, unused, oldest, newest;
	size_t texts_bytes;
};

const char *dpi_library(void)
{
	static char name[64];

	if (name[0] == '\0')
		snprintf(name, sizeof(name), "nDPI %s", ndpi_revision());
	return name;
}

static struct ndpi_detection_module_struct *module_new(void)
{
#ifdef NDPI_HAS_INIT_PREFS
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(ndpi_no_prefs);
#else
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(NULL);
#endif

	if (!m)
		return NULL;
#ifdef NDPI_HAS_BITMASK
	NDPI_PROTOCOL_BITMASK all;

	NDPI_BITMASK_SET_ALL(all);
	ndpi_set_protocol_detection_bitmask2(m, &all);
#endif
#ifdef NDPI_HAS_FINALIZE_RESULT
	if (ndpi_finalize_initialization(m) != 0) {
		ndpi_exit_detection_module(m);
		return NULL;
	}
#else
	ndpi_finalize_initialization(m);
#endif
	return m;
}

int dpi_new(const struct dpi_config *config, struct dpi **ret_dpi)
{
	struct dpi *d;

	// Headers of one version and a library of another would write beyond each other's structs.
	if (ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct))
		return -EPROTONOSUPPORT;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->config = *config;
	if (d->config.packets_tcp == 0)
		d->config.packets_tcp = DPI_PACKETS_TCP;
	if (d->config.packets_udp == 0)
		d->config.packets_udp = DPI_PACKETS_UDP;
	if (d->config.states_max == 0)
		d->config.states_max = STATES_MAX;
	d->flows = calloc(d->config.states_max, sizeof(*d->flows));
	d->states = calloc(d->config.states_max, sizeof(*d->states));
	d->unused = d->oldest = d->newest = FLOW_NONE;
	d->module = module_new();
	if (!d->flows || !d->states || !d->module) {
		dpi_free(d);
		return -ENOMEM;
	}
	*ret_dpi = d;
	return 0;
}

void dpi_free(struct dpi *d)
{
	if (!d)
		return;
	for (uint32_t i = d->oldest; d->states && i != FLOW_NONE; i = d->states[i].next)
		ndpi_free_flow_data(&d->flows[i]);
	if (d->module)
		ndpi_exit_detection_module(d->module);
	free(d->flows);
	free(d->states);
	free(d);
}

static void waiting_remove(struct dpi *d, uint32_t index)
{
	const struct state *s = &d->states[index];

	*(s->prev == FLOW_NONE ? &d->oldest : &d->states[s->prev].next) = s->next;
	*(s->next == FLOW_NONE ? &d->newest : &d->states[s->next].prev) = s->prev;
}

static void waiting_append(struct dpi *d, uint32_t index)
{
	struct state *s = &d->states[index];

	s->prev = d->newest;
	s->next = FLOW_NONE;
	*(d->newest == FLOW_NONE ? &d->oldest : &d->states[d->newest].next) = index;
	d->newest = index;
}

static bool is(const struct ndpi_flow_struct *n, uint16_t proto)
{
	return n->detected_protocol_stack[0] == proto || n->detected_protocol_stack[1] == proto;
}

static bool is_tls(const struct ndpi_flow_struct *n)
{
	return is(n, NDPI_PROTOCOL_TLS) || is(n, NDPI_PROTOCOL_DTLS) || is(n, NDPI_PROTOCOL_QUIC) ||
	       is(n, NDPI_PROTOCOL_MAIL_SMTPS) || is(n, NDPI_PROTOCOL_MAIL_POPS) || is(n, NDPI_PROTOCOL_MAIL_IMAPS);
}

static void collect_certificate(struct dpi_texts *t, const struct ndpi_flow_struct *n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *sha1 = n->protos.tls_quic.sha1_certificate_fingerprint;
	char text[3 * 20];
	unsigned set = 0;

	for (unsigned i = 0; i < 20; i++) {
		set |= sha1[i];
		text[3 * i] = digits[sha1[i] >> 4];
		text[3 * i + 1] = digits[sha1[i] & 15];
		text[3 * i + 2] = i < 19 ? ':' : '\0';
	}
	if (set)
		dpi_text_add(t, FLOW_TEXT_CERT_SHA1, text);
	dpi_text_add(t, FLOW_TEXT_CERT_ISSUER, n->protos.tls_quic.issuerDN);
	dpi_text_add(t, FLOW_TEXT_CERT_SUBJECT, n->protos.tls_quic.subjectDN);
	if (n->protos.tls_quic.server_names_len > 0)
		dpi_text_add(t, FLOW_TEXT_CERT_NAMES, n->protos.tls_quic.server_names);
}

static void collect_tls(struct dpi_texts *t, struct ndpi_flow_struct *n)
{
	char version[32] = "";
	uint8_t unknown = 0;

	if (n->protos.tls_quic.ssl_version != 0)
		dpi_text_add(t, FLOW_TEXT_TLS_VERSION,
		        ndpi_ssl_version2str(version, sizeof(version), n->protos.tls_quic.ssl_version, &unknown));
	dpi_text_add(t, FLOW_TEXT_TLS_VERSIONS_OFFERED, n->protos.tls_quic.tls_supported_versions);
#ifdef NDPI_HAS_TWO_ALPN
	dpi_text_add(t, FLOW_TEXT_ALPN,
	        n->protos.tls_quic.negotiated_alpn ? n->protos.tls_quic.negotiated_alpn
	                                           : n->protos.tls_quic.advertised_alpns);
#else
	dpi_text_add(t, FLOW_TEXT_ALPN, n->protos.tls_quic.alpn);
#endif
#ifdef NDPI_HAS_JA3
	dpi_text_add(t, FLOW_TEXT_JA3, n->protos.tls_quic.ja3_client);
#endif
	dpi_text_add(t, FLOW_TEXT_JA3S, n->protos.tls_quic.ja3_server);
#ifdef NDPI_HAS_JA4
	// 4.10 ends some where the ALPN would stand: that is none.
	if (strlen(n->protos.tls_quic.ja4_client) == JA4_LEN)
		dpi_text_add(t, FLOW_TEXT_JA4, n->protos.tls_quic.ja4_client);
#endif
	collect_certificate(t, n);
	if (is(n, NDPI_PROTOCOL_QUIC))
		dpi_text_add(t, FLOW_TEXT_USER_AGENT, n->http.user_agent);
}

static void collect_http(struct dpi_texts *t, const struct ndpi_flow_struct *n)
{
	char status[8];

	if (n->http.url) {
		dpi_text_add(t, FLOW_TEXT_HTTP_URL, n->http.url);
		dpi_text_add(t, FLOW_TEXT_HTTP_METHOD, ndpi_http_method2str(n->http.method));
	}
	dpi_text_add(t, FLOW_TEXT_USER_AGENT, n->http.user_agent);
	dpi_text_add(t, FLOW_TEXT_HTTP_CONTENT_TYPE, n->http.content_type);
	if (n->http.response_status_code != 0) {
		snprintf(status, sizeof(status), "%u", n->http.response_status_code);
		dpi_text_add(t, FLOW_TEXT_HTTP_STATUS, status);
	}
}

static const char *dns_type(uint16_t type, char out[16])
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {12, "PTR"}, {15, "MX"}, {16, "TXT"}, {28, "AAAA"},
	        {33, "SRV"}, {35, "NAPTR"}, {43, "DS"}, {48, "DNSKEY"}, {64, "SVCB"}, {65, "HTTPS"}, {252, "AXFR"},
	        {255, "ANY"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(out, 16, "TYPE%u", type);
	return out;
}

static const char *dns_rcode(uint8_t code, char out[16])
{
	static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};

	if (code < sizeof(names) / sizeof(names[0]))
		return names[code];
	snprintf(out, 16, "RCODE%u", code);
	return out;
}

static void collect_dns(struct dpi_texts *t, const struct ndpi_flow_struct *n)
{
	char text[INET6_ADDRSTRLEN];
	int family = 0;

	if (n->protos.dns.query_type != 0)
		dpi_text_add(t, FLOW_TEXT_DNS_TYPE, dns_type(n->protos.dns.query_type, text));
	if (n->protos.dns.is_query)
		return; // no answer was seen
	dpi_text_add(t, FLOW_TEXT_DNS_RCODE, dns_rcode(n->protos.dns.reply_code, text));
#ifdef NDPI_HAS_MANY_ANSWERS
	const ndpi_ip_addr_t *address = &n->protos.dns.rsp_addr[0];

	if (n->protos.dns.num_rsp_addr > 0)
		family = n->protos.dns.is_rsp_addr_ipv6[0] ? AF_INET6 : AF_INET;
#else
	const ndpi_ip_addr_t *address = &n->protos.dns.rsp_addr;

	if (n->protos.dns.num_answers > 0)
		family = n->protos.dns.rsp_type == 1 ? AF_INET : n->protos.dns.rsp_type == 28 ? AF_INET6 : 0;
#endif
	if (family != 0 && inet_ntop(family, address, text, sizeof(text)))
		dpi_text_add(t, FLOW_TEXT_DNS_ANSWER, text);
}

static void collect(struct dpi *d, struct flow *f, struct ndpi_flow_struct *n)
{
	struct dpi_texts t;
	size_t size = 0;

	t.len = 0; // its bytes stay as they are: they are many

	f->app_risk = n->risk;
	f->app_confidence = (uint8_t)n->confidence;
	dpi_text_add(&t, FLOW_TEXT_HOST, n->host_server_name);
	if (is_tls(n)) {
		collect_tls(&t, n);
	} else if (is(n, NDPI_PROTOCOL_DNS) || is(n, NDPI_PROTOCOL_MDNS) || is(n, NDPI_PROTOCOL_LLMNR)) {
		collect_dns(&t, n);
	} else if (is(n, NDPI_PROTOCOL_SSH)) {
		dpi_text_add(&t, FLOW_TEXT_SSH_CLIENT, n->protos.ssh.client_signature);
		dpi_text_add(&t, FLOW_TEXT_SSH_SERVER, n->protos.ssh.server_signature);
		dpi_text_add(&t, FLOW_TEXT_HASSH, n->protos.ssh.hassh_client);
		dpi_text_add(&t, FLOW_TEXT_HASSH_SERVER, n->protos.ssh.hassh_server);
	} else {
		collect_http(&t, n);
	}
	if (t.len == 0)
		return;
	if (d->texts_bytes + t.len + 1 <= DPI_TEXTS_BYTES_MAX)
		f->app_texts = dpi_texts_keep(&t, &size);
	if (f->app_texts)
		d->texts_bytes += size;
	else
		d->stats.texts_dropped++;
}

static void take(struct flow *f, const ndpi_protocol *p)
{
#ifdef NDPI_HAS_NESTED_PROTO
	f->app_master = p->proto.master_protocol;
	f->app_proto = p->proto.app_protocol;
#else
	f->app_master = p->master_protocol;
	f->app_proto = p->app_protocol;
#endif
	f->app_category = (uint16_t)p->category;
}

static ndpi_protocol give_up(struct dpi *d, struct ndpi_flow_struct *n, uint8_t *ret_guessed)
{
#if defined(NDPI_GIVEUP_4)
	return ndpi_detection_giveup(d->module, n, 1, ret_guessed);
#elif defined(NDPI_GIVEUP_3)
	return ndpi_detection_giveup(d->module, n, ret_guessed);
#else
	return ndpi_detection_giveup(d->module, n);
#endif
}

// The last word on a flow; its state is free again.
static void decide(struct dpi *d, struct flow *f)
{
	const uint32_t index = f->app_state;
	struct ndpi_flow_struct *n = &d->flows[index];
	uint8_t guessed = 0;
	const bool known = f->app_proto != NDPI_PROTOCOL_UNKNOWN;
	ndpi_protocol p;

	if (!known) {
		p = give_up(d, n, &guessed);
		take(f, &p);
	}
	d->stats.detected += known;
	d->stats.guessed += !known && (f->app_proto != NDPI_PROTOCOL_UNKNOWN || f->app_master != NDPI_PROTOCOL_UNKNOWN);
	d->stats.unknown += !known && f->app_proto == NDPI_PROTOCOL_UNKNOWN && f->app_master == NDPI_PROTOCOL_UNKNOWN;
	collect(d, f, n);
	f->app_done = 1;
	f->app_guessed = !known;
	f->app_state = FLOW_NONE;
	ndpi_free_flow_data(n);
	memset(n, 0, sizeof(*n));
	waiting_remove(d, index);
	d->states[index].next = d->unused;
	d->unused = index;
}

static uint32_t state_new(struct dpi *d, struct flow *f)
{
	uint32_t index;

	if (d->unused == FLOW_NONE && d->fresh == d->config.states_max) {
		d->stats.given_up_early++;
		decide(d, d->states[d->oldest].flow);
	}
	if (d->unused != FLOW_NONE) {
		index = d->unused;
		d->unused = d->states[index].next;
	} else {
		index = d->fresh++;
	}
	d->states[index].flow = f;
	waiting_append(d, index);
	return index;
}

// Whether nDPI has found out all that it will: its last answer was p.
static bool is_final(struct dpi *d, const struct flow *f, struct ndpi_flow_struct *n, const ndpi_protocol *p)
{
#ifdef NDPI_HAS_STATE
	return p->state == NDPI_STATE_CLASSIFIED || p->state == NDPI_STATE_MONITORING;
#else
	return f->app_proto != NDPI_PROTOCOL_UNKNOWN && !ndpi_extra_dissection_possible(d->module, n);
#endif
}

void dpi_packet(struct dpi *d, struct flow *f, const uint8_t *l3, uint32_t l3_len, uint64_t ts_ns)
{
	const unsigned limit = f->key.proto == PROTO_TCP ? d->config.packets_tcp : d->config.packets_udp;
	const unsigned short len = (unsigned short)(l3_len < PACKET_MAX ? l3_len : PACKET_MAX);
	struct ndpi_flow_struct *n;
	ndpi_protocol p;

	if (f->app_done)
		return;
	if (f->app_state == FLOW_NONE)
		f->app_state = state_new(d, f);
	n = &d->flows[f->app_state];
	f->app_packets++;
	d->stats.packets++;
#ifdef NDPI_HAS_INPUT_INFO
	p = ndpi_detection_process_packet(d->module, n, l3, len, ts_ns / 1000000, NULL);
#else
	p = ndpi_detection_process_packet(d->module, n, l3, len, ts_ns / 1000000);
#endif
	take(f, &p);
	if (f->app_packets >= limit || is_final(d, f, n, &p))
		decide(d, f);
}

void dpi_finish(struct dpi *d, struct flow *f)
{
	if (!f->app_done && f->app_state != FLOW_NONE)
		decide(d, f);
}

void dpi_forget(struct dpi *d, struct flow *f)
{
	if (!f->app_texts)
		return;
	d->texts_bytes -= dpi_texts_size(f->app_texts);
	free(f->app_texts);
	f->app_texts = NULL;
}

static uint32_t group(uint16_t proto)
{
	switch (proto) {
	case NDPI_PROTOCOL_TLS:
	case NDPI_PROTOCOL_DTLS:
	case NDPI_PROTOCOL_MAIL_SMTPS:
	case NDPI_PROTOCOL_MAIL_POPS:
	case NDPI_PROTOCOL_MAIL_IMAPS:
		return FLOW_GROUP_TLS;
	case NDPI_PROTOCOL_QUIC:
		return FLOW_GROUP_QUIC;
	case NDPI_PROTOCOL_HTTP:
	case NDPI_PROTOCOL_HTTP_CONNECT:
	case NDPI_PROTOCOL_HTTP_PROXY:
		return FLOW_GROUP_HTTP;
	case NDPI_PROTOCOL_DNS:
	case NDPI_PROTOCOL_MDNS:
	case NDPI_PROTOCOL_LLMNR:
		return FLOW_GROUP_DNS;
	case NDPI_PROTOCOL_SSH:
		return FLOW_GROUP_SSH;
	default:
		return 0;
	}
}

// Appends text, as much as there is room for; returns where it ends.
static size_t put_text(char *out, size_t at, size_t room, const char *text)
{
	while (*text && at + 1 < room)
		out[at++] = *text++;
	out[at] = '\0';
	return at;
}

// The same with a number; there must be room.
static size_t put_number(char *out, size_t at, uint16_t number)
{
	unsigned divisor = 10000;

	while (divisor > 1 && number < divisor)
		divisor /= 10;
	for (; divisor > 0; divisor /= 10)
		out[at++] = (char)('0' + number / divisor % 10);
	out[at] = '\0';
	return at;
}

static void describe_names(struct dpi *d, const struct flow *f, struct flow_record *r)
{
	// nDPI's own way: the carrier first, where there is one.
	const bool both = f->app_master != NDPI_PROTOCOL_UNKNOWN && f->app_master != f->app_proto &&
	                  f->app_proto != NDPI_PROTOCOL_UNKNOWN;
	const uint16_t carrier = f->app_master != NDPI_PROTOCOL_UNKNOWN ? f->app_master : f->app_proto;
	const char *name = ndpi_get_proto_name(d->module, carrier);
	size_t i, at;

	at = put_text(r->app, 0, sizeof(r->app), name);
	i = put_number(r->app_number, 0, carrier);
	if (both) {
		at = put_text(r->app, at, sizeof(r->app), ".");
		put_text(r->app, at, sizeof(r->app), ndpi_get_proto_name(d->module, f->app_proto));
		r->app_number[i] = '.';
		put_number(r->app_number, i + 1, f->app_proto);
	}
	put_text(r->app_proto, 0, sizeof(r->app_proto), carrier == NDPI_PROTOCOL_UNKNOWN ? "failed" : name);
	for (i = 0; r->app_proto[i]; i++)
		r->app_proto[i] = (char)tolower((unsigned char)r->app_proto[i]);
}

void dpi_describe(struct dpi *d, struct flow *f, struct flow_record *r)
{
	r->groups |= FLOW_GROUP_APP | group(f->app_master) | group(f->app_proto);
	describe_names(d, f, r);
	r->category = ndpi_category_get_name(d->module, (ndpi_protocol_category_t)f->app_category);
	r->confidence = ndpi_confidence_get_name((ndpi_confidence_t)f->app_confidence);
	for (unsigned bit = 0; bit < NDPI_MAX_RISK && bit < FLOW_RISKS_MAX; bit++)
		if (f->app_risk & (1ull << bit))
			r->risks[r->risk_count++] = ndpi_risk2str((ndpi_risk_enum)bit);
	if (f->app_texts)
		dpi_texts_show(f->app_texts, r->text);
	if (r->text[FLOW_TEXT_HOST] &&
	        !(r->groups & (FLOW_GROUP_TLS | FLOW_GROUP_QUIC | FLOW_GROUP_HTTP | FLOW_GROUP_DNS)))
		r->groups |= FLOW_GROUP_OTHER_NAME;
}

void dpi_stats(const struct dpi *d, struct dpi_stats *ret_stats)
{
	*ret_stats = d->stats;
}

const char *dpi_app_name(struct dpi *d, unsigned i)
{
	// What has no protocol is given the name of the unknown one.
	const char *name = ndpi_get_proto_name(d->module, (uint16_t)i);

	return i == NDPI_PROTOCOL_UNKNOWN || name != ndpi_get_proto_name(d->module, NDPI_PROTOCOL_UNKNOWN) ? name
	                                                                                                   : NULL;
}

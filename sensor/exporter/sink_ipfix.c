// SPDX-License-Identifier: Apache-2.0
// Flow records as IPFIX biflows (RFC 7011, RFC 5103) by libfixbuf. A connection begins with its templates, and over UDP
// they are sent again.
//
// IPFIX has no acknowledgements. Over TCP and TLS a message is settled when the collector's kernel has acknowledged all
// of it and the connection has held for REST_MS since, in which a collector that lives reads it; or when the collector
// closes its side after we closed ours, for then it has read to the end. What is not settled when a connection breaks
// is given again: twice rather than not at all. Over UDP sending settles.
//
// Octets count from the IP header (octetDeltaCount). applicationId is of engine 6, "user-defined" (RFC 6759), with the
// number that nDPI gives.
#include <errno.h>
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sensor/exporter/sink.h"
#include "sensor/exporter/transport.h"

#define TEMPLATE_V4 0x100
#define TEMPLATE_V6 0x101
#define UDP_MESSAGE_BYTES 1400u // below any path's MTU
#define MESSAGE_BYTES 60000u
#define TEMPLATE_SECONDS 60 // over UDP; a third of what collectors keep them
#define MESSAGES_MAX 8192u  // that are not settled
#define REST_MS 500
#define SPEC_V4 1u
#define SPEC_V6 2u
#define SPEC_MEMORY 4u // not sent
#define END_IDLE 1
#define END_ACTIVE 2
#define END_DETECTED 3
#define END_FORCED 4
#define END_RESOURCES 5
#define ENGINE_USER_DEFINED 6u

// As specs below, of which a template takes a part; no holes.
struct ipfix_record {
	uint64_t start_ms, end_ms;
	uint64_t bytes, reverse_bytes, packets, reverse_packets;
	uint8_t src6[16], dest6[16];
	uint32_t src4, dest4;
	uint16_t src_port, dest_port, flags, reverse_flags, vlan, icmp4, icmp6;
	uint8_t proto, end_reason, direction;
	uint8_t app_id[4];
	uint8_t padding[11];
	fbVarfield_t app;
};
_Static_assert(sizeof(struct ipfix_record) == 136, "libfixbuf sees no holes");

static fbInfoElementSpec_t specs[] = {
        {(char *)"flowStartMilliseconds", 8, 0},
        {(char *)"flowEndMilliseconds", 8, 0},
        {(char *)"octetDeltaCount", 8, 0},
        {(char *)"reverseOctetDeltaCount", 8, 0},
        {(char *)"packetDeltaCount", 8, 0},
        {(char *)"reversePacketDeltaCount", 8, 0},
        {(char *)"sourceIPv6Address", 16, SPEC_V6},
        {(char *)"destinationIPv6Address", 16, SPEC_V6},
        {(char *)"sourceIPv4Address", 4, SPEC_V4},
        {(char *)"destinationIPv4Address", 4, SPEC_V4},
        {(char *)"sourceTransportPort", 2, 0},
        {(char *)"destinationTransportPort", 2, 0},
        {(char *)"tcpControlBits", 2, 0},
        {(char *)"reverseTcpControlBits", 2, 0},
        {(char *)"vlanId", 2, 0},
        {(char *)"icmpTypeCodeIPv4", 2, SPEC_V4},
        {(char *)"icmpTypeCodeIPv6", 2, SPEC_V6},
        {(char *)"protocolIdentifier", 1, 0},
        {(char *)"flowEndReason", 1, 0},
        {(char *)"biflowDirection", 1, 0},
        {(char *)"applicationId", 4, 0},
        {(char *)"paddingOctets", 11, SPEC_MEMORY},
        {(char *)"applicationName", FB_IE_VARLEN, 0},
        FB_IESPEC_NULL,
};

struct message {
	uint64_t end; // in the bytes of the connection
	uint32_t records;
	int64_t acknowledged_ms; // 0: not yet
};

struct ipfix_sink {
	struct sink sink;
	struct transport_config to;
	uint32_t domain;
	fbInfoModel_t *model;
	struct transport *transport;
	fbSession_t *session; // owned by buf
	fBuf_t *buf;
	fbExporter_t *exporter; // owned by buf
	uint8_t message[MESSAGE_BYTES];
	size_t message_len, message_sent; // of the one that is being sent
	int64_t templates_at;
	uint32_t in_message; // records that it holds
	size_t settled;      // and not yet told
	bool finishing;      // our side is to be closed when the message has been sent
	bool finished;       // it is
	unsigned first, count;
	struct message messages[MESSAGES_MAX]; // a ring: sent whole, not settled
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// Hands a GError over.
static int failed(struct error *e, GError **g)
{
	int code = error_set(e, -EPROTO, "IPFIX: %s", *g ? (*g)->message : "unknown error");

	g_clear_error(g);
	return code;
}

static bool add_template(struct ipfix_sink *s, uint16_t id, uint32_t parts, bool internal, GError **g)
{
	fbTemplate_t *t = fbTemplateAlloc(s->model);

	if (fbTemplateAppendSpecArray(t, specs, parts, g) && fbSessionAddTemplate(s->session, internal, id, t, g))
		return true;
	fbTemplateFreeUnused(t);
	return false;
}

static void ipfix_close(struct sink *sink)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;

	if (s->buf)
		fBufFree(s->buf); // with session and exporter
	s->buf = NULL;
	transport_close(s->transport);
	s->transport = NULL;
	s->in_message = 0;
	s->message_len = s->message_sent = 0;
	s->settled = 0;
	s->finishing = s->finished = false;
	s->first = s->count = 0;
}

static int ipfix_open(struct sink *sink, struct error *e)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;
	const bool udp = s->to.kind == TRANSPORT_UDP;
	GError *g = NULL;
	int r = transport_open(&s->to, &s->transport, e);

	if (r < 0)
		return r;
	s->session = fbSessionAlloc(s->model);
	fbSessionSetDomain(s->session, s->domain);
	if (!add_template(s, TEMPLATE_V4, UINT32_MAX, true, &g) || !add_template(s, TEMPLATE_V4, SPEC_V4, false, &g) ||
	        !add_template(s, TEMPLATE_V6, SPEC_V6, false, &g)) {
		fbSessionFree(s->session);
		transport_close(s->transport);
		s->transport = NULL;
		return failed(e, &g);
	}
	s->exporter = fbExporterAllocBuffer(s->message, udp ? UDP_MESSAGE_BYTES : MESSAGE_BYTES);
	s->buf = fBufAllocForExport(s->session, s->exporter);
	fBufSetAutomaticMode(s->buf, FALSE);
	s->templates_at = 0;
	return 0;
}

static uint16_t vlan_of(const struct flow_record *r)
{
	return r->vlan_count > 0 ? r->vlan[0] : 0;
}

static uint8_t end_reason(const struct flow_record *r)
{
	switch (r->reason) {
	case FLOW_REASON_TIMEOUT:
		return r->state == FLOW_CLOSED ? END_DETECTED : END_IDLE;
	case FLOW_REASON_ACTIVE_TIMEOUT:
		return END_ACTIVE;
	case FLOW_REASON_TCP_REUSE:
		return END_DETECTED;
	case FLOW_REASON_FORCED:
		return END_RESOURCES;
	default:
		return END_FORCED;
	}
}

static void put_app(const struct flow_record *r, struct ipfix_record *out)
{
	const char *number = strrchr(r->app_number, '.');
	unsigned long id = strtoul(number ? number + 1 : r->app_number, NULL, 10);

	if (!(r->groups & FLOW_GROUP_APP))
		return;
	out->app_id[0] = ENGINE_USER_DEFINED;
	out->app_id[1] = (uint8_t)(id >> 16);
	out->app_id[2] = (uint8_t)(id >> 8);
	out->app_id[3] = (uint8_t)id;
	out->app.buf = (uint8_t *)r->app;
	out->app.len = strlen(r->app);
}

static void to_ipfix(const struct flow_record *r, struct ipfix_record *out)
{
	*out = (struct ipfix_record){.start_ms = r->start_ns / 1000000,
	        .end_ms = r->end_ns / 1000000,
	        .bytes = r->ip_bytes[FLOW_TO_SERVER],
	        .reverse_bytes = r->ip_bytes[FLOW_TO_CLIENT],
	        .packets = r->pkts[FLOW_TO_SERVER],
	        .reverse_packets = r->pkts[FLOW_TO_CLIENT],
	        .src_port = r->src_port,
	        .dest_port = r->dest_port,
	        .flags = r->tcp_flags[FLOW_TO_SERVER],
	        .reverse_flags = r->tcp_flags[FLOW_TO_CLIENT],
	        .vlan = vlan_of(r),
	        .proto = r->proto,
	        .end_reason = end_reason(r),
	        .direction = 1}; // initiator
	if (r->ip_version == 6) {
		memcpy(out->src6, r->src, 16);
		memcpy(out->dest6, r->dest, 16);
	} else {
		memcpy(&out->src4, r->src, 4);
		memcpy(&out->dest4, r->dest, 4);
		out->src4 = g_ntohl(out->src4); // libfixbuf keeps it in the machine's order
		out->dest4 = g_ntohl(out->dest4);
	}
	if (r->groups & FLOW_GROUP_ICMP)
		out->icmp4 = out->icmp6 = (uint16_t)(r->icmp_type << 8 | r->icmp_code);
	put_app(r, out);
}

// 0, -EOVERFLOW when the message is full, or another errno.
static int append(struct ipfix_sink *s, const struct flow_record *r, bool again, struct error *e)
{
	struct ipfix_record record;
	GError *g = NULL;

	to_ipfix(r, &record);
	if (fBufSetInternalTemplate(s->buf, TEMPLATE_V4, &g) &&
	        fBufSetExportTemplate(s->buf, r->ip_version == 6 ? TEMPLATE_V6 : TEMPLATE_V4, &g) &&
	        fBufAppend(s->buf, (uint8_t *)&record, sizeof(record), &g)) {
		s->in_message++;
		return 0;
	}
	if (g_error_matches(g, FB_ERROR_DOMAIN, FB_ERROR_EOM) && (s->in_message > 0 || !again)) {
		g_clear_error(&g);
		return s->in_message > 0 ? -EOVERFLOW : append(s, r, true, e);
	}
	return failed(e, &g);
}

static void message_sent(struct ipfix_sink *s)
{
	s->message_len = s->message_sent = 0;
	if (s->to.kind == TRANSPORT_UDP)
		s->settled += s->in_message;
	else
		s->messages[(s->first + s->count++) % MESSAGES_MAX] =
		        (struct message){.end = transport_sent(s->transport), .records = s->in_message};
}

// What is left of the message. 0: nothing; -EAGAIN: some.
static int push(struct ipfix_sink *s, struct error *e)
{
	while (s->message_sent < s->message_len) {
		int n = transport_send(s->transport, s->message + s->message_sent, s->message_len - s->message_sent, e);

		if (n < 0) {
			if (n != -EAGAIN) // not once more: over UDP that would go
				s->message_len = s->message_sent = 0;
			return n;
		}
		s->message_sent += (size_t)n;
	}
	if (s->message_len > 0)
		message_sent(s);
	return 0;
}

// Ends the message: its records are given from here on.
static int emit(struct ipfix_sink *s, struct error *e)
{
	GError *g = NULL;

	if (!fBufEmit(s->buf, &g))
		return failed(e, &g);
	s->message_len = fbExporterGetMsgLen(s->exporter);
	return 0;
}

// libfixbuf keeps templates and data in messages of their own, and says "end of message" once at each change.
static int send_templates(struct ipfix_sink *s, struct error *e)
{
	GError *g = NULL;
	int r;

	if (s->templates_at && (s->to.kind != TRANSPORT_UDP || now_ms() - s->templates_at < TEMPLATE_SECONDS * 1000))
		return 0;
	s->in_message = 0;
	if (!fbSessionExportTemplates(s->session, &g) && g_error_matches(g, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
		g_clear_error(&g);
		fbSessionExportTemplates(s->session, &g);
	}
	if (g)
		return failed(e, &g);
	s->templates_at = now_ms();
	r = emit(s, e);
	return r < 0 ? r : push(s, e);
}

static int give_message(
        struct ipfix_sink *s, const struct flow_record *records, size_t count, size_t *given, struct error *e)
{
	int r;

	if (s->count + 2 > MESSAGES_MAX)
		return -EAGAIN;
	r = send_templates(s, e);
	if (r < 0)
		return r;
	s->in_message = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = append(s, &records[i], false, e);
	if (r < 0 && r != -EOVERFLOW)
		return r;
	r = emit(s, e);
	if (r < 0)
		return r;
	*given += s->in_message;
	return push(s, e);
}

static int ipfix_give(
        struct sink *sink, const struct flow_record *records, size_t count, size_t *ret_given, struct error *e)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;
	int r = push(s, e);

	for (*ret_given = 0; *ret_given < count && r == 0;)
		r = give_message(s, records + *ret_given, count - *ret_given, ret_given, e);
	return r;
}

static void take_acknowledged(struct ipfix_sink *s, bool ended)
{
	uint64_t acknowledged = transport_acknowledged(s->transport);
	int64_t now = now_ms();

	for (unsigned i = 0; i < s->count; i++) {
		struct message *m = &s->messages[(s->first + i) % MESSAGES_MAX];

		if (m->end > acknowledged)
			break;
		if (m->acknowledged_ms == 0)
			m->acknowledged_ms = now;
	}
	while (s->count > 0) {
		const struct message *m = &s->messages[s->first];

		if (m->acknowledged_ms == 0 || (!ended && now - m->acknowledged_ms < REST_MS))
			break;
		s->settled += m->records;
		s->first = (s->first + 1) % MESSAGES_MAX;
		s->count--;
	}
}

static int ipfix_settle(struct sink *sink, struct sink_settled *ret_settled, struct error *e)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;
	enum transport_peer peer;
	int r = push(s, e);

	if (r == 0 && s->finishing) {
		transport_finish(s->transport);
		s->finishing = false;
		s->finished = true;
	}
	peer = transport_peer(s->transport);
	if (s->to.kind != TRANSPORT_UDP && peer != TRANSPORT_PEER_RESET)
		take_acknowledged(s, peer == TRANSPORT_PEER_ENDED && s->finished);
	*ret_settled = (struct sink_settled){.delivered = s->settled};
	s->settled = 0;
	if (peer == TRANSPORT_PEER_THERE)
		return r == -EAGAIN ? 0 : r;
	return error_set(e, -ECONNRESET, "%s port %s: the collector has closed the connection", s->to.host, s->to.port);
}

static void ipfix_finish(struct sink *sink)
{
	((struct ipfix_sink *)sink)->finishing = true;
}

static void ipfix_free(struct sink *sink)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;

	ipfix_close(sink);
	if (s->model)
		fbInfoModelFree(s->model);
	transport_config_free(&s->to);
	free(s);
}

static const struct sink_ops ipfix_ops = {ipfix_open, ipfix_give, ipfix_settle, ipfix_finish, ipfix_close, ipfix_free};

int sink_ipfix_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e)
{
	struct ipfix_sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->sink.ops = &ipfix_ops;
	s->domain = config->domain;
	snprintf(s->sink.name, sizeof(s->sink.name), "ipfix %.300s", target);
	r = transport_config_parse(target, &s->to, e);
	if (r == 0 && s->to.kind == TRANSPORT_TLS)
		r = transport_config_tls(&s->to, config->ca_file, config->cert_file, config->key_file, e);
	if (r < 0) {
		transport_config_free(&s->to);
		free(s);
		return r;
	}
	s->model = fbInfoModelAlloc();
	*ret_sink = &s->sink;
	return 0;
}

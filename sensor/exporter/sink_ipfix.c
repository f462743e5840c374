// SPDX-License-Identifier: Apache-2.0
// Flow records as IPFIX biflows (RFC 7011, RFC 5103) by libfixbuf. A message is built from records that are kept until
// it has been sent whole; a connection begins with its templates, and over UDP they are sent again.
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
	time_t templates_at;
	size_t in_message; // records that it holds
};

static int64_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
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

static int send_message(struct ipfix_sink *s, struct error *e)
{
	GError *g = NULL;

	if (!fBufEmit(s->buf, &g))
		return failed(e, &g);
	return transport_send(s->transport, s->message, fbExporterGetMsgLen(s->exporter), e);
}

// libfixbuf keeps templates and data in messages of their own, and says "end of message" once at each change.
static int send_templates(struct ipfix_sink *s, struct error *e)
{
	GError *g = NULL;

	if (s->templates_at && (s->to.kind != TRANSPORT_UDP || seconds() - s->templates_at < TEMPLATE_SECONDS))
		return 0;
	if (!fbSessionExportTemplates(s->session, &g) && g_error_matches(g, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
		g_clear_error(&g);
		fbSessionExportTemplates(s->session, &g);
	}
	if (g)
		return failed(e, &g);
	s->templates_at = seconds();
	return send_message(s, e);
}

static int ipfix_deliver(
        struct sink *sink, const struct flow_record *records, size_t count, size_t *ret_done, struct error *e)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;
	int r = 0;

	*ret_done = 0;
	while (*ret_done < count && r == 0) {
		s->in_message = 0;
		r = send_templates(s, e);
		for (size_t i = *ret_done; i < count && r == 0; i++)
			r = append(s, &records[i], false, e);
		if (r == -EOVERFLOW)
			r = 0;
		if (r == 0)
			r = send_message(s, e);
		if (r == 0)
			*ret_done += s->in_message;
	}
	return r;
}

static int ipfix_flush(struct sink *sink, int timeout_ms, uint64_t *ret_lost, struct error *e)
{
	*ret_lost = 0; // deliver gives away what it has sent
	return 0;
}

static void ipfix_free(struct sink *sink)
{
	struct ipfix_sink *s = (struct ipfix_sink *)sink;

	ipfix_close(sink);
	if (s->model)
		fbInfoModelFree(s->model);
	free(s);
}

static const struct sink_ops ipfix_ops = {ipfix_open, ipfix_deliver, ipfix_flush, ipfix_close, ipfix_free};

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
	if (r < 0) {
		free(s);
		return r;
	}
	s->to.ca_file = config->ca_file;
	s->to.cert_file = config->cert_file;
	s->to.key_file = config->key_file;
	s->model = fbInfoModelAlloc();
	*ret_sink = &s->sink;
	return 0;
}

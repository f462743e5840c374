// SPDX-License-Identifier: Apache-2.0
// The one table of all fields (include/sealtap/flow.h). Names are those of Suricata's EVE where it has one.
#include "sealtap/flow.h"

#define AT(member) offsetof(struct flow_record, member)
#define TEXT(which) AT(text) + sizeof(char *) * (FLOW_TEXT_##which)

// clang-format off
const struct flow_field flow_fields[] = {
	{"src_ip", FLOW_KIND_ADDR, AT(src), 0, 0, "address that sent the first packet, or opened the connection"},
	{"src_port", FLOW_KIND_U16, AT(src_port), 0, FLOW_GROUP_PORTS, "its port"},
	{"dest_ip", FLOW_KIND_ADDR, AT(dest), 0, 0, "the other address"},
	{"dest_port", FLOW_KIND_U16, AT(dest_port), 0, FLOW_GROUP_PORTS, "its port"},
	{"ip_v", FLOW_KIND_U8, AT(ip_version), 0, 0, "4 or 6"},
	{"proto", FLOW_KIND_PROTO, AT(proto), 0, 0, "TCP, UDP, ICMP, IPv6-ICMP, SCTP and so on, or the number"},
	{"icmp_type", FLOW_KIND_U8, AT(icmp_type), 0, FLOW_GROUP_ICMP, "of the first packet"},
	{"icmp_code", FLOW_KIND_U8, AT(icmp_code), 0, FLOW_GROUP_ICMP, "of the first packet"},
	{"vlan", FLOW_KIND_VLANS, AT(vlan), 0, 0, "VLAN ids, the outermost first; at most two"},
	{"app_proto", FLOW_KIND_CHARS, AT(app_proto), 0, FLOW_GROUP_APP, "application protocol in lower case; failed: nDPI could not tell"},
	{"community_id", FLOW_KIND_CHARS, AT(community_id), 0, 0, "Community ID version 1, seed 0"},
	{"flow.pkts_toserver", FLOW_KIND_U64, AT(pkts[FLOW_TO_SERVER]), 0, 0, "packets from src_ip"},
	{"flow.pkts_toclient", FLOW_KIND_U64, AT(pkts[FLOW_TO_CLIENT]), 0, 0, "packets to src_ip"},
	{"flow.bytes_toserver", FLOW_KIND_U64, AT(bytes[FLOW_TO_SERVER]), 0, 0, "bytes on the wire from src_ip, with the link header; inside a tunnel, with the inner one"},
	{"flow.bytes_toclient", FLOW_KIND_U64, AT(bytes[FLOW_TO_CLIENT]), 0, 0, "the same to src_ip"},
	{"flow.ip_bytes_toserver", FLOW_KIND_U64, AT(ip_bytes[FLOW_TO_SERVER]), 0, 0, "bytes from src_ip from the IP header on"},
	{"flow.ip_bytes_toclient", FLOW_KIND_U64, AT(ip_bytes[FLOW_TO_CLIENT]), 0, 0, "the same to src_ip"},
	{"flow.start", FLOW_KIND_TIME, AT(start_ns), 0, 0, "time of the first packet, UTC"},
	{"flow.end", FLOW_KIND_TIME, AT(end_ns), 0, 0, "time of the last packet"},
	{"flow.age", FLOW_KIND_U64, AT(age_s), 0, 0, "whole seconds between them"},
	{"flow.state", FLOW_KIND_STATE, AT(state), 0, 0, "new, established, closed"},
	{"flow.reason", FLOW_KIND_REASON, AT(reason), 0, 0, "why there is a record: timeout, active_timeout (it goes on in another record), tcp_reuse, forced (table full), shutdown (end of recording)"},
	{"flow.cut", FLOW_KIND_FLAG, AT(cut), 1, 0, "true: the flow reached the cutoff of the recording (`--cutoff`), what came then is not recorded; absent: not by the packets that were inspected"},
	{"tcp.tcp_flags", FLOW_KIND_FLAGS, AT(tcp_flags_both), 0, FLOW_GROUP_TCP, "all flags seen, hexadecimal"},
	{"tcp.tcp_flags_ts", FLOW_KIND_FLAGS, AT(tcp_flags[FLOW_TO_SERVER]), 0, FLOW_GROUP_TCP, "those from src_ip"},
	{"tcp.tcp_flags_tc", FLOW_KIND_FLAGS, AT(tcp_flags[FLOW_TO_CLIENT]), 0, FLOW_GROUP_TCP, "those to src_ip"},
	{"tcp.syn", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_SYN, FLOW_GROUP_TCP, "true when seen; absent when not"},
	{"tcp.fin", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_FIN, FLOW_GROUP_TCP, "likewise"},
	{"tcp.rst", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_RST, FLOW_GROUP_TCP, "likewise"},
	{"tcp.psh", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_PSH, FLOW_GROUP_TCP, "likewise"},
	{"tcp.ack", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_ACK, FLOW_GROUP_TCP, "likewise"},
	{"tcp.urg", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_URG, FLOW_GROUP_TCP, "likewise"},
	{"tcp.ecn", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_ECE, FLOW_GROUP_TCP, "likewise"},
	{"tcp.cwr", FLOW_KIND_FLAG, AT(tcp_flags_both), TCP_CWR, FLOW_GROUP_TCP, "likewise"},
	{"tcp.ts_gap", FLOW_KIND_FLAG, AT(has_gaps), 1 << FLOW_TO_SERVER, FLOW_GROUP_TCP, "true when payload from src_ip was acknowledged and never seen"},
	{"tcp.tc_gap", FLOW_KIND_FLAG, AT(has_gaps), 1 << FLOW_TO_CLIENT, FLOW_GROUP_TCP, "the same to src_ip"},
	{"tcp.acked_bytes_toserver", FLOW_KIND_COUNT, AT(acked_bytes[FLOW_TO_SERVER]), 0, FLOW_GROUP_TCP, "payload from src_ip that was acknowledged"},
	{"tcp.acked_bytes_toclient", FLOW_KIND_COUNT, AT(acked_bytes[FLOW_TO_CLIENT]), 0, FLOW_GROUP_TCP, "the same to src_ip"},
	{"tcp.missed_bytes_toserver", FLOW_KIND_COUNT, AT(missed_bytes[FLOW_TO_SERVER]), 0, FLOW_GROUP_TCP, "of these, never seen"},
	{"tcp.missed_bytes_toclient", FLOW_KIND_COUNT, AT(missed_bytes[FLOW_TO_CLIENT]), 0, FLOW_GROUP_TCP, "the same to src_ip"},
	{"tcp.gaps_toserver", FLOW_KIND_COUNT, AT(gaps[FLOW_TO_SERVER]), 0, FLOW_GROUP_TCP, "in so many pieces"},
	{"tcp.gaps_toclient", FLOW_KIND_COUNT, AT(gaps[FLOW_TO_CLIENT]), 0, FLOW_GROUP_TCP, "the same to src_ip"},
	{"tcp.unseen_bytes_toserver", FLOW_KIND_COUNT, AT(unseen_bytes[FLOW_TO_SERVER]), 0, FLOW_GROUP_TCP, "payload from src_ip that was acknowledged when no packet from there was seen: not counted as missed"},
	{"tcp.unseen_bytes_toclient", FLOW_KIND_COUNT, AT(unseen_bytes[FLOW_TO_CLIENT]), 0, FLOW_GROUP_TCP, "the same to src_ip"},
	{"tunnel.kind", FLOW_KIND_TUNNEL_KIND, AT(tunnel.kind), 0, FLOW_GROUP_TUNNEL, "the innermost tunnel around the flow: ipip, gre, erspan, vxlan, geneve, gtpu"},
	{"tunnel.id", FLOW_KIND_U32, AT(tunnel.id), 0, FLOW_GROUP_TUNNEL, "VNI, GRE key, ERSPAN session, GTP TEID of the first packet"},
	{"tunnel.src_ip", FLOW_KIND_TUNNEL_ADDR, AT(tunnel.src), 0, FLOW_GROUP_TUNNEL, "the tunnel's ends, of the first packet"},
	{"tunnel.dest_ip", FLOW_KIND_TUNNEL_ADDR, AT(tunnel.dest), 0, FLOW_GROUP_TUNNEL, "likewise"},
	{"tunnel.depth", FLOW_KIND_U8, AT(tunnel.depth), 0, FLOW_GROUP_TUNNEL, "1: the tunnel is in no other"},
	{"ndpi.proto", FLOW_KIND_CHARS, AT(app), 0, FLOW_GROUP_APP, "nDPI's name, carrier and application: TLS.Facebook"},
	{"ndpi.proto_id", FLOW_KIND_CHARS, AT(app_number), 0, FLOW_GROUP_APP, "its numbers, of the installed version: 91.119"},
	{"ndpi.category", FLOW_KIND_TEXT, AT(category), 0, FLOW_GROUP_APP, "nDPI's category"},
	{"ndpi.confidence", FLOW_KIND_TEXT, AT(confidence), 0, FLOW_GROUP_APP, "how nDPI knows: DPI, Match by port and so on"},
	{"ndpi.risks", FLOW_KIND_RISKS, AT(risks), 0, FLOW_GROUP_APP, "nDPI's risks"},
	{"tls.sni", FLOW_KIND_TEXT, TEXT(HOST), 0, FLOW_GROUP_TLS, "server name that the client asked for"},
	{"tls.version", FLOW_KIND_TEXT, TEXT(TLS_VERSION), 0, FLOW_GROUP_TLS, "version"},
	{"tls.versions_offered", FLOW_KIND_TEXT, TEXT(TLS_VERSIONS_OFFERED), 0, FLOW_GROUP_TLS | FLOW_GROUP_QUIC, "versions that the client offered"},
	{"tls.alpn", FLOW_KIND_TEXT, TEXT(ALPN), 0, FLOW_GROUP_TLS | FLOW_GROUP_QUIC, "application protocols"},
	{"tls.ja3", FLOW_KIND_TEXT, TEXT(JA3), 0, FLOW_GROUP_TLS | FLOW_GROUP_QUIC, "JA3 of the client (nDPI up to 4.12)"},
	{"tls.ja3s", FLOW_KIND_TEXT, TEXT(JA3S), 0, FLOW_GROUP_TLS | FLOW_GROUP_QUIC, "JA3S of the server"},
	{"tls.ja4", FLOW_KIND_TEXT, TEXT(JA4), 0, FLOW_GROUP_TLS | FLOW_GROUP_QUIC, "JA4 of the client (nDPI 4.10 and newer)"},
	{"tls.fingerprint", FLOW_KIND_TEXT, TEXT(CERT_SHA1), 0, FLOW_GROUP_TLS, "SHA-1 of the server's certificate"},
	{"tls.subject", FLOW_KIND_TEXT, TEXT(CERT_SUBJECT), 0, FLOW_GROUP_TLS, "its subject"},
	{"tls.issuerdn", FLOW_KIND_TEXT, TEXT(CERT_ISSUER), 0, FLOW_GROUP_TLS, "its issuer"},
	{"tls.subjectaltname", FLOW_KIND_TEXT, TEXT(CERT_NAMES), 0, FLOW_GROUP_TLS, "its names"},
	{"quic.sni", FLOW_KIND_TEXT, TEXT(HOST), 0, FLOW_GROUP_QUIC, "server name that the client asked for"},
	{"quic.ua", FLOW_KIND_TEXT, TEXT(USER_AGENT), 0, FLOW_GROUP_QUIC, "user agent that the client gave"},
	{"http.hostname", FLOW_KIND_TEXT, TEXT(HOST), 0, FLOW_GROUP_HTTP, "host of the first request"},
	{"http.url", FLOW_KIND_TEXT, TEXT(HTTP_URL), 0, FLOW_GROUP_HTTP, "its URL"},
	{"http.http_method", FLOW_KIND_TEXT, TEXT(HTTP_METHOD), 0, FLOW_GROUP_HTTP, "its method"},
	{"http.http_user_agent", FLOW_KIND_TEXT, TEXT(USER_AGENT), 0, FLOW_GROUP_HTTP, "its user agent"},
	{"http.status", FLOW_KIND_TEXT, TEXT(HTTP_STATUS), 0, FLOW_GROUP_HTTP, "status of the first answer"},
	{"http.http_content_type", FLOW_KIND_TEXT, TEXT(HTTP_CONTENT_TYPE), 0, FLOW_GROUP_HTTP, "its content type"},
	{"dns.rrname", FLOW_KIND_TEXT, TEXT(HOST), 0, FLOW_GROUP_DNS, "name of the first query"},
	{"dns.rrtype", FLOW_KIND_TEXT, TEXT(DNS_TYPE), 0, FLOW_GROUP_DNS, "its type"},
	{"dns.rcode", FLOW_KIND_TEXT, TEXT(DNS_RCODE), 0, FLOW_GROUP_DNS, "code of the first answer"},
	{"dns.answer", FLOW_KIND_TEXT, TEXT(DNS_ANSWER), 0, FLOW_GROUP_DNS, "first address in it"},
	{"ssh.client", FLOW_KIND_TEXT, TEXT(SSH_CLIENT), 0, FLOW_GROUP_SSH, "what the client calls itself"},
	{"ssh.server", FLOW_KIND_TEXT, TEXT(SSH_SERVER), 0, FLOW_GROUP_SSH, "what the server calls itself"},
	{"ssh.hassh", FLOW_KIND_TEXT, TEXT(HASSH), 0, FLOW_GROUP_SSH, "HASSH of the client"},
	{"ssh.hassh_server", FLOW_KIND_TEXT, TEXT(HASSH_SERVER), 0, FLOW_GROUP_SSH, "HASSH of the server"},
	{"ndpi.hostname", FLOW_KIND_TEXT, TEXT(HOST), 0, FLOW_GROUP_OTHER_NAME, "a name that nDPI found in another protocol"},
	{"sealtap.recording", FLOW_KIND_TEXT, AT(recording), 0, 0, "id of the recording"},
	{"sealtap.sensor", FLOW_KIND_TEXT, AT(sensor), 0, 0, "sensor that made it"},
	{"sealtap.lane", FLOW_KIND_LANE, AT(segments), 0, 0, "lane of the first packet"},
	{"sealtap.segments", FLOW_KIND_SEGMENTS, AT(segments), 0, 0, "segments that hold its packets: lane, and the first and last number; more: true when further lanes do too"},
	{"sealtap.complete", FLOW_KIND_TEXT, AT(complete), 0, 0, "yes, no, unknown: whether the recording lost nothing between sensor and disk"},
};
// clang-format on

const size_t flow_field_count = sizeof(flow_fields) / sizeof(flow_fields[0]);

bool flow_field_present(const struct flow_field *field, const struct flow_record *r)
{
	const uint8_t *at = (const uint8_t *)r + field->offset;

	if (field->groups != 0 && !(r->groups & field->groups))
		return false;
	switch (field->kind) {
	case FLOW_KIND_FLAG:
		return (*at & field->bit) != 0;
	case FLOW_KIND_COUNT:
		return *(const uint64_t *)(const void *)at != 0;
	case FLOW_KIND_VLANS:
		return r->vlan_count > 0;
	case FLOW_KIND_CHARS:
		return *at != '\0';
	case FLOW_KIND_TEXT:
		return *(const char *const *)(const void *)at != NULL;
	case FLOW_KIND_RISKS:
		return r->risk_count > 0;
	case FLOW_KIND_SEGMENTS:
	case FLOW_KIND_LANE:
		return r->segments_count > 0;
	default:
		return true;
	}
}

// SPDX-License-Identifier: Apache-2.0
// The flow record: what is said about one flow when it ends, or when it has lasted long. One struct, and one table that
// names every field once; JSON, CSV and exporters are walks over the table.
//
// A flow is what has the same two endpoints (address and port), protocol, VLANs and tunnel, in both directions. "src"
// is the side that sent the first packet; of TCP, the side that opened the connection where that was seen.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_ADDR_LEN 16u
#define FLOW_VLANS_MAX 2u
#define FLOW_LANES_MAX 3u // lanes named in a record
#define COMMUNITY_ID_MAX 32u

enum flow_direction { FLOW_TO_SERVER, FLOW_TO_CLIENT, FLOW_DIRECTIONS };

// Innermost tunnel around a flow.
enum flow_tunnel_kind {
	FLOW_TUNNEL_NONE,
	FLOW_TUNNEL_IPIP, // IP in IP, of any two versions
	FLOW_TUNNEL_GRE,
	FLOW_TUNNEL_ERSPAN,
	FLOW_TUNNEL_VXLAN,
	FLOW_TUNNEL_GENEVE,
	FLOW_TUNNEL_GTPU,
	FLOW_TUNNEL_KINDS
};

struct flow_tunnel {
	uint8_t src[FLOW_ADDR_LEN], dest[FLOW_ADDR_LEN];
	uint32_t id;        // VNI, GRE key, ERSPAN session, TEID: of the first packet; 0 when there is none
	uint8_t kind;       // enum flow_tunnel_kind
	uint8_t ip_version; // of src and dest
	uint8_t depth;      // 1: not itself inside a tunnel
};

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_STATES };

// Why a record was made.
enum flow_reason {
	FLOW_REASON_TIMEOUT,        // nothing came for the idle time; of a closed connection, for the close time
	FLOW_REASON_ACTIVE_TIMEOUT, // it has lasted; what follows is another record
	FLOW_REASON_TCP_REUSE,      // the same ports opened a new connection
	FLOW_REASON_FORCED,         // the table was full, and this was the flow longest unused
	FLOW_REASON_SHUTDOWN,       // the recording ended
	FLOW_REASONS
};

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_URG 0x20u
#define TCP_ECE 0x40u
#define TCP_CWR 0x80u

// Where a flow's packets are: in segments first to last of a lane, not necessarily in each.
struct flow_segments {
	uint32_t lane, first, last;
};

// Names out of packets. They are safe to show: printable ASCII, where every other byte, and the backslash, reads \xNN.
enum flow_text {
	FLOW_TEXT_HOST, // TLS and QUIC server name, HTTP host, DNS query
	FLOW_TEXT_ALPN,
	FLOW_TEXT_TLS_VERSION,
	FLOW_TEXT_TLS_VERSIONS_OFFERED,
	FLOW_TEXT_JA3,
	FLOW_TEXT_JA3S,
	FLOW_TEXT_JA4,
	FLOW_TEXT_CERT_SHA1,
	FLOW_TEXT_CERT_ISSUER,
	FLOW_TEXT_CERT_SUBJECT,
	FLOW_TEXT_CERT_NAMES,
	FLOW_TEXT_HTTP_URL,
	FLOW_TEXT_HTTP_METHOD,
	FLOW_TEXT_HTTP_STATUS,
	FLOW_TEXT_USER_AGENT, // HTTP and QUIC
	FLOW_TEXT_HTTP_CONTENT_TYPE,
	FLOW_TEXT_DNS_TYPE,
	FLOW_TEXT_DNS_RCODE,
	FLOW_TEXT_DNS_ANSWER,
	FLOW_TEXT_SSH_CLIENT,
	FLOW_TEXT_SSH_SERVER,
	FLOW_TEXT_HASSH,
	FLOW_TEXT_HASSH_SERVER,
	FLOW_TEXTS
};

// Which groups of fields a flow has.
#define FLOW_GROUP_TCP (1u << 0)
#define FLOW_GROUP_ICMP (1u << 1)
#define FLOW_GROUP_PORTS (1u << 2)
#define FLOW_GROUP_TUNNEL (1u << 3)
#define FLOW_GROUP_APP (1u << 4) // nDPI has looked at it
#define FLOW_GROUP_TLS (1u << 5)
#define FLOW_GROUP_QUIC (1u << 6)
#define FLOW_GROUP_HTTP (1u << 7)
#define FLOW_GROUP_DNS (1u << 8)
#define FLOW_GROUP_SSH (1u << 9)
#define FLOW_GROUP_COMMUNITY_ID (1u << 10)
#define FLOW_GROUP_OTHER_NAME (1u << 11) // a host name that belongs to none of these

#define FLOW_RISKS_MAX 64u

struct flow_record {
	uint64_t start_ns, end_ns; // first and last packet
	uint64_t age_s;
	uint64_t pkts[FLOW_DIRECTIONS];
	uint64_t bytes[FLOW_DIRECTIONS];    // on the wire, with the link header of the flow's own level
	uint64_t ip_bytes[FLOW_DIRECTIONS]; // with IP header, without the link's
	// TCP payload, by acknowledgements (analyzers/tcp_gap.h).
	uint64_t acked_bytes[FLOW_DIRECTIONS], missed_bytes[FLOW_DIRECTIONS], gaps[FLOW_DIRECTIONS];
	uint64_t unseen_bytes[FLOW_DIRECTIONS];
	uint8_t src[FLOW_ADDR_LEN], dest[FLOW_ADDR_LEN];
	uint16_t src_port, dest_port;
	uint16_t vlan[FLOW_VLANS_MAX];
	uint8_t vlan_count;
	uint8_t ip_version, proto;
	uint8_t icmp_type, icmp_code;
	uint8_t tcp_flags[FLOW_DIRECTIONS], tcp_flags_both;
	uint8_t has_gaps;      // a bit for each direction: 1 << FLOW_TO_SERVER
	uint8_t state, reason; // enum flow_state, enum flow_reason
	uint8_t cut;           // 1: it has reached the cutoff of the recording
	uint32_t groups;       // FLOW_GROUP_*
	struct flow_tunnel tunnel;
	char community_id[COMMUNITY_ID_MAX];

	// Of nDPI; names are its own.
	char app_proto[32];  // lower case, of the carrying protocol
	char app[64];        // "TLS.Facebook"
	char app_number[16]; // "91.119"
	const char *category, *confidence;
	const char *risks[FLOW_RISKS_MAX];
	unsigned risk_count;
	const char *text[FLOW_TEXTS]; // NULL: none

	struct flow_segments segments[FLOW_LANES_MAX];
	unsigned segments_count;
	bool segments_more; // its packets lie in further lanes too

	// Of the recording.
	const char *recording, *sensor, *complete;
};

enum flow_kind {
	FLOW_KIND_U64,
	FLOW_KIND_COUNT, // uint64_t; only when not 0
	FLOW_KIND_U16,
	FLOW_KIND_U8,
	FLOW_KIND_TIME,     // uint64_t, ns since 1970; RFC 3339
	FLOW_KIND_ADDR,     // 16 bytes, of the record's ip_version
	FLOW_KIND_PROTO,    // uint8_t
	FLOW_KIND_FLAGS,    // uint8_t, two hexadecimal digits
	FLOW_KIND_FLAG,     // a bit of a uint8_t; only when set
	FLOW_KIND_STATE,    // uint8_t
	FLOW_KIND_REASON,   // uint8_t
	FLOW_KIND_VLANS,    // list
	FLOW_KIND_CHARS,    // char[]
	FLOW_KIND_TEXT,     // const char *; the same as CHARS when present
	FLOW_KIND_RISKS,    // list
	FLOW_KIND_SEGMENTS, // list
	FLOW_KIND_LANE,
	FLOW_KIND_TUNNEL_KIND,
	FLOW_KIND_TUNNEL_ADDR, // 16 bytes, of the tunnel's ip_version
	FLOW_KIND_U32,
};

struct flow_field {
	const char *name; // of EVE where it has one; a point is a level of JSON
	enum flow_kind kind;
	uint16_t offset;  // in struct flow_record
	uint8_t bit;      // of FLOW_KIND_FLAG
	uint32_t groups;  // present only when the flow has one of these; 0: always
	const char *what; // for people
};

extern const struct flow_field flow_fields[];
extern const size_t flow_field_count;

// Whether the record has this field at all.
bool flow_field_present(const struct flow_field *field, const struct flow_record *record);

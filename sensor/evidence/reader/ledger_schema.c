// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/ledger_schema.h"

#include <errno.h>
#include <string.h>

const char *const line_type_names[LINE_TYPES + 1] = {"open", "key", "begin", "progress", "segment", "loss", "shunt",
        "clock", "gap", "mark", "incident", "heartbeat", "source", "flows", "retire", "retire_flows", "close", NULL};
const char *const authority_kind_names[] = {"own-network", "ingest", NULL};
const char *const source_kind_names[] = {"file", "afpacket", "pcap", "xdp", "dpdk", NULL};
const char *const close_reason_names[] = {"end-of-input", "input-damaged", "duration", "packets", "signal", "disk-full",
        "disk-error", "source-failed", "supervisor-died", "recorder-failed", NULL};
const char *const retire_reason_names[] = {"keep-size", "keep-time", "min-free", NULL};
static const char *const format_names[] = {EVIDENCE_FORMAT, NULL};
static const char *const recovery_format_names[] = {EVIDENCE_RECOVERY_FORMAT, NULL};
static const char *const mode_names[] = {"content", NULL};
static const char *const time_source_names[] = {"file", "kernel", "driver", NULL};
static const char *const sealed_names[] = {"recorder", "adopted", NULL};
static const char *const cause_names[] = {"pool", "disk", "oversize", "crash", NULL};
static const char *const tolerance_names[] = {"100000000", NULL};
static const char *const synchronised_names[] = {"yes", "no", NULL};
static const char *const gap_names[] = {"pause", "suspend", NULL};
static const char *const incident_names[] = {"recorder-died", "recorder-resumed", "adopted", "disk-full", "disk-error",
        "supervisor-died", "source-failed", "interface-down", "overload", "stalled", "interface-up",
        "interface-renamed", "interface-back", "carrier-lost", "carrier-back", "mtu-changed", "interface-removed",
        "queues-changed", "offload-changed", "promiscuous-lost", "starved", "kernel-time", "inspector-died",
        "inspection-shed", "flowlog-died", "exporter-died", "flows-ended", NULL};

#define INT_(type, member, max)                                                                                        \
	{                                                                                                              \
#member, FIELD_INTEGER, offsetof(type, member), .limit = (max)                                         \
	}
#define U64_(type, member)                                                                                             \
	{                                                                                                              \
#member, FIELD_U64, offsetof(type, member)                                                             \
	}
#define TIME_(type, member)                                                                                            \
	{                                                                                                              \
#member, FIELD_TIME, offsetof(type, member)                                                            \
	}
#define HEX_(type, member)                                                                                             \
	{                                                                                                              \
#member, FIELD_HEX, offsetof(type, member), .limit = sizeof(((type *)0)->member)                       \
	}
#define TEXT_(type, member)                                                                                            \
	{                                                                                                              \
#member, FIELD_TEXT, offsetof(type, member), .limit = TEXT_ANY                                         \
	}
#define WORD_(type, member, list)                                                                                      \
	{                                                                                                              \
#member, FIELD_WORD, offsetof(type, member), .words = (list)                                           \
	}
#define END_                                                                                                           \
	{                                                                                                              \
		NULL                                                                                                   \
	}

static const struct field dropped_fields[] = {
        {"pool", FIELD_U64, offsetof(struct counters, dropped[DROP_POOL])},
        {"disk", FIELD_U64, offsetof(struct counters, dropped[DROP_DISK])},
        {"oversize", FIELD_U64, offsetof(struct counters, dropped[DROP_OVERSIZE])},
        {"crash", FIELD_U64, offsetof(struct counters, dropped[DROP_CRASH])},
        END_,
};

static const struct field driver_fields[] = {
        {"received", FIELD_U64, offsetof(struct counters, driver_received), .mask_bit = COUNTERS_DRIVER_RECEIVED,
                .mask_offset = offsetof(struct counters, driver_mask)},
        {"dropped", FIELD_U64, offsetof(struct counters, driver_dropped), .mask_bit = COUNTERS_DRIVER_DROPPED,
                .mask_offset = offsetof(struct counters, driver_mask)},
        END_,
};

static const struct field nic_fields[] = {
        {"received", FIELD_U64, offsetof(struct counters, nic[NIC_RECEIVED])},
        {"missed", FIELD_U64, offsetof(struct counters, nic[NIC_MISSED])},
        {"fifo", FIELD_U64, offsetof(struct counters, nic[NIC_FIFO])},
        {"over", FIELD_U64, offsetof(struct counters, nic[NIC_OVER])},
        {"errors", FIELD_U64, offsetof(struct counters, nic[NIC_ERRORS])},
        {"dropped", FIELD_U64, offsetof(struct counters, nic[NIC_DROPPED])},
        END_,
};

static const struct field xdp_fields[] = {
        {"no_socket", FIELD_U64, offsetof(struct counters, xsk[XSK_NO_SOCKET])},
        {"dropped", FIELD_U64, offsetof(struct counters, xsk[XSK_DROPPED])},
        {"ring_full", FIELD_U64, offsetof(struct counters, xsk[XSK_RING_FULL])},
        {"fill_empty", FIELD_U64, offsetof(struct counters, xsk[XSK_FILL_EMPTY])},
        END_,
};

static const struct field counters_fields[] = {
        U64_(struct counters, received),
        U64_(struct counters, recorded),
        U64_(struct counters, filtered),
        U64_(struct counters, out_of_scope),
        U64_(struct counters, shunted),
        {"dropped", FIELD_OBJECT, 0, .table = dropped_fields},
        {"driver", FIELD_OBJECT, 0, .table = driver_fields},
        {"nic", FIELD_OBJECT, 0, .table = nic_fields, .mask_bit = COUNTERS_NIC,
                .mask_offset = offsetof(struct counters, driver_mask)},
        {"xdp", FIELD_OBJECT, 0, .table = xdp_fields, .mask_bit = COUNTERS_XDP,
                .mask_offset = offsetof(struct counters, driver_mask)},
        END_,
};

static const struct field authority_fields[] = {
        WORD_(struct ledger_authority, kind, authority_kind_names),
        TEXT_(struct ledger_authority, reference),
        TEXT_(struct ledger_authority, operator),
        END_,
};

const struct field source_entry_fields[] = {
        WORD_(struct ledger_source_entry, kind, source_kind_names),
        TEXT_(struct ledger_source_entry, name),
        TEXT_(struct ledger_source_entry, detail),
        END_,
};

static const struct field host_fields[] = {
        {"name", FIELD_TEXT, offsetof(struct ledger_open, host_name), .limit = TEXT_ANY},
        {"kernel", FIELD_TEXT, offsetof(struct ledger_open, host_kernel), .limit = TEXT_ANY},
        {"machine", FIELD_TEXT, offsetof(struct ledger_open, host_machine), .limit = TEXT_ANY},
        {"boot_id", FIELD_TEXT, offsetof(struct ledger_open, boot_id), .limit = TEXT_ANY},
        END_,
};

static const struct field retention_fields[] = {
        {"keep_bytes", FIELD_U64, offsetof(struct ledger_retention, keep_bytes), .mask_bit = RETENTION_BYTES,
                .mask_offset = offsetof(struct ledger_retention, has)},
        {"keep_time", FIELD_TIME, offsetof(struct ledger_retention, keep_time), .mask_bit = RETENTION_TIME,
                .mask_offset = offsetof(struct ledger_retention, has)},
        U64_(struct ledger_retention, min_free),
        END_,
};

static const struct field open_fields[] = {
        WORD_(struct ledger_open, format, format_names),
        TEXT_(struct ledger_open, sensor),
        HEX_(struct ledger_open, origin_key),
        INT_(struct ledger_open, origin_seq, INTEGER_MAX),
        HEX_(struct ledger_open, origin_prev),
        {"authority", FIELD_OBJECT, offsetof(struct ledger_open, authority), .table = authority_fields},
        WORD_(struct ledger_open, mode, mode_names),
        {"sources", FIELD_ARRAY, offsetof(struct ledger_open, sources), .limit = sizeof(struct ledger_source_entry),
                .table = source_entry_fields},
        TEXT_(struct ledger_open, filter),
        TEXT_(struct ledger_open, build),
        HEX_(struct ledger_open, config_sha256),
        {"host", FIELD_OBJECT, 0, .table = host_fields},
        WORD_(struct ledger_open, time_source, time_source_names),
        INT_(struct ledger_open, flush_ms, INTEGER_MAX),
        HEX_(struct ledger_open, salts_sha256),
        {"retention", FIELD_OBJECT, offsetof(struct ledger_open, retention), .table = retention_fields, .mask_bit = 1,
                .mask_offset = offsetof(struct ledger_open, has_retention)},
        {"places", FIELD_INTEGER, offsetof(struct ledger_open, places), .limit = PLACES_MAX, .mask_bit = 1,
                .mask_offset = offsetof(struct ledger_open, has_places)},
        {"cutoff_bytes", FIELD_U64, offsetof(struct ledger_open, cutoff_bytes), .mask_bit = 1,
                .mask_offset = offsetof(struct ledger_open, has_cutoff)},
        {"cutoff_apps", FIELD_TEXT, offsetof(struct ledger_open, cutoff_apps), .limit = TEXT_ANY, .mask_bit = 1,
                .mask_offset = offsetof(struct ledger_open, has_cutoff_apps)},
        END_,
};

static const struct field key_fields[] = {
        INT_(struct ledger_key, epoch, INTEGER_MAX),
        HEX_(struct ledger_key, public_key),
        {"origin_signature", FIELD_HEX, offsetof(struct ledger_key, origin_signature), .limit = ED25519_SIG_LEN,
                .mask_bit = 1, .mask_offset = offsetof(struct ledger_key, has_signature)},
        END_,
};

static const struct field begin_fields[] = {
        INT_(struct ledger_begin, lane, LANES_MAX - 1),
        INT_(struct ledger_begin, number, UINT32_MAX),
        INT_(struct ledger_begin, source, INTEGER_MAX),
        {"interface", FIELD_TEXT, offsetof(struct ledger_begin, interface), .limit = 255},
        INT_(struct ledger_begin, linktype, UINT16_MAX),
        INT_(struct ledger_begin, snaplen, UINT32_MAX),
        END_,
};

const struct field progress_entry_fields[] = {
        INT_(struct ledger_progress_entry, lane, LANES_MAX - 1),
        INT_(struct ledger_progress_entry, number, UINT32_MAX),
        U64_(struct ledger_progress_entry, frames),
        U64_(struct ledger_progress_entry, bytes),
        U64_(struct ledger_progress_entry, packets),
        HEX_(struct ledger_progress_entry, root),
        {"counters", FIELD_OBJECT, offsetof(struct ledger_progress_entry, counters), .table = counters_fields},
        END_,
};

static const struct field progress_fields[] = {
        {"segments", FIELD_ARRAY, offsetof(struct ledger_progress, segments),
                .limit = sizeof(struct ledger_progress_entry), .table = progress_entry_fields},
        U64_(struct ledger_progress, sync_ns_max),
        END_,
};

static const struct field segment_fields[] = {
        INT_(struct ledger_segment, lane, LANES_MAX - 1),
        INT_(struct ledger_segment, number, UINT32_MAX),
        TEXT_(struct ledger_segment, path),
        U64_(struct ledger_segment, bytes),
        HEX_(struct ledger_segment, sha256),
        U64_(struct ledger_segment, frames),
        U64_(struct ledger_segment, packets),
        HEX_(struct ledger_segment, root),
        TIME_(struct ledger_segment, ts_min),
        TIME_(struct ledger_segment, ts_max),
        WORD_(struct ledger_segment, mode, mode_names),
        WORD_(struct ledger_segment, sealed, sealed_names),
        {"counters_begin", FIELD_OBJECT, offsetof(struct ledger_segment, counters_begin), .table = counters_fields},
        {"counters_end", FIELD_OBJECT, offsetof(struct ledger_segment, counters_end), .table = counters_fields},
        END_,
};

static const struct field loss_fields[] = {
        INT_(struct ledger_loss, lane, LANES_MAX - 1),
        WORD_(struct ledger_loss, cause, cause_names),
        U64_(struct ledger_loss, frames),
        TIME_(struct ledger_loss, t_first),
        TIME_(struct ledger_loss, t_last),
        END_,
};

static const struct field shunt_fields[] = {
        INT_(struct ledger_shunt, lane, LANES_MAX - 1),
        U64_(struct ledger_shunt, frames),
        U64_(struct ledger_shunt, bytes),
        TIME_(struct ledger_shunt, t_first),
        TIME_(struct ledger_shunt, t_last),
        END_,
};

static const struct field clock_fields[] = {
        TEXT_(struct ledger_clock, boot_id),
        TIME_(struct ledger_clock, offset),
        {"tolerance_ns", FIELD_WORD, offsetof(struct ledger_clock, tolerance), .words = tolerance_names,
                .expected = "\"100000000\""},
        WORD_(struct ledger_clock, synchronised, synchronised_names),
        U64_(struct ledger_clock, max_error_ns),
        END_,
};

static const struct field gap_fields[] = {
        WORD_(struct ledger_gap, cause, gap_names),
        TIME_(struct ledger_gap, length),
        END_,
};

static const struct field mark_fields[] = {
        {"by", FIELD_TEXT, offsetof(struct ledger_line, texts[0]) - offsetof(struct ledger_line, open),
                .limit = TEXT_ANY},
        {"text", FIELD_TEXT, offsetof(struct ledger_line, texts[1]) - offsetof(struct ledger_line, open),
                .limit = TEXT_ANY},
        END_,
};

static const struct field incident_fields[] = {
        WORD_(struct ledger_incident, kind, incident_names),
        TEXT_(struct ledger_incident, detail),
        END_,
};

static const struct field heartbeat_fields[] = {END_};

static const struct field damage_fields[] = {
        {"offset", FIELD_U64, offsetof(struct ledger_source, damage_offset)},
        {"reason", FIELD_TEXT, offsetof(struct ledger_source, damage_reason), .limit = TEXT_ANY},
        END_,
};

static const struct field extra_fields[] = {
        {"path", FIELD_TEXT, offsetof(struct ledger_source, extra_path), .limit = TEXT_ANY},
        {"bytes", FIELD_U64, offsetof(struct ledger_source, extra_bytes)},
        {"sha256", FIELD_HEX, offsetof(struct ledger_source, extra_sha256), .limit = DIGEST_LEN},
        {"lines", FIELD_U64, offsetof(struct ledger_source, extra_lines)},
        END_,
};

static const struct field source_fields[] = {
        INT_(struct ledger_source, index, INTEGER_MAX),
        TEXT_(struct ledger_source, name),
        TEXT_(struct ledger_source, format),
        U64_(struct ledger_source, bytes),
        HEX_(struct ledger_source, sha256),
        U64_(struct ledger_source, packets),
        U64_(struct ledger_source, ts_truncated),
        U64_(struct ledger_source, ts_out_of_range),
        {"damage", FIELD_OBJECT, 0, .table = damage_fields, .mask_bit = SOURCE_HAS_DAMAGE,
                .mask_offset = offsetof(struct ledger_source, has)},
        {"extra", FIELD_OBJECT, 0, .table = extra_fields, .mask_bit = SOURCE_HAS_EXTRA,
                .mask_offset = offsetof(struct ledger_source, has)},
        END_,
};

static const struct field flows_fields[] = {
        INT_(struct ledger_flows, number, UINT32_MAX - 1),
        TEXT_(struct ledger_flows, path),
        U64_(struct ledger_flows, bytes),
        HEX_(struct ledger_flows, sha256),
        U64_(struct ledger_flows, frames),
        U64_(struct ledger_flows, raw_bytes),
        U64_(struct ledger_flows, records),
        U64_(struct ledger_flows, inspected),
        U64_(struct ledger_flows, lost),
        U64_(struct ledger_flows, malformed),
        END_,
};

static const struct field retire_flows_fields[] = {
        INT_(struct ledger_retire_flows, number, UINT32_MAX - 1),
        U64_(struct ledger_retire_flows, bytes),
        HEX_(struct ledger_retire_flows, sha256),
        END_,
};

static const struct field retire_fields[] = {
        INT_(struct ledger_retire, lane, LANES_MAX - 1),
        INT_(struct ledger_retire, number, UINT32_MAX),
        U64_(struct ledger_retire, bytes),
        HEX_(struct ledger_retire, sha256),
        U64_(struct ledger_retire, packets),
        WORD_(struct ledger_retire, reason, retire_reason_names),
        {"free", FIELD_U64, offsetof(struct ledger_retire, free), .mask_bit = 1,
                .mask_offset = offsetof(struct ledger_retire, has_free)},
        END_,
};

static const struct field close_fields[] = {
        WORD_(struct ledger_close, reason, close_reason_names),
        U64_(struct ledger_close, segments),
        U64_(struct ledger_close, packets),
        END_,
};

static const struct field common_fields[] = {
        INT_(struct ledger_line, seq, INTEGER_MAX),
        HEX_(struct ledger_line, prev),
        WORD_(struct ledger_line, type, line_type_names),
        TIME_(struct ledger_line, t_real),
        TIME_(struct ledger_line, t_boot),
        HEX_(struct ledger_line, nonce),
        END_,
};

static const struct field *const type_fields[LINE_TYPES] = {open_fields, key_fields, begin_fields, progress_fields,
        segment_fields, loss_fields, shunt_fields, clock_fields, gap_fields, mark_fields, incident_fields,
        heartbeat_fields, source_fields, flows_fields, retire_fields, retire_flows_fields, close_fields};

const struct field recovery_segment_fields[] = {
        INT_(struct recovery_segment, lane, LANES_MAX - 1),
        INT_(struct recovery_segment, number, UINT32_MAX),
        U64_(struct recovery_segment, file_bytes),
        HEX_(struct recovery_segment, file_sha256),
        U64_(struct recovery_segment, signed_frames),
        U64_(struct recovery_segment, signed_packets),
        U64_(struct recovery_segment, frames),
        U64_(struct recovery_segment, packets),
        U64_(struct recovery_segment, bytes),
        HEX_(struct recovery_segment, root),
        END_,
};

const struct field recovery_fields[] = {
        WORD_(struct recovery, format, recovery_format_names),
        HEX_(struct recovery, recording),
        TIME_(struct recovery, t_real),
        U64_(struct recovery, ledger_bytes),
        HEX_(struct recovery, ledger_sha256),
        U64_(struct recovery, checkpoint_size),
        HEX_(struct recovery, checkpoint_sha256),
        {"segments", FIELD_LIST, offsetof(struct recovery, segments), .limit = sizeof(struct recovery_segment),
                .table = recovery_segment_fields},
        {"origin_signature", FIELD_HEX, offsetof(struct recovery, origin_signature), .limit = ED25519_SIG_LEN,
                .mask_bit = 1, .mask_offset = offsetof(struct recovery, has_signature)},
        END_,
};

int ledger_line_take(json_t *object, struct ledger_line *ret_line, struct field_fault *ret_fault)
{
	void *iter = json_object_iter(object);

	memset(ret_line, 0, sizeof(*ret_line));
	if (fields_take(object, &iter, common_fields, ret_line, ret_fault) < 0)
		return -EBADMSG;
	if (fields_take(object, &iter, type_fields[ret_line->type], &ret_line->open, ret_fault) < 0)
		return -EBADMSG;
	if (iter) {
		*ret_fault = (struct field_fault){.key = "", .expected = "no further keys"};
		return -EBADMSG;
	}
	return 0;
}

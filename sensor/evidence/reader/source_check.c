// SPDX-License-Identifier: Apache-2.0
// `open`, the salts (check 7) and what ingested files carried besides (check 11).
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/evidence/reader/verify_state.h"

static void add(struct verify *v, const char *code, const char *expected, const char *actual)
{
	report_add(v->report, VERDICT_INVALID, code, LINE_WHERE(v), expected, actual);
}

static void salts_check(struct verify *v, const struct ledger_open *open)
{
	uint8_t hash[DIGEST_LEN];
	long n = recording_read_small(v->dirfd, "salts.key", v->salts, sizeof(v->salts));

	if (n < 0 && n != -EFBIG) {
		report_errno(v->report, "salts.key", (int)n);
		return;
	}
	if (n != SALTS_KEY_LEN) {
		report_add(v->report, VERDICT_INVALID, "salts-hash", "salts.key", "32 bytes", "another length");
		return;
	}
	v->salts_read = true;
	digest_once(v->salts, sizeof(v->salts), hash);
	v->salts_known = memcmp(hash, open->salts_sha256, DIGEST_LEN) == 0;
	if (!v->salts_known)
		report_add(v->report, VERDICT_INVALID, "salts-hash", "salts.key", NOTE_HEX(open->salts_sha256),
		        NOTE_HEX(hash));
}

static void sources_keep(struct verify *v, const struct ledger_open *open)
{
	size_t count = json_array_size(open->sources);
	struct verify_report *r = v->report;
	struct field_fault fault;

	if (count > SOURCES_MAX) {
		add(v, "limit-exceeded", NOTE("at most %u sources", SOURCES_MAX), NOTE_U64(count));
		count = SOURCES_MAX;
	}
	r->sources = calloc(count, sizeof(*r->sources));
	v->source_has_extra = calloc(count, sizeof(*v->source_has_extra));
	if (!r->sources || !v->source_has_extra) {
		report_errno(r, "ledger.jsonl line 0", -ENOMEM);
		return;
	}
	v->ingest_only = true;
	for (size_t i = 0; i < count; i++) {
		struct ledger_source_entry entry = {0};

		fields_parse(json_array_get(open->sources, i), source_entry_fields, &entry, &fault);
		r->sources[i].kind = text_safe(source_kind_names[entry.kind]);
		r->sources[i].name = text_safe(entry.name ? entry.name : "");
		v->ingest_only = v->ingest_only && entry.kind == SOURCE_KIND_FILE;
	}
	r->source_count = count;
}

void source_open(struct verify *v, const struct ledger_open *open)
{
	static const uint8_t zero[DIGEST_LEN];
	struct verify_report *r = v->report;

	r->has_open = true;
	r->sensor = text_safe(open->sensor);
	r->authority_kind = text_safe(authority_kind_names[open->authority.kind]);
	r->authority_reference = text_safe(open->authority.reference);
	r->authority_operator = text_safe(open->authority.operator);
	r->mode = text_safe("content");
	r->build = text_safe(open->build);
	r->filter = text_safe(open->filter);
	memcpy(r->origin_key, open->origin_key, ED25519_KEY_LEN);
	memcpy(r->origin_prev, open->origin_prev, DIGEST_LEN);
	r->origin_seq = open->origin_seq;
	r->places = open->has_places ? open->places : 1;
	if (open->has_places && open->places < 2)
		add(v, "places", "2 places or more, or no `places`", NOTE_U64(open->places));
	if (open->origin_seq == 0 && memcmp(open->origin_prev, zero, DIGEST_LEN) != 0)
		add(v, "origin-prev", "64 zeros, for origin_seq is 0", NOTE_HEX(open->origin_prev));
	salts_check(v, open);
	sources_keep(v, open);
}

int verify_hash_file(struct verify *v, const char *path, uint64_t enough, uint64_t *ret_bytes, uint8_t out[DIGEST_LEN])
{
	static const size_t room = 64 << 10;
	struct digest *d = digest_new();
	uint8_t *buffer = malloc(room);
	uint64_t size, bytes = 0;
	long n = -ENOMEM;
	int fd = -1;

	if (d && buffer)
		n = recording_open_file(v->dirfd, path, &fd, &size);
	while (n >= 0 && bytes <= enough && (n = read_full(fd, buffer, room)) > 0) {
		digest_update(d, buffer, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (n >= 0) {
		digest_peek(d, out);
		*ret_bytes = bytes > enough && size > bytes ? size : bytes;
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	digest_free(d);
	return n < 0 ? (int)n : 0;
}

static void extra_check(struct verify *v, const struct ledger_source *source)
{
	uint8_t hash[DIGEST_LEN];
	uint64_t bytes = 0;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "sources/%" PRIu64 ".extra.jsonl.zst", source->index);
	v->source_has_extra[source->index] = true;
	if (strcmp(source->extra_path, path) != 0) {
		add(v, "source-extra-path", path, source->extra_path);
		return;
	}
	r = verify_hash_file(v, path, source->extra_bytes, &bytes, hash);
	if (r < 0) {
		report_errno(v->report, path, r);
		return;
	}
	if (bytes != source->extra_bytes)
		report_add(v->report, VERDICT_INVALID, "source-extra-size", path,
		        NOTE("%" PRIu64 " bytes", source->extra_bytes), NOTE("%" PRIu64 " bytes", bytes));
	else if (memcmp(hash, source->extra_sha256, DIGEST_LEN) != 0)
		report_add(v->report, VERDICT_INVALID, "source-extra-sha256", path, NOTE_HEX(source->extra_sha256),
		        NOTE_HEX(hash));
}

void source_line(struct verify *v, const struct ledger_source *line)
{
	struct report_source *source;

	if (line->index >= v->report->source_count) {
		add(v, "source-index", NOTE("an index into %zu sources", v->report->source_count),
		        NOTE_U64(line->index));
		return;
	}
	source = &v->report->sources[line->index];
	if (source->read) {
		add(v, "source-twice", "one `source` line for each source", "a second one");
		return;
	}
	source->read = true;
	source->damaged = line->has & SOURCE_HAS_DAMAGE;
	source->bytes = line->bytes;
	source->packets = line->packets;
	source->ts_truncated = line->ts_truncated;
	source->ts_out_of_range = line->ts_out_of_range;
	source->damage_offset = line->damage_offset;
	memcpy(source->sha256, line->sha256, DIGEST_LEN);
	if (source->damaged)
		v->incomplete = true;
	if (line->has & SOURCE_HAS_EXTRA)
		extra_check(v, line);
}

void source_finish(struct verify *v)
{
	for (uint64_t i = 0; i < SOURCES_MAX; i++) {
		bool listed = i < v->report->source_count;

		if (!v->walk->extra[i] || (listed && v->source_has_extra[i]))
			continue;
		if (listed && !v->report->closed && !v->report->sources[i].read)
			report_add(v->report, VERDICT_INCOMPLETE, "source-not-finished",
			        NOTE("sources/%" PRIu64 ".extra.jsonl.zst", i),
			        "a `source` line with its size and hash", "none signed yet");
		else
			report_add(v->report, VERDICT_INVALID, "unexpected-file",
			        NOTE("sources/%" PRIu64 ".extra.jsonl.zst", i), "only files that a `source` line names",
			        "a file that none names");
	}
}

// SPDX-License-Identifier: Apache-2.0
// The lines of the ledger, one function each, keys in the order of docs/evidence-format.md section 2.2.
#include <string.h>
#include <sys/utsname.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/keeper/keeper.h"

static json_t *text(const char *s)
{
	return json_text(s, strlen(s));
}

static int append_now(struct keeper *k, const struct clock_now *now, const char *type, json_t *fields)
{
	int r = ledger_writer_append(&k->ledger, type, now->real_ns, now->boot_ns, fields);

	if (r == 0)
		clock_watch_line(&k->clock, now);
	return r;
}

static int append_clock(struct keeper *k, const struct clock_now *now)
{
	struct clock_quality q;
	int r;

	clock_read_quality(&q);
	r = append_now(k, now, "clock",
	        json_pack("{s:s, s:o, s:o, s:s, s:o}", "boot_id", k->boot_id, "offset",
	                json_time(now->real_ns - now->boot_ns), "tolerance_ns", json_u64(CLOCK_TOLERANCE_NS),
	                "synchronised", q.synchronised ? "yes" : "no", "max_error_ns", json_u64(q.max_error_ns)));
	if (r == 0)
		clock_watch_stated(&k->clock, now);
	return r;
}

int keeper_record_clock(struct keeper *k)
{
	struct clock_now now;

	clock_read(&now);
	return append_clock(k, &now);
}

int keeper_append(struct keeper *k, const char *type, json_t *fields)
{
	struct clock_now now;
	unsigned events;
	int r = 0;

	clock_read(&now);
	events = clock_watch_check(&k->clock, &now);
	if (events & (CLOCK_GAP_PAUSE | CLOCK_GAP_SUSPEND))
		r = append_now(k, &now, "gap",
		        json_pack("{s:s, s:o}", "cause", events & CLOCK_GAP_SUSPEND ? "suspend" : "pause", "length",
		                json_time(now.boot_ns - k->clock.last_boot_ns)));
	if (r == 0 && (events & CLOCK_STEP))
		r = append_clock(k, &now);
	if (r < 0) {
		json_decref(fields);
		return r;
	}
	return append_now(k, &now, type, fields);
}

static json_t *sources(const struct keeper *k)
{
	const char *kind = k->job->kind == JOB_CAPTURE ? k->job->driver : "file";
	json_t *list = json_array();

	for (unsigned i = 0; i < k->job->source_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "kind", kind, "name",
		                                    text(k->job->source[i].name), "detail", text(k->details[i])));
	return list;
}

static const char *time_source(const struct job *job)
{
	if (job->kind != JOB_CAPTURE)
		return "file";
	return job->nic_time || strcmp(job->driver, "dpdk") == 0 ? "driver" : "kernel";
}

// What is given up later refers to this.
static json_t *retention(const struct job *job)
{
	json_t *o = json_object();

	if (job->keep_bytes)
		json_object_set_new(o, "keep_bytes", json_u64(job->keep_bytes));
	else
		json_object_set_new(o, "keep_time", json_time(job->keep_ns));
	json_object_set_new(o, "min_free", json_u64(job->min_free));
	return o;
}

int keeper_record_open(struct keeper *k, uint64_t origin_seq, const uint8_t origin_prev[DIGEST_LEN])
{
	const struct job *job = k->job;
	uint8_t config[DIGEST_LEN], salts[DIGEST_LEN];
	struct clock_now now;
	struct utsname u;
	json_t *fields;

	uname(&u);
	digest_once(job, job_size(job), config);
	digest_once(k->salts_key, SALTS_KEY_LEN, salts);
	fields = json_pack(
	        "{s:s, s:o, s:o, s:I, s:o, s:{s:s, s:o, s:o}, s:s, s:o, s:o, s:s, s:o, s:{s:o, s:o, s:o, s:s}, s:s, "
	        "s:I, s:o}",
	        "format", EVIDENCE_FORMAT, "sensor", text(job->sensor), "origin_key",
	        json_hex(k->origin, ED25519_KEY_LEN), "origin_seq", (json_int_t)origin_seq, "origin_prev",
	        json_hex(origin_prev, DIGEST_LEN), "authority", "kind",
	        job->kind == JOB_CAPTURE ? "own-network" : "ingest", "reference", text(job->reference), "operator",
	        text(job->operator_name), "mode", "content", "sources", sources(k), "filter", text(job->filter),
	        "build", "sealtap " SEALTAP_VERSION, "config_sha256", json_hex(config, DIGEST_LEN), "host", "name",
	        text(u.nodename), "kernel", text(u.release), "machine", text(u.machine), "boot_id", k->boot_id,
	        "time_source", time_source(job), "flush_ms", (json_int_t)job->flush_ms, "salts_sha256",
	        json_hex(salts, DIGEST_LEN));
	if (fields && (job->keep_bytes || job->keep_ns))
		json_object_set_new(fields, "retention", retention(job));
	if (fields && job->places > 1)
		json_object_set_new(fields, "places", json_integer((json_int_t)job->places));
	if (fields && job->cutoff_bytes)
		json_object_set_new(fields, "cutoff_bytes", json_u64(job->cutoff_bytes));
	if (fields && job->cutoff_bytes && job->cutoff_apps[0])
		json_object_set_new(fields, "cutoff_apps", text(job->cutoff_apps));
	clock_read(&now);
	return append_now(k, &now, "open", fields);
}

int keeper_record_begin(struct keeper *k, const struct wire_begin *b)
{
	return keeper_append(k, "begin",
	        json_pack("{s:I, s:I, s:I, s:o, s:I, s:I}", "lane", (json_int_t)b->lane, "number",
	                (json_int_t)b->number, "source", (json_int_t)b->source, "interface", text(b->interface),
	                "linktype", (json_int_t)b->linktype, "snaplen", (json_int_t)b->snaplen));
}

int keeper_record_progress(struct keeper *k, const struct wire_progress *p)
{
	json_t *list = json_array();

	if (p->sync_ns_max > k->status.sync_ns_max)
		k->status.sync_ns_max = p->sync_ns_max;
	for (unsigned i = 0; i < p->count; i++) {
		const struct wire_segment_state *s = &p->segment[i];

		json_array_append_new(
		        list, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "lane", (json_int_t)s->lane, "number",
		                      (json_int_t)s->number, "frames", json_u64(s->frames), "bytes", json_u64(s->bytes),
		                      "packets", json_u64(s->packets), "root", json_hex(s->root, DIGEST_LEN),
		                      "counters", json_counters(&s->counters)));
	}
	return keeper_append(
	        k, "progress", json_pack("{s:o, s:o}", "segments", list, "sync_ns_max", json_u64(p->sync_ns_max)));
}

int keeper_record_segment(struct keeper *k, const struct keeper_lane *lane, const struct wire_seal *s)
{
	char path[64];

	snprintf(path, sizeof(path), "segments/%u/%08u.pcapng.zst", s->state.lane, s->state.number);
	return keeper_append(k, "segment",
	        json_pack("{s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "lane",
	                (json_int_t)s->state.lane, "number", (json_int_t)s->state.number, "path", path, "bytes",
	                json_u64(s->state.bytes), "sha256", json_hex(s->sha256, DIGEST_LEN), "frames",
	                json_u64(s->state.frames), "packets", json_u64(s->state.packets), "root",
	                json_hex(s->state.root, DIGEST_LEN), "ts_min", json_time(s->ts_min), "ts_max",
	                json_time(s->ts_max), "mode", "content", "sealed", s->adopted ? "adopted" : "recorder",
	                "counters_begin", json_counters(&lane->end), "counters_end",
	                json_counters(&s->state.counters)));
}

int keeper_record_loss(struct keeper *k, const struct wire_loss *l)
{
	return keeper_append(k, "loss",
	        json_pack("{s:I, s:s, s:o, s:o, s:o}", "lane", (json_int_t)l->lane, "cause", drop_cause_names[l->cause],
	                "frames", json_u64(l->frames), "t_first", json_time(l->t_first), "t_last",
	                json_time(l->t_last)));
}

int keeper_record_shunt(struct keeper *k, const struct wire_shunt *s)
{
	return keeper_append(k, "shunt",
	        json_pack("{s:I, s:o, s:o, s:o, s:o}", "lane", (json_int_t)s->lane, "frames", json_u64(s->frames),
	                "bytes", json_u64(s->bytes), "t_first", json_time(s->t_first), "t_last", json_time(s->t_last)));
}

int keeper_record_source(struct keeper *k, const struct wire_source *s)
{
	json_t *fields = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "index", (json_int_t)s->index, "name",
	        text(k->job->source[s->index].name), "format", text(s->format), "bytes", json_u64(s->bytes), "sha256",
	        json_hex(s->sha256, DIGEST_LEN), "packets", json_u64(s->packets), "ts_truncated",
	        json_u64(s->ts_truncated), "ts_out_of_range", json_u64(s->ts_out_of_range));

	if (!fields)
		return -ENOMEM;
	if (s->damaged)
		json_object_set_new(fields, "damage",
		        json_pack(
		                "{s:o, s:o}", "offset", json_u64(s->damage_offset), "reason", text(s->damage_reason)));
	if (s->extra_lines) {
		char path[64];

		snprintf(path, sizeof(path), "sources/%u.extra.jsonl.zst", s->index);
		json_object_set_new(fields, "extra",
		        json_pack("{s:s, s:o, s:o, s:o}", "path", path, "bytes", json_u64(s->extra_bytes), "sha256",
		                json_hex(s->extra_sha256, DIGEST_LEN), "lines", json_u64(s->extra_lines)));
	}
	return keeper_append(k, "source", fields);
}

int keeper_record_flows(struct keeper *k, const struct wire_flows *f)
{
	char path[32];

	snprintf(path, sizeof(path), "flows/%08u.jsonl.zst", f->number);
	return keeper_append(k, "flows",
	        json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)f->number, "path",
	                path, "bytes", json_u64(f->bytes), "sha256", json_hex(f->sha256, DIGEST_LEN), "frames",
	                json_u64(f->frames), "raw_bytes", json_u64(f->raw_bytes), "records", json_u64(f->records),
	                "inspected", json_u64(f->inspected), "lost", json_u64(f->lost), "malformed",
	                json_u64(f->malformed)));
}

int keeper_record_retire_flows(struct keeper *k, const struct sealed_flows *f)
{
	return keeper_append(k, "retire_flows",
	        json_pack("{s:I, s:o, s:o}", "number", (json_int_t)f->number, "bytes", json_u64(f->bytes), "sha256",
	                json_hex(f->sha256, DIGEST_LEN)));
}

int keeper_record_retire(struct keeper *k, const struct sealed_segment *s, const char *reason, uint64_t free_bytes)
{
	json_t *fields = json_pack("{s:I, s:I, s:o, s:o, s:o, s:s}", "lane", (json_int_t)s->lane, "number",
	        (json_int_t)s->number, "bytes", json_u64(s->bytes), "sha256", json_hex(s->sha256, DIGEST_LEN),
	        "packets", json_u64(s->packets), "reason", reason);

	if (fields && strcmp(reason, "min-free") == 0)
		json_object_set_new(fields, "free", json_u64(free_bytes));
	return keeper_append(k, "retire", fields);
}

int keeper_record_incident(struct keeper *k, const char *kind, const char *detail)
{
	int r = keeper_append(k, "incident", json_pack("{s:s, s:o}", "kind", kind, "detail", text(detail)));

	if (r == 0)
		keeper_tell_incident(k, kind, detail);
	return r;
}

int keeper_record_mark(struct keeper *k, const struct wire_mark *m)
{
	return keeper_append(k, "mark", json_pack("{s:o, s:o}", "by", text(m->by), "text", text(m->text)));
}

int keeper_record_close(struct keeper *k, const char *reason)
{
	return keeper_append(k, "close",
	        json_pack("{s:s, s:o, s:o}", "reason", reason, "segments", json_u64(k->segments), "packets",
	                json_u64(k->packets)));
}

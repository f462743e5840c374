// SPDX-License-Identifier: Apache-2.0
// Owns a capture file or pipe as a packet source: sniffs it, lets the reader of its format parse, tells how it ended.
// Opened by the recorder before the sandbox closes, where it looks at the first 4 bytes only; then its RX thread. The
// verifier reads files by it again.
// Must not map files (a file that shrinks would kill us) nor give up hashing when the content is damaged.
#include "sensor/sources/file/source_file.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/sources/file/extra_writer.h"
#include "sensor/sources/file/input_stream.h"
#include "sensor/sources/file/pcap_reader.h"
#include "sensor/sources/file/pcapng_reader.h"

#define ROUNDS 64 // of reading without a packet, before recv shows that it lives

enum file_state { FILE_SNIFF, FILE_PCAP, FILE_PCAPNG, FILE_DRAIN, FILE_END };

struct source_file {
	struct source source;
	enum file_state state;
	bool on_loan;
	struct input_stream stream;
	struct pcap_reader pcap;
	struct pcapng_reader pcapng;
	struct extra_writer *extra;
};
_Static_assert(offsetof(struct source_file, source) == 0, "ops get a struct source");

void reader_damage(struct reader_report *report, uint64_t offset, const char *format, ...)
{
	va_list args;

	report->damage_offset = offset;
	va_start(args, format);
	vsnprintf(report->damage, sizeof(report->damage), format, args);
	va_end(args);
}

void reader_need(struct reader_report *report, size_t need, const char *what, bool boundary)
{
	report->need = need;
	report->what = what;
	report->boundary = boundary;
}

int source_file_add_lane(struct source *s, const struct source_lane *lane)
{
	if (s->lane_count == LANES_MAX)
		return -ENOBUFS;
	s->lanes[s->lane_count] = *lane;
	return (int)s->lane_count++;
}

static enum file_state sniff(const uint8_t *bytes, size_t len)
{
	static const uint8_t pcapng[4] = {0x0a, 0x0d, 0x0d, 0x0a};

	if (len >= 4 && !memcmp(bytes, pcapng, 4))
		return FILE_PCAPNG;
	if (len >= 4 && pcap_magic_known(bytes))
		return FILE_PCAP;
	return FILE_SNIFF;
}

static int batch_of_state(struct source_file *f, struct packet *batch, unsigned max, struct reader_report *report)
{
	struct input_stream *in = &f->stream;

	if (f->state == FILE_SNIFF) { // inside a compressed input
		reader_need(report, INPUT_PEEK, "the file header", false);
		if (input_stream_len(in) < INPUT_PEEK)
			return 0;
		f->state = sniff(input_stream_data(in), input_stream_len(in));
		if (f->state == FILE_SNIFF) {
			const uint8_t *b = input_stream_data(in);
			reader_damage(report, 0, "the first bytes %02x%02x%02x%02x are of neither pcap nor pcapng",
			        b[0], b[1], b[2], b[3]);
			return 0;
		}
		if (f->state == FILE_PCAPNG)
			strcat(f->source.end.format, "pcapng");
	}
	if (f->state == FILE_PCAP)
		return pcap_reader_batch(&f->pcap, &f->source, in, batch, max, report);
	return pcapng_reader_batch(&f->pcapng, &f->source, in, batch, max, report);
}

static void end_damaged(struct source_file *f, uint64_t offset, const char *reason)
{
	struct source_end *end = &f->source.end;

	end->damaged = true;
	end->damage_offset = offset;
	snprintf(end->damage_reason, sizeof(end->damage_reason), "%s", reason);
	f->state = FILE_DRAIN;
}

// The stream has no further bytes: was the reader between two records?
static void end_of_stream(struct source_file *f, const struct reader_report *report)
{
	struct input_stream *in = &f->stream;
	char reason[200];

	if (in->bad) {
		snprintf(reason, sizeof(reason), "%s: %s", input_coding_name(in->coding), in->bad);
		end_damaged(f, in->base + in->end, reason);
	} else if (input_stream_len(in) || !report->boundary) {
		snprintf(reason, sizeof(reason), "cut short in the middle of %s: %zu of at least %zu bytes",
		        report->what, input_stream_len(in), report->need);
		end_damaged(f, input_stream_offset(in), reason);
	} else {
		f->state = FILE_DRAIN;
	}
}

static int finish(struct source_file *f)
{
	struct source_end *end = &f->source.end;

	if (f->extra) {
		int r = extra_writer_finish(f->extra);
		if (r < 0)
			return r;
		end->extra_lines = extra_writer_lines(f->extra);
	}
	end->bytes = f->stream.stored_bytes;
	input_stream_sha256(&f->stream, end->sha256);
	end->ended = true;
	f->state = FILE_END;
	return -ENODATA;
}

// The operator wants no more: what was not read is no evidence, and the end says so, for content and hash alike.
static void end_interrupted(struct source_file *f)
{
	char reason[sizeof(f->source.end.damage_reason)];

	if (!f->source.end.damaged) {
		end_damaged(f, input_stream_offset(&f->stream), "interrupted: the rest was not read");
		return;
	}
	snprintf(reason, sizeof(reason), "%.150s; interrupted: the rest was not hashed", f->source.end.damage_reason);
	end_damaged(f, f->source.end.damage_offset, reason);
}

static int file_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct source_file *f = (struct source_file *)s;
	struct input_stream *in = &f->stream;

	assert(!f->on_loan && max > 0);
	for (unsigned round = 0; round < ROUNDS && f->state < FILE_DRAIN; ++round) {
		struct reader_report report = {0};
		int r = batch_of_state(f, batch, max, &report);

		if (r > 0) {
			s->end.packets += (unsigned)r;
			f->on_loan = true;
		}
		if (r != 0)
			return r;
		if (report.damage[0]) {
			end_damaged(f, report.damage_offset, report.damage);
			break;
		}
		r = input_stream_fill(in, report.need, timeout_ms);
		if (r == -ENODATA)
			end_of_stream(f, &report);
		else if (r == -ECANCELED)
			end_interrupted(f);
		else if (r <= 0)
			return r;
	}
	if (f->state == FILE_DRAIN) {
		int r = input_stream_drain(in, timeout_ms);
		if (r == -ECANCELED)
			end_interrupted(f);
		else if (r <= 0)
			return r;
		return finish(f);
	}
	return f->state == FILE_END ? -ENODATA : 0;
}

static void file_release(struct source *s)
{
	((struct source_file *)s)->on_loan = false;
}

static int file_stats(struct source *s, unsigned lane, struct source_stats *ret_stats)
{
	return -ENOTSUP;
}

static void file_interrupt(struct source *s)
{
	input_stream_interrupt(&((struct source_file *)s)->stream);
}

static void file_close(struct source *s)
{
	struct source_file *f = (struct source_file *)s;

	if (!s)
		return;
	input_stream_close(&f->stream);
	pcapng_reader_free(&f->pcapng);
	extra_writer_free(f->extra);
	free(s->lanes);
	free(f);
}

static const struct source_ops file_ops = {
        .recv = file_recv,
        .release = file_release,
        .stats = file_stats,
        .interrupt = file_interrupt,
        .close = file_close,
        .kind = "file",
        .live = false,
};

static int refuse(const struct source_file *f, struct error *e)
{
	const uint8_t *bytes = input_stream_data(&f->stream);
	size_t len = input_stream_len(&f->stream);
	char seen[2 * INPUT_PEEK + 1] = "";

	if (!len)
		return error_set(e, -ENODATA, "%s: offset 0: the input is empty; a capture has at least a file header",
		        f->source.name);
	for (size_t i = 0; i < len && i < INPUT_PEEK; ++i)
		snprintf(seen + 2 * i, 3, "%02x", bytes[i]);
	return error_set(e, -EPROTONOSUPPORT,
	        "%s: offset 0: the first bytes %s are of no known capture format; accepted are pcap, pcapng, "
	        "and either of them in gzip or zstd",
	        f->source.name, seen);
}

int source_file_open(const struct source_file_config *config, struct source **ret_source, struct error *e)
{
	struct source_file *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (!f)
		return error_set(e, r, "%s: no memory", config->name);
	f->source.ops = &file_ops;
	snprintf(f->source.name, sizeof(f->source.name), "%s", config->name);
	f->source.lanes = calloc(LANES_MAX, sizeof(*f->source.lanes)); // never moves; untouched pages cost nothing
	if (!f->source.lanes || (config->extra_fd >= 0 && extra_writer_new(config->extra_fd, &f->extra) < 0) ||
	        pcapng_reader_init(&f->pcapng, f->extra) < 0) {
		error_set(e, r, "%s: no memory", config->name);
		goto fail;
	}
	r = input_stream_open(&f->stream, config->fd, f->source.name, e);
	if (r < 0)
		goto fail;
	if (f->stream.coding == CODING_NONE) {
		f->state = sniff(input_stream_data(&f->stream), input_stream_len(&f->stream));
		if (f->state == FILE_SNIFF) {
			r = refuse(f, e);
			f->stream.fd = -1; // still the caller's
			goto fail;
		}
		if (f->state == FILE_PCAPNG)
			strcpy(f->source.end.format, "pcapng");
	} else {
		snprintf(
		        f->source.end.format, sizeof(f->source.end.format), "%s ", input_coding_name(f->stream.coding));
	}
	snprintf(f->source.detail, sizeof(f->source.detail), "%s, %s%s", f->stream.regular ? "file" : "stream",
	        input_coding_name(f->stream.coding),
	        f->state == FILE_PCAPNG ? "pcapng"
	        : f->state == FILE_PCAP ? "pcap"
	                                : "");
	*ret_source = &f->source;
	return 0;
fail:
	file_close(&f->source);
	return r;
}

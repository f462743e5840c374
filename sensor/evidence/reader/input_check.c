// SPDX-License-Identifier: Apache-2.0
// `verify --input FILE`: is FILE what an ingested recording says it read, and does the recording hold what is in it?
// One thread. Which `source` line is meant follows from size and SHA-256; the comparison reads and hashes FILE in one
// pass, so that what was compared is what was hashed.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/input_compare.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"

#define ROOM (1u << 20)
#define NO_SOURCE SIZE_MAX
#define COUNTS "%" PRIu64 " packets, %" PRIu64 " times cut, %" PRIu64 " out of range"

struct input {
	const char *path;
	int fd;
	uint64_t bytes;
	uint8_t sha256[DIGEST_LEN];
};

static void unreadable(struct verify_report *r, const char *path, const char *why)
{
	report_add(r, VERDICT_UNREADABLE, "input-unreadable", path, "a readable file", why);
}

static void mismatch(struct verify_report *r, const struct input *in)
{
	report_add(r, VERDICT_INVALID, "input-mismatch", in->path,
	        "size and SHA-256 of one of the recording's `source` lines",
	        NOTE("%" PRIu64 " bytes, %s", in->bytes, NOTE_HEX(in->sha256)));
}

static bool is_source(const struct report_source *s, const struct input *in)
{
	return s->read && s->bytes == in->bytes && memcmp(s->sha256, in->sha256, DIGEST_LEN) == 0;
}

static int hash_input(struct input *in)
{
	struct digest *d = digest_new();
	uint8_t *buffer = malloc(ROOM);
	long n = d && buffer ? 0 : -ENOMEM;

	in->bytes = 0;
	if (n == 0 && lseek(in->fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		n = -errno;
	while (n >= 0 && (n = read_full(in->fd, buffer, ROOM)) > 0) {
		digest_update(d, buffer, (size_t)n);
		in->bytes += (uint64_t)n;
	}
	if (n == 0)
		digest_peek(d, in->sha256);
	free(buffer);
	digest_free(d);
	return (int)n;
}

// The only `source` line that can be about this file, or NO_SOURCE when there are several or none.
static size_t only_source(const struct verify_report *r, int fd)
{
	size_t found = NO_SOURCE;
	struct stat st;
	bool sized = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

	for (size_t i = 0; i < r->source_count; i++) {
		if (!r->sources[i].read || (sized && r->sources[i].bytes != (uint64_t)st.st_size))
			continue;
		if (found != NO_SOURCE)
			return NO_SOURCE;
		found = i;
	}
	return found;
}

// Why packets of this recording cannot be expected to be those of its files, or NULL.
static const char *not_comparable(const struct verify_report *r)
{
	for (int i = 0; i < DROP_CAUSES; i++)
		if (r->totals.dropped[i] > 0)
			return "frames were dropped while it was sealed, as the counters say: only size and SHA-256 of "
			       "the file were compared, not its packets";
	if (r->filter && r->filter[0])
		return "sealed with a filter: only size and SHA-256 of the file were compared, not its packets";
	return NULL;
}

static void remember(struct verify_report *r, const char *path, size_t source, uint64_t packets, const char *note)
{
	struct report_input *more = realloc(r->inputs, (r->input_count + 1) * sizeof(*more));

	if (!more) {
		unreadable(r, path, strerror(ENOMEM));
		return;
	}
	r->inputs = more;
	more[r->input_count++] = (struct report_input){.path = text_safe(path),
	        .source = source,
	        .compared = !note,
	        .packets = packets,
	        .note = note ? text_safe(note) : NULL};
}

// What the `source` line says about the end of the file.
static void compare_end(
        struct verify_report *r, const char *path, const struct report_source *s, const struct source_end *end)
{
	struct note expected = {{0}}, actual = {{0}};

	if (s->damaged != end->damaged || (s->damaged && s->damage_offset != end->damage_offset)) {
		note(&expected, end->damaged ? "damage at offset %" PRIu64 : "no damage", end->damage_offset);
		note(&actual, s->damaged ? "damage at offset %" PRIu64 : "no damage", s->damage_offset);
		report_add(r, VERDICT_INVALID, "input-packets", NOTE("%.100s, its `source` line", path), expected.text,
		        actual.text);
	}
	if (s->packets != end->packets || s->ts_truncated != end->ts_truncated ||
	        s->ts_out_of_range != end->ts_out_of_range) {
		note(&expected, COUNTS, end->packets, end->ts_truncated, end->ts_out_of_range);
		note(&actual, COUNTS, s->packets, s->ts_truncated, s->ts_out_of_range);
		report_add(r, VERDICT_INVALID, "input-packets", NOTE("%.100s, its `source` line", path), expected.text,
		        actual.text);
	}
}

static void check_digest(struct verify_report *r, struct input *in, size_t source, const char *why)
{
	int error = hash_input(in);

	if (error < 0)
		unreadable(r, in->path, strerror(-error));
	else if (!is_source(&r->sources[source], in))
		mismatch(r, in);
	else
		remember(r, in->path, source, 0, why);
}

static void check_source(struct verify_report *r, const struct recording_dir *dir, struct input *in, size_t source)
{
	const char *why = not_comparable(r);
	struct verify_report *found;
	struct source_end end;
	struct error e = {0};
	int n;

	if (why) {
		check_digest(r, in, source, why);
		return;
	}
	found = report_new();
	n = found ? fcntl(in->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (n < 0) {
		unreadable(r, in->path, strerror(found ? errno : ENOMEM));
		verify_report_free(found);
		return;
	}
	lseek(in->fd, 0, SEEK_SET); // of what has no start, such as a pipe, all that comes is read
	n = input_compare(dir, n, in->path, source, r, found, &end, &e);
	if (n == -EPROTONOSUPPORT || n == -ENODATA) {
		check_digest(r, in, source, "it is no capture: there are no packets in it to be compared");
		if (is_source(&r->sources[source], in))
			report_add(r, VERDICT_INVALID, "input-packets", in->path,
			        "a capture, as the `source` line says", e.text);
	} else if (n < 0) {
		unreadable(r, in->path, e.text[0] ? e.text : strerror(-n));
	} else {
		in->bytes = end.bytes;
		memcpy(in->sha256, end.sha256, DIGEST_LEN);
		if (is_source(&r->sources[source], in)) {
			report_join(r, found);
			compare_end(r, in->path, &r->sources[source], &end);
			remember(r, in->path, source, end.packets, NULL);
		} else {
			mismatch(r, in);
		}
	}
	verify_report_free(found);
}

void verify_input(struct verify_report *r, const struct recording_dir *dir, const char *path, int fd)
{
	struct input in = {.path = path, .fd = fd};
	bool any = false;
	size_t only;
	int error;

	if (fd < 0) {
		unreadable(r, path, strerror(-fd));
		return;
	}
	only = only_source(r, in.fd);
	if (only != NO_SOURCE) {
		check_source(r, dir, &in, only);
		return;
	}
	error = hash_input(&in);
	for (size_t i = 0; error == 0 && i < r->source_count; i++) {
		struct input again = in;

		if (!is_source(&r->sources[i], &in))
			continue;
		any = true;
		if (lseek(in.fd, 0, SEEK_SET) < 0)
			remember(r, path, i, 0,
			        "no regular file: only its size and SHA-256 were compared, not its packets");
		else
			check_source(r, dir, &again, i);
	}
	if (error < 0)
		unreadable(r, path, strerror(-error));
	else if (!any)
		mismatch(r, &in);
}

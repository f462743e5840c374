// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/ledger_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sealtap/evidence.h"
#include "sensor/evidence/reader/recording_dir.h"

#define BUFFER_BYTES (256u << 10)
_Static_assert(BUFFER_BYTES >= 2 * (LEDGER_LINE_MAX + 1), "a line and the start of the next");

int ledger_file_open(int dirfd, struct ledger_file *ret_file)
{
	struct ledger_file f = {.fd = -1};
	int r = recording_open_file(dirfd, "ledger.jsonl", &f.fd, &f.limit);

	if (r < 0)
		return r;
	f.buffer = malloc(BUFFER_BYTES);
	if (!f.buffer) {
		close(f.fd);
		return -ENOMEM;
	}
	*ret_file = f;
	return 0;
}

void ledger_file_grow(struct ledger_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > f->limit) {
		f->limit = (uint64_t)st.st_size;
		f->eof = false;
	}
}

void ledger_file_close(struct ledger_file *f)
{
	free(f->buffer);
	if (f->fd >= 0)
		close(f->fd);
	f->buffer = NULL;
	f->fd = -1;
}

static int fill(struct ledger_file *f)
{
	uint64_t left = f->limit - f->offset - (f->until - f->from);
	size_t want;
	long n;

	memmove(f->buffer, f->buffer + f->from, f->until - f->from);
	f->until -= f->from;
	f->from = 0;
	want = BUFFER_BYTES - f->until;
	if (want > left)
		want = (size_t)left;
	n = read_full(f->fd, f->buffer + f->until, want);
	if (n < 0)
		return (int)n;
	f->until += (size_t)n;
	f->eof = (size_t)n < want || (uint64_t)n == left;
	return 0;
}

int ledger_file_next(struct ledger_file *f, const char **ret_line, size_t *ret_len)
{
	for (;;) {
		size_t have = f->until - f->from;
		const char *start = f->buffer + f->from;
		const char *lf = have > 0 ? memchr(start, '\n', have) : NULL;
		size_t len = lf ? (size_t)(lf - start) + 1 : have;
		int r;

		if (len > LEDGER_LINE_MAX + 1)
			return -EBADMSG;
		if (lf) {
			f->from += len;
			f->offset += len;
			*ret_line = start;
			*ret_len = len;
			return 1;
		}
		if (f->eof)
			return have == 0 ? 0 : -ENODATA;
		r = fill(f);
		if (r < 0)
			return r;
	}
}

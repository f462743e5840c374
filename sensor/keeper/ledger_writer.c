// SPDX-License-Identifier: Apache-2.0
#include "sensor/keeper/ledger_writer.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/write_all.h"

#define RESERVE (4u << 20)

// Keeps at least half of RESERVE allocated beyond the end. Failure matters only when the disk is full at last.
static void reserve_ahead(struct ledger_writer *w)
{
	if (w->reserved >= w->bytes + RESERVE / 2)
		return;
	if (fallocate(w->fd, FALLOC_FL_KEEP_SIZE, (off_t)w->bytes, RESERVE) == 0)
		w->reserved = w->bytes + RESERVE;
}

int ledger_writer_open(struct ledger_writer *w, int dir_fd, struct error *e)
{
	memset(w, 0, sizeof(*w));
	merkle_init(&w->tree);
	w->fd = openat(dir_fd, "ledger.jsonl", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (w->fd < 0)
		return error_set(e, -errno, "cannot create ledger.jsonl: %s", strerror(errno));
	flock(w->fd, LOCK_EX); // as long as the keeper lives: `recover` keeps its hands off a recording that runs
	if (fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE) < 0) {
		int r = -errno;

		close(w->fd);
		w->fd = -1;
		return error_set(e, r,
		        "cannot reserve %u MiB for the ledger: %s; the recording needs a file system with fallocate "
		        "(ext4, xfs, btrfs, tmpfs) and free space",
		        RESERVE >> 20, strerror(-r));
	}
	w->reserved = RESERVE;
	return 0;
}

int ledger_writer_append(struct ledger_writer *w, const char *type, uint64_t real_ns, uint64_t boot_ns, json_t *fields)
{
	uint8_t nonce[16];
	json_t *line;
	char *text;
	size_t len;
	int r;

	if (!fields)
		return -ENOMEM;
	if (RAND_bytes(nonce, sizeof(nonce)) != 1) {
		json_decref(fields);
		return -EIO;
	}
	line = json_pack("{s:I, s:o, s:s, s:o, s:o, s:o}", "seq", (json_int_t)w->tree.size, "prev",
	        json_hex(w->head, DIGEST_LEN), "type", type, "t_real", json_time(real_ns), "t_boot", json_time(boot_ns),
	        "nonce", json_hex(nonce, sizeof(nonce)));
	r = line ? json_object_update(line, fields) : -1;
	json_decref(fields);
	text = r == 0 ? ledger_line_print(line, LEDGER_LINE_MAX, &len) : NULL;
	json_decref(line);
	if (!text)
		return -EMSGSIZE;
	r = write_all_at(w->fd, text, len, w->bytes);
	if (r == 0) {
		digest_once(text, len, w->head);
		merkle_append(&w->tree, text, len);
		w->bytes += len;
		reserve_ahead(w);
	}
	free(text);
	return r;
}

int ledger_writer_sync(struct ledger_writer *w)
{
	return fdatasync(w->fd) < 0 ? -errno : 0;
}

void ledger_writer_close(struct ledger_writer *w)
{
	if (w->fd < 0)
		return;
	// Truncating to the size that the file has frees what was reserved beyond it.
	if (ftruncate(w->fd, (off_t)w->bytes) == 0)
		fdatasync(w->fd);
	close(w->fd);
	w->fd = -1;
}

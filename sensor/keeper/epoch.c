// SPDX-License-Identifier: Apache-2.0
// Epoch keys and checkpoints (docs/evidence-format.md section 2.4). A key is erased only after the checkpoint that it
// owes, and the `key` line that names its successor, are on the disk.
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/keeper/keeper.h"

// How long a full disk may take to give room for a checkpoint: five seconds, half of what two lines may be apart.
#define FULL_RETRIES 100
#define FULL_RETRY_MS 50
#define EPOCH_ROTATE_NS                                                                                                \
	(EPOCH_NS - 10000000000ULL) // early, so that a slow disk does not stretch an epoch over a minute

// One line of the origin log per recording: seq, recording id, hash of its newest checkpoint. Fixed width, so that
// each keeper renews its own line in place while others do the same.
#define ORIGIN_LINE 151
#define ORIGIN_FORMAT "%020" PRIu64 " %s %s\n"

// What is reserved for the file is written over, not given back and taken again: somebody else would have it.
static int write_once(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, bool durable)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, data, len, 0);
	if (n != (ssize_t)len)
		r = n < 0 ? -errno : -ENOSPC;
	if (r == 0 && ftruncate(fd, (off_t)len) < 0)
		r = -errno;
	if (r == 0 && durable && fdatasync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int write_file(struct keeper *k, const char *name, const void *data, size_t len, mode_t mode, bool durable)
{
	int r = write_once(k->dir_fd, name, data, len, mode, durable);

	// A full disk must not keep the keeper from saying so. What the ballast gives up, the recorder may take first;
	// but it has met the full disk too, and gives back what its segments reserved as it completes them. The sync
	// makes freed blocks usable.
	for (int i = 0; i < FULL_RETRIES && (r == -ENOSPC || r == -EDQUOT); i++) {
		ballast_drop(&k->ballast);
		fsync(k->dir_fd);
		if (i > 1)
			poll(NULL, 0, FULL_RETRY_MS);
		r = write_once(k->dir_fd, name, data, len, mode, durable);
	}
	return r;
}

static int sync_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int origin_log_note(struct keeper *k, uint64_t seq, const uint8_t checkpoint[DIGEST_LEN])
{
	char id[HEX_LEN(DIGEST_LEN)], hash[HEX_LEN(DIGEST_LEN)], line[ORIGIN_LINE + 1];

	hex_encode(k->recording_id, DIGEST_LEN, id);
	hex_encode(checkpoint, DIGEST_LEN, hash);
	snprintf(line, sizeof(line), ORIGIN_FORMAT, seq, id, hash);
	return pwrite(k->origin_fd, line, ORIGIN_LINE, (off_t)k->origin_at) == ORIGIN_LINE ? 0 : -EIO;
}

// Takes the next number of this origin key. The lock is held until the line with recording_id is written.
static int origin_log_take(struct keeper *k, uint64_t *ret_seq, uint8_t ret_prev[DIGEST_LEN], struct error *e)
{
	char line[ORIGIN_LINE];
	struct stat st;

	if (flock(k->origin_fd, LOCK_EX) < 0 || fstat(k->origin_fd, &st) < 0)
		return error_set(e, -errno, "cannot lock the log of this origin key: %s", strerror(errno));
	if (st.st_size % ORIGIN_LINE != 0)
		return error_set(e, -EBADMSG,
		        "the log of this origin key is damaged (its size is not a multiple of %d)", ORIGIN_LINE);
	k->origin_at = (uint64_t)st.st_size;
	*ret_seq = k->origin_at / ORIGIN_LINE;
	memset(ret_prev, 0, DIGEST_LEN);
	if (*ret_seq > 0 && (pread(k->origin_fd, line, ORIGIN_LINE, st.st_size - ORIGIN_LINE) != ORIGIN_LINE ||
	                            hex_decode(line + 86, 2 * DIGEST_LEN, ret_prev) < 0))
		return error_set(e, -EBADMSG, "the log of this origin key is damaged (its last line is not readable)");
	return 0;
}

static int checkpoint_make(struct keeper *k, char note[CHECKPOINT_TEXT_MAX])
{
	struct checkpoint c = {.size = k->ledger.tree.size, .epoch = k->epoch};

	memcpy(c.recording_id, k->recording_id, DIGEST_LEN);
	memcpy(c.head, k->ledger.head, DIGEST_LEN);
	merkle_root(&k->ledger.tree, c.root);
	return checkpoint_sign(&c, k->key, note);
}

// Space for the next checkpoint is taken when there is some: a full disk has none when it is needed. A file of its own
// each time, for somebody may be reading the one before.
static void checkpoint_prepare(struct keeper *k)
{
	int fd = openat(k->dir_fd, "checkpoint.tmp", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return;
	fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, CHECKPOINT_TEXT_MAX);
	close(fd);
}

// Whole or not at all under its name, whatever happens meanwhile.
static int checkpoint_store(struct keeper *k, const char *note, int len, const char *name, bool durable)
{
	int r = write_file(k, "checkpoint.tmp", note, (size_t)len, 0640, durable);

	if (r == 0 && renameat(k->dir_fd, "checkpoint.tmp", k->dir_fd, name) < 0)
		r = -errno;
	if (r == 0 && !k->closed) // the last one leaves none behind
		checkpoint_prepare(k);
	return r;
}

int keeper_checkpoint(struct keeper *k, bool durable)
{
	char note[CHECKPOINT_TEXT_MAX];
	uint8_t hash[DIGEST_LEN];
	int len, r;

	// A checkpoint must never name lines that a power cut can take back.
	r = durable ? ledger_writer_sync(&k->ledger) : 0;
	if (r < 0)
		return r;
	len = checkpoint_make(k, note);
	if (len < 0)
		return len;
	r = checkpoint_store(k, note, len, "checkpoint", durable);
	if (r == 0 && durable && fsync(k->dir_fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	k->status.size = k->ledger.tree.size;
	k->status.signed_ns = k->clock.last_real_ns;
	digest_once(note, (size_t)len, hash);
	return origin_log_note(k, k->origin_at / ORIGIN_LINE, hash);
}

static int write_public_key(struct keeper *k, const char *name, const uint8_t key[ED25519_KEY_LEN])
{
	char pem[PUBLIC_KEY_PEM_LEN + 1], path[64];

	public_key_pem(key, pem);
	snprintf(path, sizeof(path), "keys/%s.pub", name);
	return write_file(k, path, pem, PUBLIC_KEY_PEM_LEN, 0640, false);
}

static int append_key(
        struct keeper *k, uint64_t epoch, const uint8_t key[ED25519_KEY_LEN], const uint8_t *origin_signature)
{
	json_t *fields =
	        json_pack("{s:I, s:o}", "epoch", (json_int_t)epoch, "public_key", json_hex(key, ED25519_KEY_LEN));
	char name[24];
	int r;

	if (fields && origin_signature)
		json_object_set_new(fields, "origin_signature", json_hex(origin_signature, ED25519_SIG_LEN));
	r = keeper_append(k, "key", fields);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%" PRIu64, epoch);
	return write_public_key(k, name, key);
}

// The origin key signs epoch 1 in the signer's process and nothing else, ever.
static int origin_sign(
        struct keeper *k, const uint8_t epoch_key[ED25519_KEY_LEN], uint8_t out[ED25519_SIG_LEN], struct error *e)
{
	struct wire_sign request = {.purpose = WIRE_PURPOSE_EPOCH1};
	uint8_t message[ORIGIN_MESSAGE_MAX];
	union wire_message answer;
	size_t len;
	int r;

	memcpy(request.recording_id, k->recording_id, DIGEST_LEN);
	memcpy(request.subject, epoch_key, DIGEST_LEN);
	r = wire_send(k->signer_fd, WIRE_SIGN, &request, sizeof(request), -1);
	if (r == 0)
		r = wire_expect(k->signer_fd, WIRE_SIGNATURE, sizeof(answer.signature), &answer);
	if (r < 0)
		return error_set(e, r, "the signer did not sign: %s", strerror(-r));
	memcpy(out, answer.signature.signature, ED25519_SIG_LEN);
	len = origin_message_epoch1(k->recording_id, epoch_key, message);
	if (public_key_verify(k->origin, message, len, out) < 0)
		return error_set(e, -EKEYREJECTED, "the signer's signature does not verify under the origin key");
	return 0;
}

static int write_salts(struct keeper *k, struct error *e)
{
	int r;

	if (RAND_bytes(k->salts_key, SALTS_KEY_LEN) != 1)
		return error_set(e, -EIO, "no random numbers");
	r = write_file(k, "salts.key", k->salts_key, SALTS_KEY_LEN, 0440, true);
	return r < 0 ? error_set(e, r, "cannot write salts.key: %s", strerror(-r)) : 0;
}

int keeper_meet_signer(struct keeper *k, int origins_fd, struct error *e)
{
	char name[HEX_LEN(ED25519_KEY_LEN) + 4];
	union wire_message m;
	int r = wire_expect(k->signer_fd, WIRE_ORIGIN, sizeof(m.origin), &m);

	if (r < 0)
		return error_set(e, r, "the signer did not come up");
	memcpy(k->origin, m.origin.public_key, ED25519_KEY_LEN);
	if (public_key_check(k->origin) < 0)
		return error_set(e, -EKEYREJECTED, "the origin key is not usable");
	hex_encode(k->origin, ED25519_KEY_LEN, name);
	strcat(name, ".log");
	k->origin_fd = openat(origins_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (k->origin_fd < 0)
		return error_set(e, -errno, "cannot open the log of this origin key (%s): %s", name, strerror(errno));
	return 0;
}

int keeper_open(struct keeper *k, struct error *e)
{
	uint8_t origin_prev[DIGEST_LEN], public_key[ED25519_KEY_LEN], signature[ED25519_SIG_LEN];
	uint64_t origin_seq = 0;
	struct clock_now now;
	int r;

	r = write_salts(k, e);
	if (r < 0)
		return r;
	r = ledger_writer_open(&k->ledger, k->dir_fd, e);
	if (r < 0)
		return r;
	ballast_take(&k->ballast, k->dir_fd);
	r = origin_log_take(k, &origin_seq, origin_prev, e);
	if (r < 0)
		return r;
	r = keeper_record_open(k, origin_seq, origin_prev);
	if (r < 0)
		return error_set(e, r,
		        r == -EMSGSIZE ? "names of sources are too long for the ledger; seal fewer files at once"
		                       : "cannot write the ledger: %s",
		        strerror(-r));
	memcpy(k->recording_id, k->ledger.head, DIGEST_LEN);
	memset(signature, 0, sizeof(signature));
	r = origin_log_note(k, origin_seq, signature); // 32 zero bytes until there is a checkpoint
	flock(k->origin_fd, LOCK_UN);
	if (r < 0)
		return error_set(e, r, "cannot write the log of this origin key");

	r = secret_key_generate(&k->key);
	if (r < 0)
		return error_set(e, r, "cannot make an epoch key");
	secret_key_public(k->key, public_key);
	r = origin_sign(k, public_key, signature, e);
	if (r < 0)
		return r;
	k->epoch = 1;
	r = append_key(k, 1, public_key, signature);
	if (r == 0)
		r = write_public_key(k, "origin", k->origin);
	if (r == 0)
		r = keeper_record_clock(k);
	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0)
		return error_set(e, r, "cannot write the ledger: %s", strerror(-r));
	clock_read(&now);
	k->epoch_since_ns = now.boot_ns;
	k->opened = true;
	return 0;
}

int keeper_rotate_if_due(struct keeper *k)
{
	struct secret_key *next = NULL;
	uint8_t public_key[ED25519_KEY_LEN];
	char name[32];
	struct clock_now now;
	int r;

	clock_read(&now);
	if (now.boot_ns - k->epoch_since_ns < EPOCH_ROTATE_NS)
		return 0;
	r = secret_key_generate(&next);
	if (r < 0)
		return r;
	secret_key_public(next, public_key);
	r = append_key(k, k->epoch + 1, public_key, NULL);
	if (r == 0)
		r = ledger_writer_sync(&k->ledger);
	// First under the epoch's own name: a crash before the second leaves a file that no signed line asks for.
	if (r == 0) {
		char note[CHECKPOINT_TEXT_MAX];
		int len = checkpoint_make(k, note);

		snprintf(name, sizeof(name), "checkpoints/%" PRIu64, k->epoch);
		r = len < 0 ? len : checkpoint_store(k, note, len, name, true);
	}
	if (r == 0)
		r = sync_dir(k->dir_fd, "checkpoints");
	if (r == 0)
		r = keeper_checkpoint(k, true);
	if (r < 0) {
		secret_key_free(next);
		return r;
	}
	secret_key_free(k->key);
	k->key = next; /* transferred */
	k->epoch++;
	k->epoch_since_ns = now.boot_ns;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Checks 2, 4, 5, 6 and the keys of 7: who signed what. Holds two keys, however many epochs there were.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sensor/evidence/keys.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/report.h"
#include "sensor/evidence/reader/verify_state.h"

// A break between the origin key and the newest checkpoint: nothing is authenticated any more.
static void broken(struct verify *v, const char *code, const char *where, const char *expected, const char *actual)
{
	v->chain_broken = true;
	report_add(v->report, VERDICT_INVALID, code, where, expected, actual);
}

static int read_checkpoint(struct verify *v, const char *path, struct checkpoint *ret_checkpoint, uint8_t *ret_sha256)
{
	char text[CHECKPOINT_TEXT_MAX];
	long n = recording_read_small(v->dirfd, path, text, sizeof(text));
	int r;

	if (n < 0) {
		v->chain_broken = true;
		report_errno(v->report, path, (int)n);
		return (int)n;
	}
	if (ret_sha256)
		digest_once(text, (size_t)n, ret_sha256);
	r = checkpoint_parse(text, (size_t)n, ret_checkpoint);
	if (r < 0)
		broken(v, "checkpoint-form", path, "a signed checkpoint in the form of section 2.4", "something else");
	return r;
}

void checkpoint_read(struct verify *v)
{
	int r = read_checkpoint(v, "checkpoint", &v->checkpoint, v->report->checkpoint_sha256);

	v->size = UINT64_MAX;
	if (r == 0) {
		v->has_checkpoint = true;
		v->size = v->checkpoint.size;
	} else if (r != -EBADMSG && errno_verdict(r) == VERDICT_UNREADABLE) {
		// It is there and nobody may say which lines it covers: none is held against the recording.
		v->signed_unknown = true;
		v->size = 0;
	}
}

static bool read_newer(struct verify *v, struct checkpoint *ret_checkpoint, uint8_t ret_sha256[DIGEST_LEN])
{
	return read_checkpoint(v, "checkpoint", ret_checkpoint, ret_sha256) == 0 &&
	       ret_checkpoint->size > v->checkpoint.size &&
	       memcmp(ret_checkpoint->recording_id, v->checkpoint.recording_id, DIGEST_LEN) == 0;
}

bool checkpoint_renewed(struct verify *v)
{
	uint8_t hash[DIGEST_LEN];
	struct checkpoint newer;

	return read_newer(v, &newer, hash);
}

bool checkpoint_renew(struct verify *v)
{
	uint8_t hash[DIGEST_LEN];
	struct checkpoint newer;

	if (!read_newer(v, &newer, hash))
		return false;
	v->checkpoint = newer;
	v->size = newer.size;
	memcpy(v->report->checkpoint_sha256, hash, DIGEST_LEN);
	return true;
}

// c, found at path, must cover the lines passed so far and be signed by this epoch's key.
static bool checkpoint_matches(struct verify *v, const char *path, const struct checkpoint *c, uint64_t epoch,
        const uint8_t key[ED25519_KEY_LEN])
{
	uint64_t before = v->report->by_verdict[VERDICT_INVALID];
	uint8_t root[DIGEST_LEN];

	merkle_root(&v->tree, root);
	if (memcmp(c->recording_id, v->report->recording_id, DIGEST_LEN) != 0)
		broken(v, "checkpoint-recording", path, NOTE_HEX(v->report->recording_id), NOTE_HEX(c->recording_id));
	if (c->epoch != epoch)
		broken(v, "checkpoint-scope", path, NOTE("signed in epoch %" PRIu64, epoch),
		        NOTE("signed in epoch %" PRIu64, c->epoch));
	if (c->size != v->lines)
		broken(v, "checkpoint-size", path, NOTE("%" PRIu64 " lines", v->lines),
		        NOTE("%" PRIu64 " lines", c->size));
	if (memcmp(c->root, root, DIGEST_LEN) != 0)
		broken(v, "checkpoint-root", path, NOTE_HEX(c->root), NOTE_HEX(root));
	if (memcmp(c->head, v->line_hash, DIGEST_LEN) != 0)
		broken(v, "checkpoint-head", path, NOTE_HEX(c->head), NOTE_HEX(v->line_hash));
	if (checkpoint_verify(c, key) < 0)
		broken(v, "checkpoint-signature", path, NOTE("a signature by the key of epoch %" PRIu64, epoch),
		        "the signature does not hold");
	return v->report->by_verdict[VERDICT_INVALID] == before;
}

static void key_copy_check(struct verify *v, const char *path, const uint8_t key[ED25519_KEY_LEN])
{
	char pem[PUBLIC_KEY_PEM_LEN + 1], text[SMALL_FILE_MAX];
	long n = recording_read_small(v->dirfd, path, text, sizeof(text));

	if (n < 0) {
		report_errno(v->report, path, (int)n);
		return;
	}
	public_key_pem(key, pem);
	if (n != PUBLIC_KEY_PEM_LEN || memcmp(text, pem, PUBLIC_KEY_PEM_LEN) != 0)
		report_add(v->report, VERDICT_INVALID, "key-copy", path, "the ledger's key as SubjectPublicKeyInfo PEM",
		        "something else");
}

static void origin_signature_check(struct verify *v, const struct ledger_key *key)
{
	uint8_t message[ORIGIN_MESSAGE_MAX];
	size_t len;

	if (!key->has_signature) {
		broken(v, "origin-signature", LINE_WHERE(v), "origin_signature, for the epoch is 1", "none");
		return;
	}
	if (!v->report->has_open) {
		v->chain_broken = true; // a finding names line 0 already
		return;
	}
	len = origin_message_epoch1(v->report->recording_id, key->public_key, message);
	if (public_key_verify(v->report->origin_key, message, len, key->origin_signature) < 0)
		broken(v, "origin-signature", LINE_WHERE(v), "a signature by origin_key of `open`",
		        "the signature does not hold");
}

void key_line(struct verify *v, const struct ledger_key *key)
{
	char path[48];

	if (key->epoch != v->epoch + 1) {
		broken(v, "key-epoch", LINE_WHERE(v), NOTE("epoch %" PRIu64, v->epoch + 1),
		        NOTE("epoch %" PRIu64, key->epoch));
		return;
	}
	if (public_key_check(key->public_key) < 0)
		broken(v, "key-weak", LINE_WHERE(v), "a canonical public key that is not of small order",
		        NOTE_HEX(key->public_key));
	if (key->epoch == 1)
		origin_signature_check(v, key);
	else if (key->has_signature)
		broken(v, "origin-signature", LINE_WHERE(v), "no origin_signature after epoch 1", "one");

	// The final checkpoint of the epoch that ends here covers this line.
	if (v->epoch > 0) {
		struct checkpoint final;

		snprintf(path, sizeof(path), "checkpoints/%" PRIu64, v->epoch);
		v->lines++;
		if (read_checkpoint(v, path, &final, NULL) == 0)
			checkpoint_matches(v, path, &final, v->epoch, v->epoch_key);
		v->lines--;
	}
	snprintf(path, sizeof(path), "keys/%" PRIu64 ".pub", key->epoch);
	key_copy_check(v, path, key->public_key);

	memcpy(v->epoch_key_before, v->epoch_key, ED25519_KEY_LEN);
	memcpy(v->epoch_key, key->public_key, ED25519_KEY_LEN);
	v->epoch = key->epoch;
	v->epoch_line = v->lines;
	epoch_begin(v, key->public_key);
	v->report->epochs = key->epoch;
}

// Scope rule: a checkpoint whose last line names a key is by the key before it; the first key has none before it.
static void newest_checkpoint_check(struct verify *v)
{
	bool names_key = v->epoch > 1 && v->epoch_line + 1 == v->lines;
	uint64_t signer = names_key ? v->epoch - 1 : v->epoch;

	if (v->lines < 2 || v->epoch == 0) {
		broken(v, "checkpoint-scope", "checkpoint", "at least two lines, the second naming the key of epoch 1",
		        NOTE("%" PRIu64 " lines, %" PRIu64 " keys", v->lines, v->epoch));
		return;
	}
	if (checkpoint_matches(v, "checkpoint", &v->checkpoint, signer, names_key ? v->epoch_key_before : v->epoch_key))
		v->report->has_checkpoint = true;
}

static void no_others_check(struct verify *v)
{
	// Unsigned lines may name further keys; the copy of a key may lie there before its line does.
	uint64_t spare = v->report->closed ? 0 : v->unsigned_keys;
	uint64_t spare_keys = v->report->closed ? 0 : v->unsigned_keys + 1;
	uint64_t ended = v->epoch > 0 ? v->epoch - 1 : 0;

	if (v->walk->keys_last > v->epoch + spare_keys)
		report_add(v->report, VERDICT_INVALID, "unexpected-file",
		        NOTE("keys/%" PRIu64 ".pub", v->walk->keys_last),
		        NOTE("keys of epochs up to %" PRIu64, v->epoch + spare_keys),
		        "a key that the ledger does not name");
	if (v->walk->checkpoints_last > ended + spare)
		report_add(v->report, VERDICT_INVALID, "unexpected-file",
		        NOTE("checkpoints/%" PRIu64, v->walk->checkpoints_last),
		        NOTE("final checkpoints of epochs up to %" PRIu64, ended + spare),
		        "a checkpoint of an epoch that has not ended");
}

void key_finish(struct verify *v)
{
	if (v->report->has_open) {
		if (public_key_check(v->report->origin_key) < 0)
			broken(v, "key-weak", "ledger.jsonl line 0",
			        "a canonical origin_key that is not of small order", NOTE_HEX(v->report->origin_key));
		key_copy_check(v, "keys/origin.pub", v->report->origin_key);
	}
	epochs_finish(v);
	if (v->has_checkpoint && v->lines == v->size)
		newest_checkpoint_check(v);
	else
		v->chain_broken = true; // named already: no checkpoint, or too few lines
	if (!v->signed_unknown)
		no_others_check(v);
	v->report->signatures_hold =
	        !v->chain_broken && v->report->has_checkpoint && v->report->has_open && v->epoch > 0;
}

// SPDX-License-Identifier: Apache-2.0
// C2SP signed checkpoints as section 2.4 narrows them. Pure text to struct and back; reading is strict.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

#define CHECKPOINT_TEXT_MAX 1024

struct secret_key;

struct checkpoint {
	uint8_t recording_id[DIGEST_LEN];
	uint64_t size;
	uint8_t root[DIGEST_LEN];
	uint8_t head[DIGEST_LEN];
	uint64_t epoch;
	uint8_t key_id[4];
	uint8_t signature[ED25519_SIG_LEN];
};

// Signs c (recording_id, size, root, head, epoch) and writes the whole note. Returns its length or a negative errno.
int checkpoint_sign(struct checkpoint *c, const struct secret_key *key, char out[CHECKPOINT_TEXT_MAX]);
// Exactly the form of section 2.4, else -EBADMSG. Does not check the signature.
int checkpoint_parse(const char *text, size_t len, struct checkpoint *ret_checkpoint);
// Signature and key id by this key: 0 or -EKEYREJECTED.
int checkpoint_verify(const struct checkpoint *c, const uint8_t public_key[ED25519_KEY_LEN]);

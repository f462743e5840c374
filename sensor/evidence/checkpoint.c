// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"
#include "sensor/evidence/ledger_line.h"

#define DASH "\xe2\x80\x94 "
#define ORIGIN_PREFIX EVIDENCE_FORMAT "/"
#define NAME_MAX_LEN 128

// The signed text: four lines with their LF.
static int body_print(const struct checkpoint *c, char *out, size_t size)
{
	char id[HEX_LEN(DIGEST_LEN)], head[HEX_LEN(DIGEST_LEN)];
	char root[4 * ((DIGEST_LEN + 2) / 3) + 1];

	hex_encode(c->recording_id, DIGEST_LEN, id);
	hex_encode(c->head, DIGEST_LEN, head);
	EVP_EncodeBlock((unsigned char *)root, c->root, DIGEST_LEN);
	return snprintf(out, size, ORIGIN_PREFIX "%s\n%" PRIu64 "\n%s\nhead %s\n", id, c->size, root, head);
}

static void name_print(const struct checkpoint *c, char out[NAME_MAX_LEN])
{
	char id[HEX_LEN(DIGEST_LEN)];

	hex_encode(c->recording_id, DIGEST_LEN, id);
	snprintf(out, NAME_MAX_LEN, ORIGIN_PREFIX "%s/%" PRIu64, id, c->epoch);
}

static void key_id(const char *name, const uint8_t public_key[ED25519_KEY_LEN], uint8_t out[4])
{
	uint8_t text[NAME_MAX_LEN + 2 + ED25519_KEY_LEN], hash[DIGEST_LEN];
	size_t len = strlen(name);

	memcpy(text, name, len);
	text[len++] = '\n';
	text[len++] = 0x01;
	memcpy(text + len, public_key, ED25519_KEY_LEN);
	digest_once(text, len + ED25519_KEY_LEN, hash);
	memcpy(out, hash, 4);
}

static int note_print(const struct checkpoint *c, char out[CHECKPOINT_TEXT_MAX])
{
	uint8_t blob[4 + ED25519_SIG_LEN];
	char blob_text[4 * ((sizeof(blob) + 2) / 3) + 1], name[NAME_MAX_LEN];
	int len = body_print(c, out, CHECKPOINT_TEXT_MAX);

	memcpy(blob, c->key_id, 4);
	memcpy(blob + 4, c->signature, ED25519_SIG_LEN);
	EVP_EncodeBlock((unsigned char *)blob_text, blob, sizeof(blob));
	name_print(c, name);
	return len + snprintf(out + len, CHECKPOINT_TEXT_MAX - (size_t)len, "\n" DASH "%s %s\n", name, blob_text);
}

int checkpoint_sign(struct checkpoint *c, const struct secret_key *key, char out[CHECKPOINT_TEXT_MAX])
{
	uint8_t public_key[ED25519_KEY_LEN];
	char name[NAME_MAX_LEN];
	int len, r;

	len = body_print(c, out, CHECKPOINT_TEXT_MAX);
	r = secret_key_sign(key, out, (size_t)len, c->signature);
	if (r < 0)
		return r;
	secret_key_public(key, public_key);
	name_print(c, name);
	key_id(name, public_key, c->key_id);
	return note_print(c, out);
}

// The next line of text as a C string in out, without its LF. False when there is none or it does not fit.
static bool next_line(const char **text, const char *end, char *out, size_t size)
{
	const char *lf = memchr(*text, '\n', (size_t)(end - *text));

	if (!lf || (size_t)(lf - *text) >= size || memchr(*text, '\0', (size_t)(lf - *text)))
		return false;
	memcpy(out, *text, (size_t)(lf - *text));
	out[lf - *text] = '\0';
	*text = lf + 1;
	return true;
}

static bool base64_decode(const char *text, uint8_t *out, size_t want)
{
	uint8_t bytes[128];
	size_t len = strlen(text);

	if (len != 4 * ((want + 2) / 3) || len > sizeof(bytes))
		return false;
	if (EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) < (int)want)
		return false;
	memcpy(out, bytes, want);
	return true;
}

int checkpoint_parse(const char *text, size_t len, struct checkpoint *ret_checkpoint)
{
	struct checkpoint c = {0};
	uint8_t blob[4 + ED25519_SIG_LEN];
	const char *at = text, *end = text + len;
	char line[256], again[CHECKPOINT_TEXT_MAX], *space, *slash;
	const size_t prefix = strlen(ORIGIN_PREFIX);

	if (len >= CHECKPOINT_TEXT_MAX)
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)) || strlen(line) != prefix + 2 * DIGEST_LEN ||
	        hex_decode(line + prefix, 2 * DIGEST_LEN, c.recording_id) < 0)
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)) || u64_parse(line, &c.size) < 0)
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)) || !base64_decode(line, c.root, DIGEST_LEN))
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)) || strlen(line) != 5 + 2 * DIGEST_LEN ||
	        hex_decode(line + 5, 2 * DIGEST_LEN, c.head) < 0)
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)) || line[0] != '\0')
		return -EBADMSG;
	if (!next_line(&at, end, line, sizeof(line)))
		return -EBADMSG;
	space = strrchr(line, ' ');
	if (!space || !base64_decode(space + 1, blob, sizeof(blob)))
		return -EBADMSG;
	*space = '\0';
	slash = strrchr(line, '/');
	if (!slash || u64_parse(slash + 1, &c.epoch) < 0)
		return -EBADMSG;
	memcpy(c.key_id, blob, 4);
	memcpy(c.signature, blob + 4, ED25519_SIG_LEN);
	// Whatever was not looked at above (prefixes, dash, base64 padding bits, what follows) is settled here.
	if (note_print(&c, again) != (int)len || memcmp(again, text, len) != 0)
		return -EBADMSG;
	*ret_checkpoint = c;
	return 0;
}

int checkpoint_verify(const struct checkpoint *c, const uint8_t public_key[ED25519_KEY_LEN])
{
	char body[CHECKPOINT_TEXT_MAX], name[NAME_MAX_LEN];
	uint8_t id[4];

	name_print(c, name);
	key_id(name, public_key, id);
	if (memcmp(id, c->key_id, 4) != 0)
		return -EKEYREJECTED;
	return public_key_verify(public_key, body, (size_t)body_print(c, body, sizeof(body)), c->signature);
}

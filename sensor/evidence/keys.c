// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/keys.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"

#define KEY_FILE_MAX 4096

// OpenSSL keeps private Ed25519 bytes in its secure heap: locked, outside core dumps, wiped when freed.
struct secret_key {
	EVP_PKEY *pkey;
	uint8_t public_key[ED25519_KEY_LEN];
};

void secret_keys_init(void)
{
	if (!CRYPTO_secure_malloc_initialized())
		CRYPTO_secure_malloc_init(65536, 32);
}

static int wrap(EVP_PKEY *pkey, struct secret_key **ret_key)
{
	struct secret_key *key = calloc(1, sizeof(*key));
	size_t len = ED25519_KEY_LEN;

	if (!key || EVP_PKEY_get_raw_public_key(pkey, key->public_key, &len) != 1 || len != ED25519_KEY_LEN) {
		free(key);
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	key->pkey = pkey;
	*ret_key = key;
	return 0;
}

int secret_key_generate(struct secret_key **ret_key)
{
	EVP_PKEY *pkey;

	secret_keys_init();
	pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return pkey ? wrap(pkey, ret_key) : -EIO;
}

// The whole of a small file, or a negative errno; -EFBIG when it is larger than a key can be.
static ssize_t read_small(int fd, char out[KEY_FILE_MAX])
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, out + len, KEY_FILE_MAX - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
		if (len == KEY_FILE_MAX)
			return -EFBIG;
	}
}

// Never asks on the terminal: an encrypted key is refused with a reason.
static int no_passphrase(char *buf, int size, int writing, void *unused)
{
	(void)buf, (void)size, (void)writing, (void)unused;
	return -1;
}

int secret_key_read_fd(int fd, const char *name, struct secret_key **ret_key, struct error *e)
{
	char text[KEY_FILE_MAX];
	EVP_PKEY *pkey;
	ssize_t len;
	BIO *bio;

	secret_keys_init();
	len = read_small(fd, text);
	if (len < 0)
		return error_set(e, (int)len, "cannot read the key %s: %s", name, strerror((int)-len));
	bio = BIO_new_mem_buf(text, (int)len);
	pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	OPENSSL_cleanse(text, sizeof(text));
	if (!pkey || !EVP_PKEY_is_a(pkey, "ED25519")) {
		EVP_PKEY_free(pkey);
		return error_set(e, -EKEYREJECTED,
		        "%s is not an unencrypted Ed25519 private key in PEM form; `sealtap keygen` makes one", name);
	}
	return wrap(pkey, ret_key);
}

int secret_key_write_fd(const struct secret_key *key, int fd)
{
	BIO *bio = BIO_new_fd(fd, BIO_NOCLOSE);
	int ok = bio && PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1;

	BIO_free(bio);
	return ok ? 0 : -EIO;
}

void secret_key_free(struct secret_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

void secret_key_public(const struct secret_key *key, uint8_t out[ED25519_KEY_LEN])
{
	memcpy(out, key->public_key, ED25519_KEY_LEN);
}

int secret_key_sign(const struct secret_key *key, const void *data, size_t len, uint8_t out[ED25519_SIG_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t out_len = ED25519_SIG_LEN;
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
	         EVP_DigestSign(ctx, out, &out_len, data, len) == 1 && out_len == ED25519_SIG_LEN;

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int public_key_check(const uint8_t key[ED25519_KEY_LEN])
{
	// y coordinates of the points of order 1, 2, 4 and 8 (little-endian), then p itself as the canonical bound.
	static const uint8_t small_order[][ED25519_KEY_LEN] = {
	        {0x00},
	        {0x01},
	        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
	                0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
	                0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	};
	uint8_t y[ED25519_KEY_LEN];
	bool high = true;

	memcpy(y, key, sizeof(y));
	y[31] &= 0x7f;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
		if (memcmp(y, small_order[i], sizeof(y)) == 0)
			return -EKEYREJECTED;
	// y >= 2^255 - 19: all bits of bytes 1 to 31 set and the lowest byte at least 0xed.
	for (int i = 1; i < 31; i++)
		high = high && y[i] == 0xff;
	if (high && y[31] == 0x7f && y[0] >= 0xed)
		return -EKEYREJECTED;
	return 0;
}

int public_key_verify(
        const uint8_t key[ED25519_KEY_LEN], const void *data, size_t len, const uint8_t sig[ED25519_SIG_LEN])
{
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
	int ok;

	if (public_key_check(key) < 0)
		return -EKEYREJECTED;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, ED25519_KEY_LEN);
	ctx = EVP_MD_CTX_new();
	ok = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	     EVP_DigestVerify(ctx, sig, ED25519_SIG_LEN, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok ? 0 : -EKEYREJECTED;
}

// RFC 8410: SubjectPublicKeyInfo of Ed25519 is this prefix and the 32 bytes.
static const uint8_t spki_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

void public_key_pem(const uint8_t key[ED25519_KEY_LEN], char out[PUBLIC_KEY_PEM_LEN + 1])
{
	static const char head[] = "-----BEGIN PUBLIC KEY-----\n", tail[] = "\n-----END PUBLIC KEY-----\n";
	uint8_t der[sizeof(spki_prefix) + ED25519_KEY_LEN];
	char *at = out;

	memcpy(der, spki_prefix, sizeof(spki_prefix));
	memcpy(der + sizeof(spki_prefix), key, ED25519_KEY_LEN);
	memcpy(at, head, sizeof(head) - 1);
	at += sizeof(head) - 1;
	at += EVP_EncodeBlock((unsigned char *)at, der, sizeof(der));
	memcpy(at, tail, sizeof(tail));
}

int public_key_read_fd(int fd, const char *name, uint8_t out[ED25519_KEY_LEN], struct error *e)
{
	char text[KEY_FILE_MAX];
	size_t out_len = ED25519_KEY_LEN;
	EVP_PKEY *pkey;
	ssize_t len;
	BIO *bio;
	int ok;

	len = read_small(fd, text);
	if (len < 0)
		return error_set(e, (int)len, "cannot read the public key %s: %s", name, strerror((int)-len));
	bio = BIO_new_mem_buf(text, (int)len);
	pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ok = pkey && EVP_PKEY_is_a(pkey, "ED25519") && EVP_PKEY_get_raw_public_key(pkey, out, &out_len) == 1 &&
	     out_len == ED25519_KEY_LEN && public_key_check(out) == 0;
	EVP_PKEY_free(pkey);
	if (!ok)
		return error_set(e, -EKEYREJECTED,
		        "%s is not a usable Ed25519 public key in PEM form (expected what `sealtap keygen` writes as "
		        "origin.pub)",
		        name);
	return 0;
}

static size_t origin_message(
        const char *label, size_t label_len, const uint8_t a[DIGEST_LEN], const uint8_t b[DIGEST_LEN], uint8_t *out)
{
	memcpy(out, label, label_len);
	memcpy(out + label_len, a, DIGEST_LEN);
	memcpy(out + label_len + DIGEST_LEN, b, DIGEST_LEN);
	return label_len + 2 * DIGEST_LEN;
}

size_t origin_message_epoch1(
        const uint8_t recording_id[DIGEST_LEN], const uint8_t epoch_key[ED25519_KEY_LEN], uint8_t *out)
{
	static const char label[] = "sealtap epoch1 v1"; // with its NUL

	return origin_message(label, sizeof(label), recording_id, epoch_key, out);
}

size_t origin_message_recovery(
        const uint8_t recording_id[DIGEST_LEN], const uint8_t statement[DIGEST_LEN], uint8_t *out)
{
	static const char label[] = "sealtap recovery v1"; // with its NUL

	return origin_message(label, sizeof(label), recording_id, statement, out);
}

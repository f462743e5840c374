// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

static EVP_MD *sha256_md; // fetched once, before threads; read-only afterwards

struct digest {
	EVP_MD_CTX *ctx;
	EVP_MD_CTX *peek; // a copy is finished, so that the run itself goes on
};

int digest_init(void)
{
	if (!sha256_md) {
		// No configuration file: roles start without a file system, and evidence must not depend on it.
		OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
		sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	}
	return sha256_md ? 0 : -ENOTSUP;
}

struct digest *digest_new(void)
{
	struct digest *d;

	if (digest_init() < 0)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->ctx = EVP_MD_CTX_new();
	d->peek = EVP_MD_CTX_new();
	if (!d->ctx || !d->peek || !EVP_DigestInit_ex(d->ctx, sha256_md, NULL)) {
		digest_free(d);
		return NULL;
	}
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	EVP_MD_CTX_free(d->peek);
	free(d);
}

// SHA-256 of memory cannot fail once the context exists; should a provider fail all the same, no digest is
// better than a wrong one.
static void must(int ok)
{
	if (!ok)
		abort();
}

void digest_reset(struct digest *d)
{
	must(EVP_DigestInit_ex(d->ctx, sha256_md, NULL));
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	must(EVP_DigestUpdate(d->ctx, data, len));
}

void digest_peek(const struct digest *d, uint8_t out[DIGEST_LEN])
{
	must(EVP_MD_CTX_copy_ex(d->peek, d->ctx));
	must(EVP_DigestFinal_ex(d->peek, out, NULL));
}

void digest_once(const void *data, size_t len, uint8_t out[DIGEST_LEN])
{
	must(digest_init() == 0);
	must(EVP_Digest(data, len, out, NULL, sha256_md, NULL));
}

void hex_encode(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int hex_decode(const char *text, size_t digits, uint8_t *out)
{
	if (digits % 2)
		return -EBADMSG;
	for (size_t i = 0; i < digits; i += 2) {
		int high = hex_digit(text[i]);
		int low = high < 0 ? -1 : hex_digit(text[i + 1]);

		if (low < 0)
			return -EBADMSG;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

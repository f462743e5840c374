// SPDX-License-Identifier: Apache-2.0
#include "analyzers/community_id.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static EVP_MD *sha1_md; // SHA1() would look it up each time, under a lock: five times the cost of the digest

static void fetch_sha1(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	sha1_md = EVP_MD_fetch(NULL, "SHA1", NULL);
}

static void sha1(const uint8_t *data, size_t len, uint8_t digest[SHA_DIGEST_LENGTH])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_sha1);
	// Without memory, or an OpenSSL without SHA-1: no id is better than a wrong one.
	if (!sha1_md || !EVP_Digest(data, len, digest, NULL, sha1_md, NULL))
		abort();
}

// Of other protocols the specification takes addresses and number alone, also where they have ports.
static bool with_ports(uint8_t proto)
{
	return proto == 1 || proto == 6 || proto == 17 || proto == 58 || proto == 132;
}

void community_id(const struct flow_key *key, char out[COMMUNITY_ID_MAX])
{
	const size_t addr_len = key->ip_version == 4 ? 4 : 16;
	const bool has_ports = with_ports(key->proto);
	uint8_t bytes[2 + 2 * 16 + 2 + 4] = {0, 0}, digest[SHA_DIGEST_LENGTH];
	uint8_t *at = bytes + 2;

	// The key's order is the one that is prescribed: address, then port.
	for (int i = 0; i < 2; i++, at += addr_len)
		memcpy(at, key->addr[i], addr_len);
	*at++ = key->proto;
	*at++ = 0;
	for (int i = 0; i < 2 && has_ports; i++) {
		*at++ = (uint8_t)(key->port[i] >> 8);
		*at++ = (uint8_t)key->port[i];
	}
	sha1(bytes, (size_t)(at - bytes), digest);
	memcpy(out, "1:", 2);
	EVP_EncodeBlock((unsigned char *)out + 2, digest, sizeof(digest));
}

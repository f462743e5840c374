// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/commit.h"

#include <endian.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "sensor/evidence/digest.h"
#include "sensor/evidence/merkle.h"

#define IN_FLIGHT 64u         // messages under way: more than there are SIMD lanes, small enough for the L2 cache
#define IN_FLIGHT_BYTES 2048u // larger packets go one by one: for them little is gained

struct fixed_part {
	uint8_t salt[SALT_LEN];
	uint64_t number_le;
	uint64_t ts_ns_le;
	uint32_t caplen_le;
	uint32_t origlen_le;
	uint32_t flags_le;
	uint32_t zero;
};
_Static_assert(sizeof(struct fixed_part) == COMMIT_FIXED_LEN - COMMIT_PREFIX_LEN, "section 4.2");

struct commit {
	struct commit_packet packet[TILE_PACKETS]; // the tile under way; data stays the caller's
	unsigned count;
	uint64_t first; // number of packet[0] in its segment
	struct merkle tiles;
	uint8_t prefix[COMMIT_PREFIX_LEN];
	uint8_t salt_key[DIGEST_LEN];
	bool keyed;
	EVP_CIPHER_CTX *aes;
	EVP_MD *md;
	EVP_MD_CTX *midstate; // after P
	EVP_MD_CTX *run;
	uint8_t salts[TILE_PACKETS * SALT_LEN];
	uint8_t tile[TILE_PACKETS * DIGEST_LEN];
#ifdef HAVE_IPSEC_MB
	IMB_MGR *mb; // NULL: OpenSSL hashes everything
	uint8_t message[IN_FLIGHT][COMMIT_FIXED_LEN + IN_FLIGHT_BYTES];
#endif
};

void segment_id(const uint8_t recording_id[DIGEST_LEN], uint32_t lane, uint32_t number, uint8_t out[SEGMENT_ID_LEN])
{
	static const char label[] = "sealtap segment v1"; // with its NUL
	uint8_t text[sizeof(label) + DIGEST_LEN + 8], hash[DIGEST_LEN];
	uint32_t lane_le = htole32(lane), number_le = htole32(number);

	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), recording_id, DIGEST_LEN);
	memcpy(text + sizeof(label) + DIGEST_LEN, &lane_le, 4);
	memcpy(text + sizeof(label) + DIGEST_LEN + 4, &number_le, 4);
	digest_once(text, sizeof(text), hash);
	memcpy(out, hash, SEGMENT_ID_LEN);
}

int segment_salt_key(const uint8_t salts_key[SALTS_KEY_LEN], const uint8_t id[SEGMENT_ID_LEN], uint8_t out[DIGEST_LEN])
{
	static const char label[] = "sealtap packet salt v1"; // without its NUL
	uint8_t info[sizeof(label) - 1 + SEGMENT_ID_LEN];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int ok;

	memcpy(info, label, sizeof(label) - 1);
	memcpy(info + sizeof(label) - 1, id, SEGMENT_ID_LEN);
	OSSL_PARAM params[] = {
	        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
	        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)salts_key, SALTS_KEY_LEN),
	        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
	        OSSL_PARAM_construct_end(),
	};
	ok = ctx && EVP_KDF_derive(ctx, out, DIGEST_LEN, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -ENOTSUP;
}

static void fixed_part_fill(const struct commit *c, unsigned at, struct fixed_part *out)
{
	const struct commit_packet *p = &c->packet[at];

	memcpy(out->salt, c->salts + at * SALT_LEN, SALT_LEN);
	out->number_le = htole64(c->first + at);
	out->ts_ns_le = htole64(p->ts_ns);
	out->caplen_le = htole32(p->caplen);
	out->origlen_le = htole32(p->origlen);
	out->flags_le = htole32(p->flags);
	out->zero = 0;
}

static int hash_by_openssl(struct commit *c, unsigned at)
{
	const struct commit_packet *p = &c->packet[at];
	struct fixed_part fixed;

	fixed_part_fill(c, at, &fixed);
	if (!EVP_MD_CTX_copy_ex(c->run, c->midstate) || !EVP_DigestUpdate(c->run, &fixed, sizeof(fixed)) ||
	        !EVP_DigestUpdate(c->run, p->data, p->caplen) ||
	        !EVP_DigestFinal_ex(c->run, c->tile + at * DIGEST_LEN, NULL))
		return -EIO;
	return 0;
}

#ifdef HAVE_IPSEC_MB
static bool completed(IMB_JOB *job, unsigned *under_way, bool *failed)
{
	if (!job)
		return false;
	*failed |= job->status != IMB_STATUS_COMPLETED;
	(*under_way)--;
	return true;
}

// The engine hashes whole messages, several at a time, so each packet is copied behind its fixed part. Jobs complete in
// the order in which they were submitted. Packets that do not fit go to OpenSSL.
static int hash_by_ipsec_mb(struct commit *c)
{
	unsigned slot = 0, under_way = 0;
	bool failed = false;
	int r = 0;

	for (unsigned at = 0; at < c->count && r == 0; at++) {
		const struct commit_packet *p = &c->packet[at];
		struct fixed_part fixed;
		uint8_t *message;
		IMB_JOB *job;

		if (p->caplen > IN_FLIGHT_BYTES) {
			r = hash_by_openssl(c, at);
			continue;
		}
		while (under_way == IN_FLIGHT && completed(IMB_FLUSH_JOB(c->mb), &under_way, &failed))
			;
		message = c->message[slot++ % IN_FLIGHT];
		fixed_part_fill(c, at, &fixed);
		memcpy(message, c->prefix, COMMIT_PREFIX_LEN);
		memcpy(message + COMMIT_PREFIX_LEN, &fixed, sizeof(fixed));
		memcpy(message + COMMIT_FIXED_LEN, p->data, p->caplen);
		job = IMB_GET_NEXT_JOB(c->mb);
		job->cipher_mode = IMB_CIPHER_NULL;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->hash_alg = IMB_AUTH_SHA_256;
		job->src = message;
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = COMMIT_FIXED_LEN + p->caplen;
		job->auth_tag_output = c->tile + at * DIGEST_LEN;
		job->auth_tag_output_len_in_bytes = DIGEST_LEN;
		under_way++;
		job = IMB_SUBMIT_JOB_NOCHECK(c->mb);
		while (completed(job, &under_way, &failed))
			job = IMB_GET_COMPLETED_JOB(c->mb);
	}
	while (completed(IMB_FLUSH_JOB(c->mb), &under_way, &failed))
		;
	if (failed || under_way)
		return -EIO;
	return r;
}
#endif

static int tile_end(struct commit *c)
{
	int len = 0, r = 0;

	if (c->count == 0)
		return 0;
	for (unsigned i = 0; i < c->count; i++) {
		uint64_t half[2] = {0, htobe64(c->first + i)};

		memcpy(c->salts + i * SALT_LEN, half, SALT_LEN);
	}
	if (!EVP_EncryptUpdate(c->aes, c->salts, &len, c->salts, (int)(c->count * SALT_LEN)))
		return -EIO;
#ifdef HAVE_IPSEC_MB
	if (c->mb)
		r = hash_by_ipsec_mb(c);
	else
#endif
		for (unsigned i = 0; i < c->count && r == 0; i++)
			r = hash_by_openssl(c, i);
	if (r < 0)
		return r;
	merkle_append(&c->tiles, c->tile, c->count * DIGEST_LEN);
	c->first += c->count;
	c->count = 0;
	return 0;
}

int commit_begin(struct commit *c, const struct commit_segment *segment, uint64_t first)
{
	uint32_t lane_le = htole32(segment->lane), linktype_le = htole32(segment->linktype);

	if (!c->keyed || memcmp(c->salt_key, segment->salt_key, DIGEST_LEN) != 0) {
		memcpy(c->salt_key, segment->salt_key, DIGEST_LEN);
		if (!EVP_EncryptInit_ex(c->aes, EVP_aes_256_ecb(), NULL, c->salt_key, NULL) ||
		        !EVP_CIPHER_CTX_set_padding(c->aes, 0))
			return -ENOTSUP;
		c->keyed = true;
	}
	memset(c->prefix, 0, sizeof(c->prefix));
	memcpy(c->prefix, "sealtap packet v1", strlen("sealtap packet v1"));
	memcpy(c->prefix + 32, segment->id, SEGMENT_ID_LEN);
	memcpy(c->prefix + 48, &lane_le, 4);
	memcpy(c->prefix + 52, &linktype_le, 4);
	if (!EVP_DigestInit_ex(c->midstate, c->md, NULL) ||
	        !EVP_DigestUpdate(c->midstate, c->prefix, sizeof(c->prefix)))
		return -EIO;
	c->count = 0;
	c->first = first;
	merkle_init(&c->tiles);
	return 0;
}

int commit_add(struct commit *c, const struct commit_packet *packet)
{
	c->packet[c->count++] = *packet;
	return c->count == TILE_PACKETS ? tile_end(c) : 0;
}

int commit_end(struct commit *c, uint8_t out_root[DIGEST_LEN])
{
	int r = tile_end(c);

	if (r < 0)
		return r;
	merkle_root(&c->tiles, out_root);
	return 0;
}

#ifdef HAVE_IPSEC_MB
// The fast engine must agree with OpenSSL on a few packets of different lengths before it is trusted with any.
static bool engines_agree(struct commit *c)
{
	static const uint8_t bytes[300] = {1, 2, 3};
	static const uint32_t lengths[] = {0, 1, 7, 8, 15, 16, 17, 60, 100, 300};
	const struct commit_segment segment = {.lane = 1, .linktype = 1}; // lengths around one and two SHA-256 blocks
	uint8_t fast[DIGEST_LEN], slow[DIGEST_LEN];
	IMB_MGR *mb = c->mb;
	bool ok = true;

	for (int pass = 0; pass < 2 && ok; pass++) {
		c->mb = pass == 0 ? mb : NULL;
		ok = commit_begin(c, &segment, 5) == 0;
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]) && ok; i++)
			ok = commit_add(c, &(struct commit_packet){bytes, i, lengths[i], lengths[i], 0}) == 0;
		ok = ok && commit_end(c, pass == 0 ? fast : slow) == 0;
	}
	c->mb = mb;
	return ok && memcmp(fast, slow, DIGEST_LEN) == 0;
}

static void engine_choose(struct commit *c)
{
	c->mb = alloc_mb_mgr(0);
	if (!c->mb)
		return;
	init_mb_mgr_auto(c->mb, NULL);
	if (imb_get_errno(c->mb) != 0 || !engines_agree(c)) {
		free_mb_mgr(c->mb);
		c->mb = NULL;
	}
}
#endif

int commit_new(struct commit **ret_commit)
{
	struct commit *c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);

	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	c->aes = EVP_CIPHER_CTX_new();
	c->midstate = EVP_MD_CTX_new();
	c->run = EVP_MD_CTX_new();
	if (!c->md || !c->aes || !c->midstate || !c->run || digest_init() < 0) {
		commit_free(c);
		return -ENOMEM;
	}
#ifdef HAVE_IPSEC_MB
	engine_choose(c);
#endif
	*ret_commit = c;
	return 0;
}

void commit_free(struct commit *c)
{
	if (!c)
		return;
#ifdef HAVE_IPSEC_MB
	if (c->mb)
		free_mb_mgr(c->mb);
#endif
	EVP_MD_CTX_free(c->run);
	EVP_MD_CTX_free(c->midstate);
	EVP_CIPHER_CTX_free(c->aes);
	EVP_MD_free(c->md);
	OPENSSL_cleanse(c, sizeof(*c));
	free(c);
}

const char *commit_engine(const struct commit *c)
{
#ifdef HAVE_IPSEC_MB
	if (c->mb)
		return "ipsec-mb";
#endif
	return "openssl";
}

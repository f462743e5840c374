// SPDX-License-Identifier: Apache-2.0
// Any bytes as a checkpoint: section 2.4 allows one text for one content, so what is accepted is made again here, by
// the page and not by the parser's own code, and must be the same bytes.
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "sensor/evidence/checkpoint.h"
#include "sensor/evidence/digest.h"
#include "tests/fuzz/fuzz.h"

static void hex(const uint8_t *bytes, char out[2 * DIGEST_LEN + 1])
{
	for (int i = 0; i < DIGEST_LEN; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[ED25519_KEY_LEN] = {0x58, 0x66, 0x66, 0x66};
	char id[2 * DIGEST_LEN + 1], head[2 * DIGEST_LEN + 1], root[64], signature[128], text[CHECKPOINT_TEXT_MAX];
	uint8_t signed_bytes[4 + ED25519_SIG_LEN];
	struct checkpoint c;
	int len;

	MUST(digest_init() == 0);
	if (checkpoint_parse((const char *)data, size, &c) < 0)
		return 0;
	hex(c.recording_id, id);
	hex(c.head, head);
	memcpy(signed_bytes, c.key_id, 4);
	memcpy(signed_bytes + 4, c.signature, ED25519_SIG_LEN);
	EVP_EncodeBlock((unsigned char *)root, c.root, DIGEST_LEN);
	EVP_EncodeBlock((unsigned char *)signature, signed_bytes, sizeof(signed_bytes));
	len = snprintf(text, sizeof(text),
	        "sealtap/v1/%s\n%" PRIu64 "\n%s\nhead %s\n\n\xe2\x80\x94 sealtap/v1/%s/%" PRIu64 " %s\n", id, c.size,
	        root, head, id, c.epoch, signature);
	MUST(len > 0 && (size_t)len == size && memcmp(text, data, size) == 0);
	MUST(checkpoint_verify(&c, key) < 0);
	return 0;
}

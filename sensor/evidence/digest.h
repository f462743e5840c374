// SPDX-License-Identifier: Apache-2.0
// SHA-256 by OpenSSL with the algorithm fetched once. Any process, any thread; no state is shared but the algorithm.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

struct digest; // a running SHA-256

// Call once before threads start. 0, or -ENOTSUP when the library has no SHA-256.
int digest_init(void);

struct digest *digest_new(void); // NULL: no memory
void digest_free(struct digest *d);
void digest_reset(struct digest *d);
void digest_update(struct digest *d, const void *data, size_t len);
// Writes the digest of all updates since new or reset, without ending the run.
void digest_peek(const struct digest *d, uint8_t out[DIGEST_LEN]);

void digest_once(const void *data, size_t len, uint8_t out[DIGEST_LEN]);

#define HEX_LEN(bytes) (2 * (bytes) + 1)
void hex_encode(const uint8_t *bytes, size_t len, char *out);  // 2 * len digits and a NUL
int hex_decode(const char *text, size_t digits, uint8_t *out); // lower-case only; -EBADMSG otherwise

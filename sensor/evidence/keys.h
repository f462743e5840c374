// SPDX-License-Identifier: Apache-2.0
// Ed25519 keys: making, reading, signing, verifying. Private keys live in struct secret_key, locked and wiped.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"

struct secret_key; // mlocked, excluded from core dumps, wiped by secret_key_free

// Makes the locked memory that private keys live in. Before a sandbox closes; otherwise the first key does it.
void secret_keys_init(void);
int secret_key_generate(struct secret_key **ret_key);
// Reads an unencrypted PKCS#8 PEM private key of type Ed25519. -EKEYREJECTED when it is something else.
int secret_key_read_fd(int fd, const char *name, struct secret_key **ret_key, struct error *e);
int secret_key_write_fd(const struct secret_key *key, int fd); // PKCS#8 PEM
void secret_key_free(struct secret_key *key);
void secret_key_public(const struct secret_key *key, uint8_t out[ED25519_KEY_LEN]);
int secret_key_sign(const struct secret_key *key, const void *data, size_t len, uint8_t out[ED25519_SIG_LEN]);

// Canonical and not of small order (section 2.4): 0 or -EKEYREJECTED. Every public key passes here before use.
int public_key_check(const uint8_t key[ED25519_KEY_LEN]);
// 0, or -EKEYREJECTED. Includes public_key_check.
int public_key_verify(
        const uint8_t key[ED25519_KEY_LEN], const void *data, size_t len, const uint8_t sig[ED25519_SIG_LEN]);
#define PUBLIC_KEY_PEM_LEN 113
// The one PEM SubjectPublicKeyInfo form: exactly PUBLIC_KEY_PEM_LEN characters and a NUL.
void public_key_pem(const uint8_t key[ED25519_KEY_LEN], char out[PUBLIC_KEY_PEM_LEN + 1]);
// Reads a PEM public key file. -EKEYREJECTED when it is not Ed25519 in SubjectPublicKeyInfo.
int public_key_read_fd(int fd, const char *name, uint8_t out[ED25519_KEY_LEN], struct error *e);

// What the signatures of the origin key cover (sections 2.2 key, 6). They return the length, at most
// ORIGIN_MESSAGE_MAX.
#define ORIGIN_MESSAGE_MAX 96
size_t origin_message_epoch1(
        const uint8_t recording_id[DIGEST_LEN], const uint8_t epoch_key[ED25519_KEY_LEN], uint8_t *out);
size_t origin_message_recovery(
        const uint8_t recording_id[DIGEST_LEN], const uint8_t statement[DIGEST_LEN], uint8_t *out);

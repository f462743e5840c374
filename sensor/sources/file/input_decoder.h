// SPDX-License-Identifier: Apache-2.0
// Owns decompression of an input: none, gzip (several members) or zstd (several frames), told apart by the first bytes.
// One thread: RX of the recorder, or the verifier. Memory is bounded: one window, at most 128 MiB.
// Must not read the input: bytes are given to it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum input_coding { CODING_NONE, CODING_GZIP, CODING_ZSTD };

struct input_decoder;

enum input_coding input_coding_of(const uint8_t *bytes, size_t len);
const char *input_coding_name(enum input_coding coding); // "" for none

int input_decoder_new(enum input_coding coding, struct input_decoder **ret_decoder); // not for CODING_NONE
void input_decoder_free(struct input_decoder *d);

// Decodes from *in, which it moves forward, into out. Returns the bytes written, 0 when it needs more input;
// -EBADMSG with *ret_reason when the bytes are no such stream.
int input_decoder_run(struct input_decoder *d, const uint8_t **in, size_t *in_len, uint8_t *out, size_t out_len,
        const char **ret_reason);

// True when the input may end here.
bool input_decoder_complete(const struct input_decoder *d);

// SPDX-License-Identifier: Apache-2.0
// Owns reading of untrusted fixed-width fields: a cursor that never leaves its bytes and remembers that it would have.
// Any thread; no state but the cursor. Must not be bypassed: no other code of the file source reads fields of an input.
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;
	size_t left;
	bool big_endian;
	bool failed; // a read went past the end; all reads since then gave 0 or NULL
};

static inline struct cursor cursor_over(const void *data, size_t len, bool big_endian)
{
	return (struct cursor){.at = data, .left = len, .big_endian = big_endian};
}

// The next len bytes, or NULL.
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
	const uint8_t *at = c->at;
	if (len > c->left || c->failed) {
		c->failed = true;
		return NULL;
	}
	c->at += len;
	c->left -= len;
	return at;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 1);
	return at ? *at : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 2);
	uint16_t v = 0;
	if (at)
		memcpy(&v, at, sizeof(v));
	return c->big_endian ? be16toh(v) : le16toh(v);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 4);
	uint32_t v = 0;
	if (at)
		memcpy(&v, at, sizeof(v));
	return c->big_endian ? be32toh(v) : le32toh(v);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 8);
	uint64_t v = 0;
	if (at)
		memcpy(&v, at, sizeof(v));
	return c->big_endian ? be64toh(v) : le64toh(v);
}

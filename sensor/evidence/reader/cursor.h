// SPDX-License-Identifier: Apache-2.0
// The one way by which readers take little-endian integers and bytes out of memory that came from outside.
// A cursor that once met its end stays bad: callers may take several values and ask cursor_ok once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

static inline struct cursor cursor_make(const void *data, size_t len)
{
	return (struct cursor){.at = data, .end = (const uint8_t *)data + len};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline bool cursor_ok(const struct cursor *c)
{
	return !c->bad;
}

// The next len bytes, or NULL.
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
	const uint8_t *at = c->at;

	if (c->bad || len > cursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	c->at += len;
	return at;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 1);

	return at ? at[0] : 0;
}

static inline uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 2);

	return at ? (uint16_t)(at[0] | at[1] << 8) : 0;
}

static inline uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 4);

	return at ? (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24 : 0;
}

static inline uint64_t cursor_le64(struct cursor *c)
{
	uint64_t low = cursor_le32(c);

	return low | (uint64_t)cursor_le32(c) << 32;
}

// Takes the padding that follows len bytes up to a multiple of four; it must be zero.
static inline void cursor_padding(struct cursor *c, size_t len)
{
	const uint8_t *pad = cursor_bytes(c, (4 - len % 4) % 4);

	for (size_t i = 0; pad && i < (4 - len % 4) % 4; i++)
		if (pad[i] != 0)
			c->bad = true;
}

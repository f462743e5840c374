// SPDX-License-Identifier: Apache-2.0
// The one way by which fields of fixed width are taken out of bytes that came from outside: a cursor that never leaves
// its bytes and remembers that it would have. Callers may take several values and ask cursor_ok once. Any thread; no
// state but the cursor.
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool big_endian; // what cursor_u16, _u32 and _u64 read; cursor_le* do not ask
	bool bad;        // a read went past the end; all reads since then gave 0 or NULL
};

static inline struct cursor cursor_over(const void *data, size_t len, bool big_endian)
{
	return (struct cursor){.at = data, .end = (const uint8_t *)data + len, .big_endian = big_endian};
}

static inline struct cursor cursor_make(const void *data, size_t len)
{
	return cursor_over(data, len, false);
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

	return at ? *at : 0;
}

// --- little-endian, as everything that sealtap writes

static inline uint16_t cursor_le16(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 2);
	uint16_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le16toh(v);
}

static inline uint32_t cursor_le32(struct cursor *c)
{
	const uint8_t *at = cursor_bytes(c, 4);
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline uint64_t cursor_le64(struct cursor *c)
{
	uint64_t low = cursor_le32(c);

	return low | (uint64_t)cursor_le32(c) << 32;
}

// --- in the cursor's own order, as capture files choose it

static inline uint16_t cursor_u16(struct cursor *c)
{
	uint16_t v = cursor_le16(c);

	return c->big_endian ? __builtin_bswap16(v) : v;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	uint32_t v = cursor_le32(c);

	return c->big_endian ? __builtin_bswap32(v) : v;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	uint64_t v = cursor_le64(c);

	return c->big_endian ? __builtin_bswap64(v) : v;
}

// Takes the padding that follows len bytes up to a multiple of four; it must be zero.
static inline void cursor_padding(struct cursor *c, size_t len)
{
	const size_t pad_len = (4 - len % 4) % 4;
	const uint8_t *pad = cursor_bytes(c, pad_len);

	for (size_t i = 0; pad && i < pad_len; i++)
		if (pad[i] != 0)
			c->bad = true;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/segment_frames.h"

#include <errno.h>
#include <openssl/rand.h>
#include <string.h>
#include <zstd.h>

#include "sensor/evidence/digest.h"

struct text {
	uint8_t bytes[SMALL_FRAME_MAX];
	uint32_t len;
};

static void put(struct text *t, const void *data, uint32_t len)
{
	memcpy(t->bytes + t->len, data, len);
	t->len += len;
}

static void put16(struct text *t, uint16_t value)
{
	put(t, &value, 2);
}

static void put32(struct text *t, uint32_t value)
{
	put(t, &value, 4);
}

static void option(struct text *t, uint16_t code, const void *data, uint16_t len)
{
	static const uint8_t zero[3];

	put16(t, code);
	put16(t, len);
	put(t, data, len);
	put(t, zero, (4 - len % 4) % 4);
}

static uint32_t block_begin(struct text *t, uint32_t type)
{
	uint32_t start = t->len;

	put32(t, type);
	put32(t, 0);
	return start;
}

static void block_end(struct text *t, uint32_t start)
{
	uint32_t total;

	put32(t, 0); // opt_endofopt
	total = t->len + 4 - start;
	put32(t, total);
	memcpy(t->bytes + start + 4, &total, 4);
}

static int compress(const struct text *t, uint8_t out[SMALL_FRAME_MAX])
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t n;

	if (!z)
		return -ENOMEM;
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(z, out, SMALL_FRAME_MAX, t->bytes, t->len);
	ZSTD_freeCCtx(z);
	return ZSTD_isError(n) ? -EIO : (int)n;
}

int segment_frame_first(const struct segment_info *info, uint8_t out[SMALL_FRAME_MAX])
{
	struct text t = {.len = 0};
	uint8_t nonce[16], tsresol = 9;
	char comment[48] = "nonce=";
	uint64_t unknown_length = UINT64_MAX;
	uint32_t start;

	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return -EIO;
	hex_encode(nonce, sizeof(nonce), comment + 6);
	memcpy(comment + 38, "  ", 2);

	start = block_begin(&t, 0x0A0D0D0A);
	put32(&t, 0x1A2B3C4D);
	put16(&t, 1);
	put16(&t, 0);
	put(&t, &unknown_length, 8);
	option(&t, 1, comment, 40); // opt_comment
	block_end(&t, start);

	start = block_begin(&t, 1);
	put16(&t, info->linktype);
	put16(&t, 0);
	put32(&t, info->snaplen);
	if (info->interface[0])
		option(&t, 2, info->interface, (uint16_t)strnlen(info->interface, 255)); // if_name
	option(&t, 9, &tsresol, 1);                                                      // if_tsresol
	block_end(&t, start);
	return compress(&t, out);
}

int segment_frame_last(uint64_t now_ns, const struct counters *c, uint8_t out[SMALL_FRAME_MAX])
{
	struct text t = {.len = 0};
	uint64_t dropped = 0;
	uint32_t start;

	for (int i = 0; i < DROP_CAUSES; i++)
		dropped += c->dropped[i];
	start = block_begin(&t, 5);
	put32(&t, 0);
	put32(&t, (uint32_t)(now_ns >> 32));
	put32(&t, (uint32_t)now_ns);
	option(&t, 4, &c->received, 8); // isb_ifrecv
	option(&t, 5, &dropped, 8);     // isb_ifdrop
	option(&t, 8, &c->recorded, 8); // isb_usrdeliv
	block_end(&t, start);
	return compress(&t, out);
}

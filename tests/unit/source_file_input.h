// SPDX-License-Identifier: Apache-2.0
// Builds input files field by field, and reads them through the file source to a copy of all it said.
// One process; inputs are memfds.
// Must not take an expected value from what the source printed.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "sealtap/source.h"
#include "sensor/evidence/digest.h"
#include "sensor/sources/file/source_file.h"

#define MAX_PACKETS 64

// --- building inputs

struct bytes {
	uint8_t *at;
	size_t len, room;
	bool big_endian;
};

static inline void put(struct bytes *b, const void *data, size_t len)
{
	if (b->len + len > b->room) {
		b->room = 2 * (b->len + len);
		b->at = realloc(b->at, b->room);
		assert_non_null(b->at);
	}
	if (len)
		memcpy(b->at + b->len, data, len);
	b->len += len;
}

static inline void put_number(struct bytes *b, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; ++i) {
		uint8_t byte = (uint8_t)(v >> 8 * (b->big_endian ? width - 1 - i : i));
		put(b, &byte, 1);
	}
}

static inline void put32(struct bytes *b, uint32_t v)
{
	put_number(b, v, 4);
}

// width and value pairs, ended by 0
static inline void put_fields(struct bytes *b, ...)
{
	va_list args;
	unsigned width;

	va_start(args, b);
	while ((width = va_arg(args, unsigned)))
		put_number(b, va_arg(args, uint64_t), width);
	va_end(args);
}

#define U16(v) 2u, (uint64_t)(v)
#define U32(v) 4u, (uint64_t)(v)
#define U64(v) 8u, (uint64_t)(v)
#define END 0u

static inline void pcap_header(struct bytes *b, uint32_t magic, unsigned minor, uint32_t snaplen, uint32_t linktype)
{
	put_fields(b, U32(magic), U16(2), U16(minor), U32(0), U32(0), U32(snaplen), U32(linktype), END);
}

static inline void pcap_record(
        struct bytes *b, uint32_t sec, uint32_t frac, uint32_t first, uint32_t second, const char *data)
{
	put_fields(b, U32(sec), U32(frac), U32(first), U32(second), END);
	put(b, data, strlen(data));
}

static inline void block(struct bytes *b, uint32_t type, const struct bytes *body)
{
	uint32_t total = (uint32_t)((body->len + 3) & ~(size_t)3) + 12;

	put_fields(b, U32(type), U32(total), END);
	put(b, body->at, body->len);
	put(b, "\0\0\0", -body->len & 3);
	put32(b, total);
	free(body->at);
}

static inline void option(struct bytes *b, unsigned code, const void *value, size_t len)
{
	put_fields(b, U16(code), U16(len), END);
	put(b, value, len);
	put(b, "\0\0\0", -len & 3);
}

static inline struct bytes body_of(const struct bytes *b)
{
	return (struct bytes){.big_endian = b->big_endian};
}

static inline void shb(struct bytes *b)
{
	struct bytes body = body_of(b);
	put_fields(&body, U32(0x1a2b3c4d), U16(1), U16(0), U64(UINT64_MAX), END);
	block(b, 0x0a0d0d0a, &body);
}

static inline void idb(
        struct bytes *b, unsigned linktype, uint32_t snaplen, const char *name, int tsresol, int64_t tsoffset)
{
	struct bytes body = body_of(b), offset = body_of(b);
	uint8_t resolution = (uint8_t)tsresol;

	put_fields(&body, U16(linktype), U16(0), U32(snaplen), END);
	if (name)
		option(&body, 2, name, strlen(name));
	if (tsresol >= 0)
		option(&body, 9, &resolution, 1);
	if (tsoffset) {
		put_number(&offset, (uint64_t)tsoffset, 8);
		option(&body, 14, offset.at, 8);
		free(offset.at);
	}
	if (name || tsresol >= 0 || tsoffset)
		option(&body, 0, NULL, 0);
	block(b, 1, &body);
}

static inline void epb(
        struct bytes *b, uint32_t interface, uint64_t ts, const char *data, uint32_t flags, const char *comment)
{
	struct bytes body = body_of(b), word = body_of(b);
	uint32_t len = (uint32_t)strlen(data);

	put_fields(&body, U32(interface), U32(ts >> 32), U32(ts), U32(len), U32(len + 100), END);
	put(&body, data, len);
	put(&body, "\0\0\0", -len & 3);
	put32(&word, flags);
	if (comment)
		option(&body, 1, comment, strlen(comment));
	if (flags)
		option(&body, 2, word.at, 4);
	if (flags || comment)
		option(&body, 0, NULL, 0);
	free(word.at);
	block(b, 6, &body);
}

static inline struct bytes gzipped(const void *data, size_t len)
{
	struct bytes b = {.room = compressBound(len) + 64};
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};

	b.at = malloc(b.room);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = b.at;
	z.avail_out = (uInt)b.room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	b.len = z.total_out;
	deflateEnd(&z);
	return b;
}

static inline struct bytes zstd_packed(const void *data, size_t len)
{
	struct bytes b = {.room = ZSTD_compressBound(len)};
	ZSTD_CCtx *c = ZSTD_createCCtx();

	b.at = malloc(b.room);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	b.len = ZSTD_compress2(c, b.at, b.room, data, len);
	assert_false(ZSTD_isError(b.len));
	ZSTD_freeCCtx(c);
	return b;
}

// --- reading them

struct result {
	int open, last;
	unsigned count, lane_count;
	struct packet packets[MAX_PACKETS]; // data: copies
	struct source_lane lanes[8];
	struct source_end end;
	char *extra;
	size_t extra_len;
	struct error error;
};

static inline int memfd_of(const void *data, size_t len)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_true(fd >= 0);
	while (len) {
		ssize_t n = write(fd, data, len);
		assert_true(n > 0);
		data = (const uint8_t *)data + n;
		len -= (size_t)n;
	}
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static inline void unpack_extra(struct result *r, int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	void *packed = malloc((size_t)len + 1);
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_outBuffer out = {malloc(8 << 20), (8 << 20) - 1, 0};
	ZSTD_inBuffer in = {packed, (size_t)len, 0};

	assert_int_equal(pread(fd, packed, (size_t)len, 0), len);
	if (len) {
		assert_int_equal(ZSTD_decompressStream(d, &out, &in), 0); // one whole frame, with nothing behind it
		assert_int_equal(in.pos, in.size);
	}
	((char *)out.dst)[out.pos] = 0;
	r->extra = out.dst;
	r->extra_len = out.pos;
	ZSTD_freeDCtx(d);
	free(packed);
}

static inline struct result read_fd(int fd, unsigned batch_max)
{
	struct result r = {0};
	struct packet batch[MAX_PACKETS];
	int extra = memfd_create("extra", MFD_CLOEXEC);
	struct source_file_config config = {.fd = fd, .name = "input", .extra_fd = extra};
	struct source *s;

	r.open = source_file_open(&config, &s, &r.error);
	if (r.open < 0) {
		assert_int_equal(close(fd), 0); // still ours
		close(extra);
		return r;
	}
	while ((r.last = s->ops->recv(s, batch, batch_max, 1000)) >= 0) {
		for (int i = 0; i < r.last && r.count < MAX_PACKETS; ++i, ++r.count) {
			uint8_t *copy = malloc(batch[i].caplen + 1);
			memcpy(copy, batch[i].data, batch[i].caplen);
			r.packets[r.count] = batch[i];
			r.packets[r.count].data = copy;
		}
		s->ops->release(s);
	}
	assert_int_equal(s->ops->recv(s, batch, 1, 0), r.last); // an end stays an end
	r.end = s->end;
	r.lane_count = s->lane_count;
	memcpy(r.lanes, s->lanes, sizeof(r.lanes));
	s->ops->close(s);
	unpack_extra(&r, extra);
	close(extra);
	return r;
}

static inline struct result read_bytes(const void *data, size_t len)
{
	struct result r = read_fd(memfd_of(data, len), MAX_PACKETS);
	uint8_t want[DIGEST_LEN];

	if (r.open == 0) { // whatever is in it, all of it is hashed
		digest_once(data, len, want);
		assert_int_equal(r.last, -ENODATA);
		assert_true(r.end.ended);
		assert_int_equal(r.end.bytes, len);
		assert_memory_equal(r.end.sha256, want, DIGEST_LEN);
		assert_int_equal(r.end.packets, r.count);
	}
	return r;
}

static inline void result_free(struct result *r)
{
	for (unsigned i = 0; i < r->count; ++i)
		free((void *)r->packets[i].data);
	free(r->extra);
}

static inline void expect_packet(const struct result *r, unsigned i, uint64_t ts_ns, const char *data, uint32_t origlen,
        uint32_t flags, uint32_t lane)
{
	const struct packet *p = &r->packets[i];

	assert_true(i < r->count);
	assert_int_equal(p->ts_ns, ts_ns);
	assert_int_equal(p->caplen, strlen(data));
	assert_memory_equal(p->data, data, p->caplen);
	assert_int_equal(p->origlen, origlen);
	assert_int_equal(p->flags, flags);
	assert_int_equal(p->lane, lane);
	assert_int_equal(p->vlan_tpid, 0);
}

static inline void expect_damage(const struct result *r, uint64_t offset, const char *reason)
{
	assert_true(r->end.damaged);
	assert_int_equal(r->end.damage_offset, offset);
	if (!strstr(r->end.damage_reason, reason))
		fail_msg("damage \"%s\", expected \"%s\"", r->end.damage_reason, reason);
}

// A small file of each format and the offsets at which it may end.
struct sample {
	struct bytes bytes;
	size_t ends[8];
	unsigned packets[8]; // read when it ends there
	unsigned count;
};

static inline void mark(struct sample *s, unsigned packets)
{
	s->ends[s->count] = s->bytes.len;
	s->packets[s->count++] = packets;
}

static inline struct sample pcap_sample(void)
{
	struct sample s = {0};

	pcap_header(&s.bytes, 0xa1b2c3d4, 4, 0, 1);
	mark(&s, 0);
	pcap_record(&s.bytes, 1, 2, 5, 5, "hello");
	mark(&s, 1);
	pcap_record(&s.bytes, 1, 2, 0, 5, "");
	mark(&s, 2);
	pcap_record(&s.bytes, 1, 2, 3, 5, "end");
	mark(&s, 3);
	return s;
}

static inline struct sample pcapng_sample(void)
{
	struct sample s = {0};

	shb(&s.bytes);
	mark(&s, 0);
	idb(&s.bytes, 1, 0, "eth0", 9, 0);
	mark(&s, 0);
	epb(&s.bytes, 0, 1, "hello", 1, "note");
	mark(&s, 1);
	epb(&s.bytes, 0, 2, "", 0, NULL);
	mark(&s, 2);
	return s;
}

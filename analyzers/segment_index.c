// SPDX-License-Identifier: Apache-2.0
#include "analyzers/segment_index.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "analyzers/community_id.h"
#include "analyzers/key_filter.h"
#include "sealtap/cursor.h"

#define MAGIC "sealtap index v2"
#define MAGIC_LEN 16u
#define HEADER_BYTES (MAGIC_LEN + INDEX_HASH_LEN + 16u)
#define FRAME_BYTES 72u
#define BUDGET_PART 100u
#define FILTER_BYTES_MIN 64u

// More keys than that never fit the budget of a frame.
#define SET_SIZE (1u << 15)
#define SET_MAX (SET_SIZE / 2)

struct key_set {
	uint64_t table[SET_SIZE]; // 0: free; no key is 0
	uint32_t used[SET_MAX];   // places of the table
	unsigned count;
	bool full; // a key did not fit
};

struct bytes {
	uint8_t *data;
	size_t len, cap;
};

struct index_builder {
	struct key_set keys;  // of the frame under way
	struct key_set flows; // the same; those whose Community ID is among the keys
	struct packet_keys packet;
	struct bytes frames, filters, file;
	uint32_t frame_count;
	uint64_t stored; // bytes of the frames so far
};

// --- making

struct index_builder *index_builder_new(void)
{
	return calloc(1, sizeof(struct index_builder));
}

void index_builder_free(struct index_builder *b)
{
	if (!b)
		return;
	free(b->frames.data);
	free(b->filters.data);
	free(b->file.data);
	free(b);
}

static void set_clear(struct key_set *s)
{
	for (unsigned i = 0; i < s->count; i++)
		s->table[s->used[i]] = 0;
	s->count = 0;
	s->full = false;
}

// True when the key is new.
static bool set_add(struct key_set *s, uint64_t key)
{
	uint32_t at = (uint32_t)(key >> 40) % SET_SIZE;

	for (; s->table[at] != 0; at = (at + 1) % SET_SIZE)
		if (s->table[at] == key)
			return false;
	if (s->count == SET_MAX) {
		s->full = true;
		return false;
	}
	s->table[at] = key;
	s->used[s->count++] = at;
	return true;
}

void index_builder_start(struct index_builder *b)
{
	set_clear(&b->keys);
	set_clear(&b->flows);
	b->frames.len = b->filters.len = 0;
	b->frame_count = 0;
	b->stored = 0;
}

// Community IDs are dear: made once for each flow of a frame.
static void add_community_id(struct index_builder *b, const struct decoded_flow *f)
{
	char id[COMMUNITY_ID_MAX];
	struct flow_key key;
	uint64_t seen;

	if (f->fragment && !f->fragment_first)
		return; // belongs to a flow that only its first fragment tells
	flow_key_make(f, &key);
	seen = key_of_conversation(f->ip_version, key.addr[0], key.addr[1], key.port[0], key.port[1]);
	// Both halves: ports of one endpoint or of the other make two flows of one conversation.
	seen ^= key_of_host(f->ip_version, key.addr[0]) * (2u * key.port[0] + 1) * (2u * f->proto + 1);
	if (set_add(&b->flows, seen ? seen : 1)) {
		community_id(&key, id);
		set_add(&b->keys, key_of_community_id(id));
	}
}

void index_builder_packet(
        struct index_builder *b, uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t origlen)
{
	struct packet_keys *p = &b->packet;

	if (b->keys.full || b->flows.full)
		return;
	packet_keys_make(linktype, data, caplen, origlen, p);
	for (unsigned i = 0; i < p->count; i++)
		set_add(&b->keys, p->key[i]);
	for (unsigned i = 0; i < p->decoded.count; i++)
		add_community_id(b, &p->decoded.flows[i]);
}

static uint8_t *extend(struct bytes *b, size_t len)
{
	if (b->cap - b->len < len) {
		size_t cap = 2 * b->cap + len + 65536;
		uint8_t *more = realloc(b->data, cap);

		if (!more)
			return NULL;
		b->data = more;
		b->cap = cap;
	}
	b->len += len;
	return b->data + b->len - len;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, 4);
	return at + 4;
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, 8);
	return at + 8;
}

// 0: no filter within the budget.
static size_t filter_len(const struct index_builder *b)
{
	size_t allowed = b->stored / BUDGET_PART / 8 * 8, budget, wanted;

	if (b->keys.full || b->flows.full || b->keys.count == 0)
		return 0;
	budget = allowed > b->filters.len + FILTER_BYTES_MIN ? allowed - b->filters.len : FILTER_BYTES_MIN;
	wanted = key_filter_bytes(b->keys.count, KEY_FILTER_BITS_PER_KEY);
	if (wanted <= budget)
		return wanted;
	return key_filter_bytes(b->keys.count, KEY_FILTER_BITS_MIN) <= budget ? budget : 0;
}

int index_builder_frame(struct index_builder *b, const struct indexed_frame *frame, uint64_t stored)
{
	size_t len;
	uint8_t *at = extend(&b->frames, FRAME_BYTES), *filter = NULL;

	b->stored += stored;
	len = frame->packets > 0 ? filter_len(b) : 0;
	if (len > 0)
		filter = extend(&b->filters, len);
	if (!at || (len > 0 && !filter))
		return -ENOMEM;
	if (len > 0)
		memset(filter, 0, len);
	for (unsigned i = 0; len > 0 && i < b->keys.count; i++)
		key_filter_add(filter, len, b->keys.table[b->keys.used[i]]);
	at = put64(at, frame->offset);
	at = put64(at, frame->first);
	at = put64(at, frame->ts_min);
	at = put64(at, frame->ts_max);
	at = put32(at, frame->packets);
	at = put32(at, (uint32_t)len);
	memcpy(at, frame->root, INDEX_HASH_LEN);
	b->frame_count++;
	set_clear(&b->keys);
	set_clear(&b->flows);
	return 0;
}

static bool sha256(const void *data, size_t len, uint8_t out[INDEX_HASH_LEN])
{
	return EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1;
}

const uint8_t *index_builder_finish(
        struct index_builder *b, const uint8_t segment_sha256[INDEX_HASH_LEN], uint64_t segment_bytes, size_t *ret_len)
{
	const size_t len = HEADER_BYTES + b->frames.len + b->filters.len;
	uint8_t *file, *at;

	b->file.len = 0;
	file = at = extend(&b->file, len + INDEX_HASH_LEN);
	if (!file)
		return NULL;
	memcpy(at, MAGIC, MAGIC_LEN);
	memcpy(at + MAGIC_LEN, segment_sha256, INDEX_HASH_LEN);
	at = put64(at + MAGIC_LEN + INDEX_HASH_LEN, segment_bytes);
	at = put32(at, b->frame_count);
	at = put32(at, 0);
	memcpy(at, b->frames.data, b->frames.len);
	if (b->filters.len > 0)
		memcpy(at + b->frames.len, b->filters.data, b->filters.len);
	if (!sha256(file, len, file + len))
		return NULL;
	*ret_len = len + INDEX_HASH_LEN;
	return file;
}

// --- reading

int segment_index_open(struct segment_index *i, const uint8_t *data, size_t len,
        const uint8_t segment_sha256[INDEX_HASH_LEN], uint64_t segment_bytes)
{
	struct cursor c = cursor_make(data, len);
	const uint8_t *magic = cursor_bytes(&c, MAGIC_LEN), *of = cursor_bytes(&c, INDEX_HASH_LEN);
	const uint64_t bytes = cursor_le64(&c);
	const uint32_t frames = cursor_le32(&c);
	uint8_t hash[INDEX_HASH_LEN];

	*i = (struct segment_index){0};
	cursor_le32(&c);
	if (!cursor_ok(&c) || memcmp(magic, MAGIC, MAGIC_LEN) != 0 || len < HEADER_BYTES + INDEX_HASH_LEN ||
	        frames > INDEX_FRAMES_MAX || (len - HEADER_BYTES - INDEX_HASH_LEN) / FRAME_BYTES < frames)
		return -EBADMSG;
	if (bytes != segment_bytes || memcmp(of, segment_sha256, INDEX_HASH_LEN) != 0)
		return -ESTALE;
	if (!sha256(data, len - INDEX_HASH_LEN, hash) || memcmp(hash, data + len - INDEX_HASH_LEN, INDEX_HASH_LEN) != 0)
		return -EBADMSG;
	i->data = data + HEADER_BYTES;
	i->frames = frames;
	i->filters = i->data + (size_t)frames * FRAME_BYTES;
	i->filters_len = len - HEADER_BYTES - INDEX_HASH_LEN - (size_t)frames * FRAME_BYTES;
	return 0;
}

int segment_index_next(struct segment_index *i, struct indexed_frame *ret_frame)
{
	struct cursor c;
	struct indexed_frame f;

	if (i->next == i->frames)
		return i->filter_at == i->filters_len ? 0 : -EBADMSG;
	c = cursor_make(i->data + (size_t)i->next++ * FRAME_BYTES, FRAME_BYTES);
	f.offset = cursor_le64(&c);
	f.first = cursor_le64(&c);
	f.ts_min = cursor_le64(&c);
	f.ts_max = cursor_le64(&c);
	f.packets = cursor_le32(&c);
	f.filter_bytes = cursor_le32(&c);
	f.root = cursor_bytes(&c, INDEX_HASH_LEN);
	if (f.filter_bytes > i->filters_len - i->filter_at || f.filter_bytes % 8 != 0)
		return -EBADMSG;
	f.filter = i->filters + i->filter_at;
	i->filter_at += f.filter_bytes;
	*ret_frame = f;
	return 1;
}

bool indexed_frame_may_have(const struct indexed_frame *f, uint64_t key)
{
	if (f->packets == 0)
		return false;
	return f->filter_bytes == 0 || key_filter_has(f->filter, f->filter_bytes, key) ||
	       key_filter_has(f->filter, f->filter_bytes, KEY_OF_ANYTHING);
}

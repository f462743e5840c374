// SPDX-License-Identifier: Apache-2.0
#include "sensor/evidence/reader/fields.h"

#include <errno.h>
#include <string.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"

static const char *const kind_expected[] = {
        [FIELD_INTEGER] = "an integer within its bounds",
        [FIELD_U64] = "a string of decimal digits, at most 2^64-1",
        [FIELD_TIME] = "a string \"<sec>.<nnnnnnnnn>\"",
        [FIELD_HEX] = "a string of lower-case hexadecimal digits of its length",
        [FIELD_TEXT] = "a string within its length",
        [FIELD_WORD] = "one of the listed words",
        [FIELD_OBJECT] = "an object",
        [FIELD_ARRAY] = "an array with at least one element",
        [FIELD_LIST] = "an array",
};

static int take_word(const char *text, const char *const *words, uint64_t *ret_index)
{
	for (uint64_t i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int take_array(json_t *value, const struct field *f, struct field_fault *ret_fault)
{
	union {
		uint8_t bytes[FIELD_SCRATCH_MAX];
		uint64_t align;
	} scratch;

	if (!json_is_array(value) || f->limit > sizeof(scratch))
		return -EBADMSG;
	if (f->kind == FIELD_ARRAY && json_array_size(value) == 0)
		return -EBADMSG;
	memset(&scratch, 0, sizeof(scratch));
	for (size_t i = 0; i < json_array_size(value); i++)
		if (fields_parse(json_array_get(value, i), f->table, &scratch, ret_fault) < 0)
			return -EBADMSG;
	return 0;
}

static int take_value(json_t *value, const struct field *f, void *out, struct field_fault *ret_fault)
{
	const char *text = json_string_value(value); // NULL unless a string
	uint8_t *at = (uint8_t *)out + f->offset;

	switch (f->kind) {
	case FIELD_INTEGER:
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		        (uint64_t)json_integer_value(value) > f->limit)
			return -EBADMSG;
		*(uint64_t *)(void *)at = (uint64_t)json_integer_value(value);
		return 0;
	case FIELD_U64:
		return text ? u64_parse(text, (uint64_t *)(void *)at) : -EBADMSG;
	case FIELD_TIME:
		return text ? time_parse(text, (uint64_t *)(void *)at) : -EBADMSG;
	case FIELD_HEX:
		return text && strlen(text) == 2 * f->limit ? hex_decode(text, 2 * f->limit, at) : -EBADMSG;
	case FIELD_TEXT:
		if (!text || strlen(text) > f->limit)
			return -EBADMSG;
		*(const char **)(void *)at = text;
		return 0;
	case FIELD_WORD:
		return text ? take_word(text, f->words, (uint64_t *)(void *)at) : -EBADMSG;
	case FIELD_OBJECT:
		return fields_parse(value, f->table, at, ret_fault);
	case FIELD_ARRAY:
	case FIELD_LIST:
		if (take_array(value, f, ret_fault) < 0)
			return -EBADMSG;
		*(json_t **)(void *)at = value;
		return 0;
	}
	return -EBADMSG;
}

int fields_take(json_t *object, void **iter, const struct field *table, void *out, struct field_fault *ret_fault)
{
	for (const struct field *f = table; f->key; f++) {
		struct field_fault inner = {0};

		*ret_fault = (struct field_fault){.key = f->key, .expected = "this key at this place"};
		if (!*iter || strcmp(json_object_iter_key(*iter), f->key) != 0) {
			if (f->mask_bit)
				continue;
			return -EBADMSG;
		}
		if (take_value(json_object_iter_value(*iter), f, out, &inner) < 0) {
			ret_fault->expected = f->expected ? f->expected : kind_expected[f->kind];
			if (inner.key)
				*ret_fault = inner;
			return -EBADMSG;
		}
		if (f->mask_bit)
			*(uint64_t *)(void *)((uint8_t *)out + f->mask_offset) |= f->mask_bit;
		*iter = json_object_iter_next(object, *iter);
	}
	return 0;
}

int fields_parse(json_t *object, const struct field *table, void *out, struct field_fault *ret_fault)
{
	void *iter = json_object_iter(object); // NULL when it is no object

	if (!json_is_object(object)) {
		*ret_fault = (struct field_fault){.key = "", .expected = "an object"};
		return -EBADMSG;
	}
	if (fields_take(object, &iter, table, out, ret_fault) < 0)
		return -EBADMSG;
	if (iter) {
		*ret_fault = (struct field_fault){.key = "", .expected = "no further keys"};
		return -EBADMSG;
	}
	return 0;
}

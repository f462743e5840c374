// SPDX-License-Identifier: Apache-2.0
// Takes the members of a JSON object by a table of keys in order: exactly these, of exactly these types.
// Recursion follows the tables, never the input.
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
	FIELD_INTEGER, // uint64_t; at most `limit`
	FIELD_U64,     // uint64_t
	FIELD_TIME,    // uint64_t, nanoseconds
	FIELD_HEX,     // uint8_t[limit]
	FIELD_TEXT,    // const char *, borrowed from the JSON; at most `limit` bytes
	FIELD_WORD,    // uint64_t, index into `words`
	FIELD_OBJECT,  // struct, by `table`
	FIELD_ARRAY,   // json_t *, borrowed; every element fits `table`, scratch space of `limit` bytes; not empty
	FIELD_LIST,    // the same, may be empty
};

struct field {
	const char *key; // NULL ends a table
	enum field_kind kind;
	size_t offset; // in the struct that the table fills
	uint64_t limit;
	const char *const *words; // NULL ends the list
	const struct field *table;
	// Not zero: the key may be absent; when present, this bit is set in the uint64_t at mask_offset.
	uint64_t mask_bit;
	size_t mask_offset;
	const char *expected; // for people; NULL: by kind
};

// Why an object was refused.
struct field_fault {
	const char *key;      // of the table, or "" when the object has too many keys
	const char *expected; // for people
};

#define INTEGER_MAX ((1ULL << 53) - 1)
#define TEXT_ANY UINT64_MAX
#define FIELD_SCRATCH_MAX 512

// Takes the keys of table from *iter on, which moves behind them. 0 or -EBADMSG with *ret_fault.
int fields_take(json_t *object, void **iter, const struct field *table, void *out, struct field_fault *ret_fault);
// The same for a whole object.
int fields_parse(json_t *object, const struct field *table, void *out, struct field_fault *ret_fault);

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/dpi_text.h"

#include <stdlib.h>
#include <string.h>

void dpi_text_add(struct dpi_texts *t, enum flow_text which, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t start = t->len + 1;
	char *out = t->bytes;

	if (!text || !*text || t->len + DPI_TEXT_MAX + 2 >= sizeof(t->bytes))
		return;
	out[t->len++] = (char)(which + 1);
	for (; *text && t->len - start + 4 <= DPI_TEXT_MAX; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c <= 0x7e && c != '\\') {
			out[t->len++] = (char)c;
		} else {
			out[t->len++] = '\\';
			out[t->len++] = 'x';
			out[t->len++] = digits[c >> 4];
			out[t->len++] = digits[c & 15];
		}
	}
	out[t->len++] = '\0';
}

char *dpi_texts_keep(const struct dpi_texts *t, size_t *ret_size)
{
	char *kept = t->len > 0 ? malloc(t->len + 1) : NULL;

	if (kept) {
		memcpy(kept, t->bytes, t->len);
		kept[t->len] = '\0';
		*ret_size = t->len + 1;
	}
	return kept;
}

size_t dpi_texts_size(const char *kept)
{
	const char *at = kept;

	while (*at)
		at += strlen(at) + 1;
	return (size_t)(at - kept) + 1;
}

void dpi_texts_show(const char *kept, const char *text[FLOW_TEXTS])
{
	for (const char *at = kept; *at; at += strlen(at) + 1)
		text[*at - 1] = at + 1;
}

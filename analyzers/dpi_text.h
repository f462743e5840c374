// SPDX-License-Identifier: Apache-2.0
// The names of one flow, collected into one piece of memory. What comes out of packets is made safe to show here, once:
// printable ASCII stays, every other byte and the backslash become \xNN.
#pragma once

#include "sealtap/flow.h"

#define DPI_TEXT_MAX 400u // of one name, as shown; what is longer is cut

struct dpi_texts {
	char bytes[FLOW_TEXTS * (DPI_TEXT_MAX + 2)]; // of each: 1 + enum flow_text, the text, 0
	size_t len;
};

// Nothing when text is NULL or empty.
void dpi_text_add(struct dpi_texts *t, enum flow_text which, const char *text);
// A malloc'ed copy, to be freed; NULL when there are none, or no memory. *ret_size is what it takes.
char *dpi_texts_keep(const struct dpi_texts *t, size_t *ret_size);
size_t dpi_texts_size(const char *kept);
void dpi_texts_show(const char *kept, const char *text[FLOW_TEXTS]);

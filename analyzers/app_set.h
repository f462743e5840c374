// SPDX-License-Identifier: Apache-2.0
// Applications by name, for asking flow after flow whether it is one of them. Names are those that dpi_describe gives:
// a protocol or an application such as "HTTP" and "YouTube", or both as in "TLS.YouTube"; letter case does not count.
#pragma once

#include "analyzers/dpi.h"

#define APP_SET_MAX 16u

struct app_set {
	unsigned count;
	struct {
		uint16_t carrier; // 0: any, or none
		uint16_t proto;
	} app[APP_SET_MAX];
};

// The number of a name, or -1: the library has none such.
int app_find(struct dpi *dpi, const char *name, size_t len);
// Of a list with commas between. The length of the first name that is none, or that is one too many, which *ret_name
// then points to; those behind it are in the set all the same. 0: all are.
size_t app_set_read(struct app_set *s, struct dpi *dpi, const char *list, const char **ret_name);
// What is known of the flow by now.
bool app_set_has(const struct app_set *s, const struct flow *flow);

// SPDX-License-Identifier: Apache-2.0
#include "analyzers/app_set.h"

#include <string.h>
#include <strings.h>

int app_find(struct dpi *dpi, const char *name, size_t len)
{
	for (unsigned i = 0; i < DPI_APPS_MAX; i++) {
		const char *known = dpi_app_name(dpi, i);

		if (known && strlen(known) == len && strncasecmp(known, name, len) == 0)
			return (int)i;
	}
	return -1;
}

// 0 is the number of what is not known, and no application.
static bool add(struct app_set *s, struct dpi *dpi, const char *name, size_t len)
{
	const char *point = memchr(name, '.', len);
	int carrier = 0, proto = app_find(dpi, name, len);

	if (proto < 0 && point) {
		carrier = app_find(dpi, name, (size_t)(point - name));
		proto = app_find(dpi, point + 1, len - (size_t)(point + 1 - name));
		if (carrier == 0)
			return false;
	}
	if (proto <= 0 || carrier < 0 || s->count == APP_SET_MAX)
		return false;
	s->app[s->count].carrier = (uint16_t)carrier;
	s->app[s->count++].proto = (uint16_t)proto;
	return true;
}

size_t app_set_read(struct app_set *s, struct dpi *dpi, const char *list, const char **ret_name)
{
	size_t failed = 0;

	s->count = 0;
	for (const char *at = list;; at++) {
		const size_t len = strcspn(at, ",");

		if (!add(s, dpi, at, len) && failed == 0) {
			*ret_name = at;
			failed = len > 0 ? len : 1;
		}
		at += len;
		if (*at == '\0')
			return failed;
	}
}

bool app_set_has(const struct app_set *s, const struct flow *f)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->app[i].carrier ? f->app_master == s->app[i].carrier && f->app_proto == s->app[i].proto
		                      : f->app_master == s->app[i].proto || f->app_proto == s->app[i].proto)
			return true;
	}
	return false;
}

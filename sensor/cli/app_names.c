// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/app_names.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NEAR_MAX 5u
#define NAME_MAX_LEN 31u // longer ones are not compared

static bool knows(struct dpi *dpi, const char *name, size_t len)
{
	// What `flows` shows for flows that nobody could tell.
	return (len == 6 && strncasecmp("failed", name, len) == 0) || app_find(dpi, name, len) >= 0;
}

// Levenshtein's distance, whatever the letters' case.
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_LEN + 1];
	size_t len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < len; j++) {
			const unsigned same = corner + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
			const unsigned least = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			corner = row[j + 1];
			row[j + 1] = same < least ? same : least;
		}
	}
	return row[len];
}

// How unlike they are, UINT32_MAX: too much to be worth a word.
static unsigned unlike(const char *known, const char *name)
{
	const size_t a = strlen(known), b = strlen(name);
	unsigned d;

	if (a > NAME_MAX_LEN || b > NAME_MAX_LEN)
		return UINT32_MAX;
	if (a > 2 && b > 2 && (strcasestr(known, name) || strcasestr(name, known)))
		return 1;
	d = distance(known, name);
	return d <= 1 + b / 3 && d < b ? d : UINT32_MAX;
}

static void find_near(struct dpi *dpi, const char *name, char near[APP_NAMES_NEAR_LEN])
{
	const char *best[NEAR_MAX] = {NULL};
	unsigned how[NEAR_MAX] = {0}, count = 0, at;
	size_t len = 0;

	for (unsigned i = 0; i < DPI_APPS_MAX; i++) {
		const char *known = dpi_app_name(dpi, i);
		const unsigned d = known ? unlike(known, name) : UINT32_MAX;

		if (d == UINT32_MAX || (count == NEAR_MAX && how[NEAR_MAX - 1] <= d))
			continue;
		for (at = count < NEAR_MAX ? count++ : NEAR_MAX - 1; at > 0 && how[at - 1] > d; at--) {
			best[at] = best[at - 1];
			how[at] = how[at - 1];
		}
		best[at] = known;
		how[at] = d;
	}
	for (unsigned i = 0; i < count && len + strlen(best[i]) + 3 < APP_NAMES_NEAR_LEN; i++)
		len += (size_t)snprintf(near + len, APP_NAMES_NEAR_LEN - len, "%s%s", i > 0 ? ", " : "", best[i]);
}

bool app_names_known(struct dpi *dpi, const char *name, char near[APP_NAMES_NEAR_LEN])
{
	const char *point = strchr(name, '.'), *last = name;

	near[0] = '\0';
	if (knows(dpi, name, strlen(name)))
		return true;
	if (point) {
		last = point + 1;
		if (knows(dpi, name, (size_t)(point - name)) && knows(dpi, last, strlen(last)))
			return true;
	}
	find_near(dpi, last, near);
	return false;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTIONS_MAX 96
#define OPTION_FIRST 1024 // above every letter and every value of a table

int cli_fail(int code, const char *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "sealtap %s: ", verb);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int cli_option(int argc, char **argv, const char *letters, const struct option *options, int *ret_at)
{
	struct option each[OPTIONS_MAX] = {{0}};
	int c, n;

	for (n = 0; options[n].name; n++) {
		assert(n < OPTIONS_MAX - 1);
		each[n] = options[n];
		each[n].val = OPTION_FIRST + n; // else it takes the first of those that have the same one
	}
	c = getopt_long(argc, argv, letters, each, ret_at);
	if (c < OPTION_FIRST)
		return c;
	*ret_at = c - OPTION_FIRST;
	return options[*ret_at].val;
}

int cli_data_dir(char *out, unsigned long size)
{
	const char *own = getenv("SEALTAP_HOME"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n;

	if (own && own[0])
		n = snprintf(out, size, "%s", own);
	else if (geteuid() == 0)
		n = snprintf(out, size, "/var/lib/sealtap");
	else if (xdg && xdg[0] == '/')
		n = snprintf(out, size, "%s/sealtap", xdg);
	else if (home && home[0])
		n = snprintf(out, size, "%s/.local/share/sealtap", home);
	else
		return -ENOENT;
	return n < 0 || (unsigned long)n >= size ? -ENAMETOOLONG : 0;
}

int cli_cache_dir(char *out, unsigned long size)
{
	const char *own = getenv("SEALTAP_HOME"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	if (own && own[0])
		n = snprintf(out, size, "%s/cache", own);
	else if (geteuid() == 0)
		n = snprintf(out, size, "/var/cache/sealtap");
	else if (xdg && xdg[0] == '/')
		n = snprintf(out, size, "%s/sealtap", xdg);
	else if (home && home[0])
		n = snprintf(out, size, "%s/.cache/sealtap", home);
	else
		return -ENOENT;
	return n < 0 || (unsigned long)n >= size ? -ENAMETOOLONG : 0;
}

int cli_make_dirs(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/moment.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

// Exactly `count` digits, or as many as there are up to 18 when count is 0.
static bool number(const char **at, int count, int64_t *ret_value)
{
	int64_t value = 0;
	int n = 0;

	for (; n < (count ? count : 18) && **at >= '0' && **at <= '9'; n++)
		value = 10 * value + *(*at)++ - '0';
	*ret_value = value;
	return count ? n == count : n > 0;
}

static bool literal(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool fraction(const char **at, int64_t *ret_ns)
{
	int64_t unit = 100000000;

	*ret_ns = 0;
	if (!literal(at, '.'))
		return true;
	if (**at < '0' || **at > '9')
		return false;
	for (; unit > 0 && **at >= '0' && **at <= '9'; unit /= 10)
		*ret_ns += unit * (*(*at)++ - '0');
	return true;
}

static bool date_and_time(const char **at, int64_t *ret_seconds)
{
	int64_t year, month, day, hour, minute, second;
	struct tm tm;

	if (!number(at, 4, &year) || !literal(at, '-') || !number(at, 2, &month) || !literal(at, '-') ||
	        !number(at, 2, &day) || (!literal(at, 'T') && !literal(at, 't') && !literal(at, ' ')) ||
	        !number(at, 2, &hour) || !literal(at, ':') || !number(at, 2, &minute) || !literal(at, ':') ||
	        !number(at, 2, &second))
		return false;
	tm = (struct tm){.tm_year = (int)year - 1900,
	        .tm_mon = (int)month - 1,
	        .tm_mday = (int)day,
	        .tm_hour = (int)hour,
	        .tm_min = (int)minute,
	        .tm_sec = (int)second};
	if (year < 1970 || hour > 23 || minute > 59 || second > 60)
		return false;
	*ret_seconds = timegm(&tm); // which turns a day that there is not into another one
	return tm.tm_mday == day && tm.tm_mon == month - 1;
}

static bool zone(const char **at, int64_t *ret_seconds)
{
	int64_t hours, minutes;
	int sign;

	*ret_seconds = 0;
	if (literal(at, 'Z') || literal(at, 'z'))
		return true;
	sign = literal(at, '+') ? 1 : literal(at, '-') ? -1 : 0;
	if (!sign || !number(at, 2, &hours) || !literal(at, ':') || !number(at, 2, &minutes) || hours > 23 ||
	        minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int moment_parse(const char *text, uint64_t *ret_ns)
{
	const char *at = text;
	int64_t seconds, offset = 0, ns;
	bool dated = true;

	if (!date_and_time(&at, &seconds)) {
		dated = false;
		at = text;
		if (!number(&at, 0, &seconds))
			return -EINVAL;
	}
	if (!fraction(&at, &ns) || (dated && !zone(&at, &offset)) || *at != '\0')
		return -EINVAL;
	seconds -= offset;
	if (seconds < 0 || (uint64_t)seconds > (UINT64_MAX - 999999999) / 1000000000)
		return -EINVAL;
	*ret_ns = (uint64_t)seconds * 1000000000 + (uint64_t)ns;
	return 0;
}

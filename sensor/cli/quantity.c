// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/quantity.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *digits(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *text - '0', &value))
			return NULL;
	*ret_value = value;
	return text;
}

int quantity_count(const char *text, uint64_t *ret_value)
{
	const char *end = digits(text, ret_value);

	return end && *end == '\0' ? 0 : -EINVAL;
}

int quantity_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	uint64_t value;
	const char *unit = digits(text, &value), *at;

	if (!unit || unit[0] == '\0' || unit[1] != '\0' || !(at = strchr(units, unit[0])))
		return -EINVAL;
	return __builtin_mul_overflow(value, 1024ULL << (10 * (at - units)), ret_bytes) ? -EINVAL : 0;
}

int quantity_time(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"", 1000000000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
	        {"d", 86400000000000}};
	uint64_t value;
	const char *unit = digits(text, &value);

	for (size_t i = 0; unit && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].unit, unit) == 0)
			return __builtin_mul_overflow(value, units[i].ns, ret_ns) ? -EINVAL : 0;
	return -EINVAL;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/core_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// At most four digits, so that nothing overflows. NULL when there is no number of a core.
static const char *core(const char *text, unsigned *ret_core)
{
	unsigned n = 0, digits = 0;

	for (; *text >= '0' && *text <= '9' && digits < 5; text++, digits++)
		n = n * 10 + (unsigned)(*text - '0');
	*ret_core = n;
	return digits && n < CPU_SETSIZE ? text : NULL;
}

int core_list_parse(const char *text, cpu_set_t *ret_set)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (;;) {
		unsigned first, last;

		text = core(text, &first);
		if (!text)
			return -EINVAL;
		last = first;
		if (*text == '-')
			text = core(text + 1, &last);
		if (!text || last < first)
			return -EINVAL;
		for (; first <= last; first++)
			CPU_SET(first, &set);
		if (*text == '\0')
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*ret_set = set;
	return 0;
}

void core_list_text(const cpu_set_t *set, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (int first = 0, last; first < CPU_SETSIZE; first = last + 1) {
		char range[16];
		int len;

		last = first;
		if (!CPU_ISSET(first, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		len = snprintf(range, sizeof(range), first == last ? "%s%d" : "%s%d-%d", used ? "," : "", first, last);
		if (used + (size_t)len >= size)
			return;
		used += (size_t)snprintf(out + used, size - used, "%s", range);
	}
}

int core_list_allowed(cpu_set_t *ret_set)
{
	return sched_getaffinity(0, sizeof(*ret_set), ret_set) < 0 ? -errno : 0;
}

int core_list_missing(const cpu_set_t *set, const cpu_set_t *within)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, set) && !CPU_ISSET(i, within))
			return i;
	return -1;
}

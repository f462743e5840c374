// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "sensor/sources/drivers.h"

const struct live_driver *live_driver_find(const char *name)
{
	for (const struct live_driver *d = live_drivers; d->name; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

const char *live_driver_names(void)
{
	static char names[128];
	size_t used = 0;

	for (const struct live_driver *d = live_drivers; d->name; d++)
		used += (size_t)snprintf(
		        names + used, sizeof(names) - used, "%s%s", d == live_drivers ? "" : ", ", d->name);
	return names;
}

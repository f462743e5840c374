// SPDX-License-Identifier: Apache-2.0
#include "sensor/sources/drivers.h"

#include <stdio.h>
#include <string.h>

static const struct live_driver drivers[] = {
        {"afpacket", source_afpacket_open},
};

const struct live_driver *live_driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

const char *live_driver_names(void)
{
	static char names[128];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", drivers[i].name);
	return names;
}

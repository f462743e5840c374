// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
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

int live_driver_check(const struct live_driver *d, const struct source_live_config *config, struct error *e)
{
	if (config->tap == TAP_COPY && !(d->tap & TAP_COPY))
		return error_set(e, -ENOTSUP,
		        "interface %s: driver %s takes frames from the network stack, it cannot copy them; use "
		        "--driver afpacket or pcap, or --tap take",
		        config->interface, d->name);
	if (config->tap == TAP_TAKE && !(d->tap & TAP_TAKE))
		return error_set(e, -ENOTSUP,
		        "interface %s: driver %s gets copies of frames, it cannot keep them from the network stack; "
		        "use --driver xdp or dpdk, or --tap copy",
		        config->interface, d->name);
	if (config->busy_poll && !d->busy_polls)
		return error_set(e, -ENOTSUP,
		        "interface %s: driver %s waits for the kernel's word, it has no busy poll; use --driver xdp "
		        "or dpdk, or leave --busy-poll out",
		        config->interface, d->name);
	if (config->nic_time && !d->nic_time)
		return error_set(e, -ENOTSUP,
		        "interface %s: --time nic is for afpacket and xdp; dpdk takes the NIC's time by itself where "
		        "there is one, pcap has the kernel's; leave --time out",
		        config->interface);
	return 0;
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

// SPDX-License-Identifier: Apache-2.0
// The interface and what rewrites frames between the wire and the recorder.
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sensor/doctor/doctor.h"

static int ethtool(const struct doctor *d, void *command)
{
	struct ifreq ifr = {.ifr_data = command};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", d->interface);
	return ioctl(d->fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

void link_check(struct doctor *d)
{
	static const char why[] = "a link that is down records nothing";
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {0};
	char path[128], line[32];

	snprintf(d->driver, sizeof(d->driver), "%s", ethtool(d, &info) < 0 ? "unknown" : info.driver);
	snprintf(path, sizeof(path), "/sys/class/net/%s/speed", d->interface);
	d->link_mbit = doctor_read_line(path, line, sizeof(line)) < 0 ? -1 : strtoll(line, NULL, 10);
	if (d->link_mbit <= 0)
		d->link_mbit = -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", d->interface);
	if (ioctl(d->fd, SIOCGIFFLAGS, &ifr) < 0)
		finding_add(d, "link", FINDING_UNKNOWN, why, "its state cannot be read: %s", strerror(errno));
	else if (!(ifr.ifr_flags & IFF_UP))
		finding_mend(finding_add(d, "link", FINDING_BAD, why, "%s is down", d->interface),
		        "ip link set dev %s up", d->interface);
	else if (!(ifr.ifr_flags & IFF_RUNNING))
		finding_add(
		        d, "link", FINDING_WARN, why, "%s is up without a carrier: look at the cable", d->interface);
	else if (d->link_mbit < 0)
		finding_add(d, "link", FINDING_OK, why, "up, driver %s, speed not told", d->driver);
	else
		finding_add(
		        d, "link", FINDING_OK, why, "up, driver %s, %lld Mbit/s", d->driver, (long long)d->link_mbit);
}

static void offload(struct doctor *d, const char *name, const char *key, uint32_t command, uint32_t mask,
        enum finding_state when_on, const char *why)
{
	struct ethtool_value v = {.cmd = command};
	int r = ethtool(d, &v);

	if (r < 0)
		finding_add(d, name, FINDING_UNKNOWN, why, "cannot be read: %s", strerror(-r));
	else if (!(v.data & mask))
		finding_add(d, name, FINDING_OK, why, "off");
	else
		finding_mend(finding_add(d, name, when_on, why, "on"), "ethtool -K %s %s off", d->interface, key);
}

void offload_check(struct doctor *d)
{
	offload(d, "gro", "gro", ETHTOOL_GGRO, 1, FINDING_BAD,
	        "merges frames before anybody can record them: their number, sizes and times are lost");
	offload(d, "lro", "lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO, FINDING_BAD,
	        "the card merges frames: their number, sizes, times and some headers are lost");
	offload(d, "rx-vlan-offload", "rxvlan", ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN, FINDING_WARN,
	        "tags are taken out of frames; afpacket and pcap put them back, xdp can only where the driver tells "
	        "them");
	offload(d, "tso", "tso", ETHTOOL_GTSO, 1, FINDING_WARN,
	        "what this machine itself sends is recorded before the card cuts it into frames");
}

// SPDX-License-Identifier: Apache-2.0
// Who has the card: the kernel's network, as afpacket, pcap and xdp need it, or a driver that leaves it to DPDK.
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sensor/doctor/doctor.h"

#define NETWORK_CLASS "0x02"

bool doctor_pci_address(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s", name);
	return strlen(name) <= 16 && !strchr(name, '/') && strchr(name, ':') && access(path, F_OK) == 0;
}

static void bound_to(const char *address, char *out, size_t size)
{
	char path[64], target[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/driver", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		n = 0;
	target[n] = '\0';
	snprintf(out, size, "%s", n ? basename(target) : "");
}

static bool iommu(void)
{
	DIR *dir = opendir("/sys/kernel/iommu_groups");
	struct dirent *entry;
	bool any = false;

	while (dir && !any && (entry = readdir(dir)))
		any = entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return any;
}

// The operator named a PCI address, which only DPDK takes.
static void for_dpdk(struct doctor *d)
{
	static const char why[] = "DPDK drives a card by itself: the kernel must have let go of it";
	char path[64], class[32];

	bound_to(d->interface, d->driver, sizeof(d->driver));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/class", d->interface);
	if (doctor_read_line(path, class, sizeof(class)) < 0 || strncmp(class, NETWORK_CLASS, 4) != 0)
		finding_mend(finding_add(d, "dpdk-binding", FINDING_BAD, why, "%s is no network card", d->interface),
		        "dpdk-devbind.py --status-dev net");
	else if (strcmp(d->driver, "vfio-pci") == 0 && iommu())
		finding_add(d, "dpdk-binding", FINDING_OK, why, "bound to vfio-pci, behind an IOMMU");
	else if (strcmp(d->driver, "vfio-pci") == 0 || strcmp(d->driver, "uio_pci_generic") == 0 ||
	         strcmp(d->driver, "igb_uio") == 0)
		finding_mend(
		        finding_add(d, "dpdk-binding", FINDING_WARN, why,
		                "bound to %s without an IOMMU: the card may write anywhere into memory", d->driver),
		        "boot with intel_iommu=on or amd_iommu=on, then dpdk-devbind.py --bind=vfio-pci %s",
		        d->interface);
	else
		finding_mend(finding_add(d, "dpdk-binding", FINDING_BAD, why, "bound to %s",
		                     d->driver[0] ? d->driver : "no driver"),
		        "modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s", d->interface);
}

void pci_check(struct doctor *d)
{
	static const char why[] =
	        "afpacket, pcap and xdp need the kernel's driver, DPDK one that leaves the card alone";
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {.ifr_data = (void *)&info};

	if (d->pci) {
		for_dpdk(d);
		return;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", d->interface);
	if (ioctl(d->fd, SIOCETHTOOL, &ifr) < 0 || !doctor_pci_address(info.bus_info))
		finding_add(d, "dpdk-binding", FINDING_OK, why,
		        "no PCI card; DPDK would have it as net_af_packet0,iface=%s", d->interface);
	else
		finding_add(d, "dpdk-binding", FINDING_OK, why,
		        "the kernel's, by driver %.31s; for DPDK: doctor -i %.16s", info.driver, info.bus_info);
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/machine.h"

#include <linux/ethtool.h>
#include <linux/mempolicy.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sensor/ipc/core_list.h"

#define NODES_MAX 64

static bool read_line(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got = file && fgets(out, (int)size, file);

	if (file)
		fclose(file);
	if (got)
		out[strcspn(out, "\n")] = '\0';
	return got;
}

// By ioctl, which asks in the network namespace that we are in; /sys may show another one.
static bool ethtool(const char *interface, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	int fd, r;

	if (strlen(interface) >= sizeof(ifr.ifr_name))
		return false;
	strcpy(ifr.ifr_name, interface);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	r = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return r == 0;
}

uint64_t machine_link_mbit(const char *interface)
{
	struct ethtool_cmd link = {.cmd = ETHTOOL_GSET};
	uint32_t mbit;

	if (!ethtool(interface, &link))
		return 0;
	mbit = ethtool_cmd_speed(&link);
	return mbit == (uint32_t)SPEED_UNKNOWN ? 0 : mbit;
}

int machine_node(const char *interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	char path[128], line[32];
	const char *address = ethtool(interface, &info) ? info.bus_info : interface;
	int node;

	if (access("/sys/devices/system/node/node1", F_OK) < 0 || strchr(address, '/') || address[0] == '.')
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/numa_node", address);
	if (!read_line(path, line, sizeof(line)))
		return -1;
	node = atoi(line);
	return node >= 0 && node < NODES_MAX ? node : -1;
}

bool machine_node_cores(int node, cpu_set_t *ret_set)
{
	char path[64], line[1024];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	return node >= 0 && read_line(path, line, sizeof(line)) && core_list_parse(line, ret_set) == 0;
}

void machine_prefer(int node)
{
	unsigned long nodes = node >= 0 ? 1UL << node : 0;

	syscall(SYS_set_mempolicy, node >= 0 ? MPOL_PREFERRED : MPOL_DEFAULT, node >= 0 ? &nodes : NULL,
	        node >= 0 ? NODES_MAX + 1 : 0);
}

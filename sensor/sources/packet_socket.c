// SPDX-License-Identifier: Apache-2.0
#include "sensor/sources/packet_socket.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// The first is reserved by IEEE, the second not assigned: a socket bound to them receives nothing.
#define ETH_P_NOTHING 0xFFFF
#define ETH_P_NOTHING_EITHER 0xFFFE

int packet_socket_open(const char *interface, int *ret_fd, struct error *e)
{
	int r;

	*ret_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*ret_fd >= 0)
		return 0;
	r = -errno;
	return error_set(e, r, "interface %s: no packet socket: %s; %s", interface, strerror(-r),
	        r == -EPERM ? "capture needs CAP_NET_RAW: run as root (sudo)"
	                    : "the kernel needs AF_PACKET (modprobe af_packet)");
}

int packet_socket_bind(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};

	return bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0 ? -errno : 0;
}

int packet_socket_filter(int fd, struct sock_filter *code, unsigned short len)
{
	struct sock_fprog prog = {.len = len, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}

int packet_socket_refuse(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

	return packet_socket_filter(fd, code, 1);
}

int packet_fence_open(const char *interface, int *ret_fd, struct error *e)
{
	int r = packet_socket_open(interface, ret_fd, e);

	if (r < 0)
		return r;
	r = packet_socket_bind(*ret_fd, 0, ETH_P_NOTHING);
	return r < 0 ? error_set(e, r, "interface %s: bind: %s", interface, strerror(-r)) : 0;
}

void packet_fence_wait(int fd)
{
	packet_socket_bind(fd, 0, ETH_P_NOTHING_EITHER);
}

static const char *state(int fd, struct ifreq *ifr, uint32_t command, uint32_t mask)
{
	struct ethtool_value v = {.cmd = command};

	ifr->ifr_data = (void *)&v;
	return ioctl(fd, SIOCETHTOOL, ifr) < 0 ? "unknown" : v.data & mask ? "on" : "off";
}

void packet_socket_offloads(int fd, const char *interface, char *out, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	ifr.ifr_data = (void *)&info;
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		snprintf(info.driver, sizeof(info.driver), "unknown");
	snprintf(out, size, "driver %.31s, gro %s, lro %s, tso %s, rxvlan %s", info.driver,
	        state(fd, &ifr, ETHTOOL_GGRO, 1), state(fd, &ifr, ETHTOOL_GFLAGS, ETH_FLAG_LRO),
	        state(fd, &ifr, ETHTOOL_GTSO, 1), state(fd, &ifr, ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN));
}

// SPDX-License-Identifier: Apache-2.0
// The packet sockets beneath net_af_packet: DPDK 22.11 neither reads what the kernel dropped there nor says that
// the interface went away, and it cannot stop intake. Finds them among this process's descriptors before any thread of
// ours runs; later used by the RX thread.
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/sources/dpdk.h"

#define FDS_MAX 4096

static bool is_packet_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_PACKET;
}

void dpdk_fds_before(struct dpdk_fds *before)
{
	for (int fd = 0; fd < FDS_MAX; fd++) {
		if (fd % 64 == 0)
			before->seen[fd / 64] = 0;
		if (is_packet_socket(fd))
			before->seen[fd / 64] |= 1ULL << fd % 64;
	}
}

unsigned dpdk_fds_packet_sockets(const struct dpdk_fds *before, int *ret_fds, unsigned max)
{
	unsigned n = 0;

	for (int fd = 0; fd < FDS_MAX && n < max; fd++)
		if (!(before->seen[fd / 64] >> fd % 64 & 1) && is_packet_socket(fd))
			ret_fds[n++] = fd;
	return n;
}

int dpdk_kernel_promiscuous(unsigned ifindex)
{
	struct packet_mreq mreq = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == 0)
		return 0; // stays open as long as the process lives
	r = -errno;
	close(fd);
	return r;
}

int dpdk_kernel_stats(int fd, uint64_t *received, uint64_t *dropped)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	// Reading resets the kernel's 32-bit counters; tp_packets holds the dropped ones too.
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) < 0)
		return -errno;
	*received += st.tp_packets;
	*dropped += st.tp_drops;
	return 0;
}

int dpdk_kernel_link(int fd)
{
	struct sockaddr_ll sll = {0};
	socklen_t len = sizeof(sll);
	int err = 0;

	// After the interface is removed (or moved to another namespace) the kernel has set the socket's index to -1.
	if (getsockname(fd, (struct sockaddr *)&sll, &len) == 0 && sll.sll_ifindex == -1)
		return -ENODEV;
	len = sizeof(err);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) // reading takes the error away
		return -errno;
	return -err;
}

void dpdk_kernel_cut(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog none = {.len = 1, .filter = code};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &none, sizeof(none));
}

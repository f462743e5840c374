// SPDX-License-Identifier: Apache-2.0
// What the AF_XDP sockets of an interface have lost, such as those of a capture that runs: asked of the kernel
// (NETLINK_SOCK_DIAG, net/xdp/xsk_diag.c), which tells it of every process's.
#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/doctor/doctor.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#define ANSWERS_MAX 4096 // datagrams; a socket takes about 200 bytes

struct sum {
	unsigned sockets, zero_copy;
	uint64_t dropped, ring_full, fill_empty;
};

static const void *attribute(const struct nlmsghdr *h, unsigned type, size_t size)
{
	const uint8_t *at = (const uint8_t *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct xdp_diag_msg));
	size_t left = h->nlmsg_len - NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct xdp_diag_msg)));

	while (left >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)at;
		size_t whole = NLA_ALIGN((size_t)a->nla_len);

		if (a->nla_len < sizeof(*a) || a->nla_len > left)
			return NULL;
		if (a->nla_type == type)
			return a->nla_len >= NLA_HDRLEN + size ? at + NLA_HDRLEN : NULL;
		if (whole >= left)
			return NULL;
		at += whole;
		left -= whole;
	}
	return NULL;
}

static void take(const struct nlmsghdr *h, unsigned index, struct sum *sum)
{
	struct xdp_diag_info info;
	struct xdp_diag_umem umem;
	struct xdp_diag_stats stats;
	const void *a;

	if (h->nlmsg_len < NLMSG_LENGTH(NLMSG_ALIGN(sizeof(struct xdp_diag_msg))))
		return;
	a = attribute(h, XDP_DIAG_INFO, sizeof(info));
	if (!a)
		return;
	memcpy(&info, a, sizeof(info));
	if (info.ifindex != index)
		return;
	sum->sockets++;
	a = attribute(h, XDP_DIAG_UMEM, sizeof(umem));
	if (a) {
		memcpy(&umem, a, sizeof(umem));
		sum->zero_copy += (umem.flags & XDP_DU_F_ZEROCOPY) != 0;
	}
	a = attribute(h, XDP_DIAG_STATS, sizeof(stats)); // Linux 5.9
	if (a) {
		memcpy(&stats, a, sizeof(stats));
		sum->dropped += stats.n_rx_dropped;
		sum->ring_full += stats.n_rx_full;
		sum->fill_empty += stats.n_fill_ring_empty;
	}
}

// 1 at the end of the answers, 0 when more are to come, or a negative errno.
static int take_answer(uint8_t *buffer, ssize_t got, unsigned index, struct sum *sum)
{
	int left = (int)got;

	for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, (unsigned)left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(int)) ? -EPROTO : *(int *)NLMSG_DATA(h);
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			take(h, index, sum);
	}
	return 0;
}

static int ask(unsigned index, struct sum *sum)
{
	struct {
		struct nlmsghdr head;
		struct xdp_diag_req want;
	} request = {.head = {.nlmsg_len = sizeof(request),
	                     .nlmsg_type = SOCK_DIAG_BY_FAMILY,
	                     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	        .want = {.sdiag_family = AF_XDP, .xdiag_show = XDP_SHOW_INFO | XDP_SHOW_UMEM | XDP_SHOW_STATS}};
	_Alignas(struct nlmsghdr) uint8_t buffer[16384];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), r = 0;

	if (fd < 0)
		return -errno;
	if (send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		r = -errno;
	for (int i = 0; r == 0 && i < ANSWERS_MAX; i++) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

		r = got < 0 ? -errno : take_answer(buffer, got, index, sum);
	}
	close(fd);
	return r < 0 ? r : 0;
}

void xdp_socket_check(struct doctor *d)
{
	static const char name[] = "xdp-sockets";
	static const char why[] =
	        "a frame that finds no free chunk or a full ring is lost: the RX thread came too late "
	        "(--rx-cores, --ring), or the frame is longer than a chunk";
	struct sum s = {0};
	int r = ask(if_nametoindex(d->interface), &s);

	if (r < 0)
		finding_add(d, name, FINDING_UNKNOWN, why, "the kernel does not tell of AF_XDP sockets (xsk_diag): %s",
		        strerror(-r));
	else if (s.sockets == 0)
		finding_add(d, name, FINDING_OK, why, "no AF_XDP socket is on it");
	else if (s.dropped || s.ring_full)
		finding_add(d, name, FINDING_WARN, why,
		        "%u sockets (%u zero-copy) since they were opened: dropped %" PRIu64 ", ring full %" PRIu64
		        ", fill ring empty %" PRIu64 " times",
		        s.sockets, s.zero_copy, s.dropped, s.ring_full, s.fill_empty);
	else if (s.fill_empty)
		finding_add(d, name, FINDING_WARN, why,
		        "%u sockets (%u zero-copy) have lost nothing, but their fill ring was empty %" PRIu64
		        " times: what the card lost for it stands in `ip -s -s link show %s`, missed",
		        s.sockets, s.zero_copy, s.fill_empty, d->interface);
	else
		finding_add(d, name, FINDING_OK, why, "%u sockets (%u zero-copy) have lost nothing", s.sockets,
		        s.zero_copy);
}

// SPDX-License-Identifier: Apache-2.0
// Opens what the link watch needs, and says what each interface is. Before the sandbox: it takes sockets and ioctl.
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/recorder/clock.h"
#include "sensor/recorder/link_private.h"
#include "sensor/sources/drivers.h"

#define EVENT_BUFFER_BYTES (1 << 20)

static int open_socket(int protocol, uint32_t group, int *ret_fd)
{
	struct sockaddr_nl none = {.nl_family = AF_NETLINK};
	int size = EVENT_BUFFER_BYTES, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&none, sizeof(none)) < 0 ||
	        (group && setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)) {
		r = -errno;
		close(fd);
		return r;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)); // refused: the kernel's default will do
	*ret_fd = fd;
	return 0;
}

// The family and its notifications. A kernel before 5.6 has none: queues and offloads are then not watched.
static void open_ethtool(struct link_watch *w)
{
	struct link_request a = {.h.nlmsg_type = GENL_ID_CTRL,
	        .family = {.g = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
	                .name_head = {.nla_len = NLA_HDRLEN + sizeof(ETHTOOL_GENL_NAME),
	                        .nla_type = CTRL_ATTR_FAMILY_NAME},
	                .name = ETHTOOL_GENL_NAME}};
	struct link_message m;
	uint32_t group;

	if (open_socket(NETLINK_GENERIC, 0, &w->ask_ethtool_fd) < 0)
		return;
	if (link_ask(w, w->ask_ethtool_fd, &a, sizeof(a.family), &m) < 0 ||
	        !link_family_take(&m, ETHTOOL_MCGRP_MONITOR_NAME, &w->ethtool_family, &group) || group == 0)
		return;
	if (open_socket(NETLINK_GENERIC, group, &w->ethtool_fd) < 0)
		w->ethtool_fd = -1;
}

static int ethtool_ioctl(int fd, const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

// The call is made twice: the first answer says how many words of link modes follow.
static uint32_t link_mbit(int fd, const char *name)
{
	union {
		struct ethtool_link_settings h;
		uint8_t space[sizeof(struct ethtool_link_settings) + 3 * 127 * sizeof(uint32_t)];
	} s = {.h = {.cmd = ETHTOOL_GLINKSETTINGS}};

	if (ethtool_ioctl(fd, name, &s) < 0 || s.h.link_mode_masks_nwords >= 0)
		return (uint32_t)SPEED_UNKNOWN;
	s.h.cmd = ETHTOOL_GLINKSETTINGS;
	s.h.link_mode_masks_nwords = (int8_t)-s.h.link_mode_masks_nwords;
	return ethtool_ioctl(fd, name, &s) < 0 ? (uint32_t)SPEED_UNKNOWN : s.h.speed;
}

static void describe(struct link *l)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *name = l->told.name;
	char speed[32] = "speed not told", bus[48] = "", firmware[48] = "", rings[48] = "", queues[32] = "";
	uint32_t mbit = link_mbit(fd, name);

	if (mbit != 0 && mbit != (uint32_t)SPEED_UNKNOWN)
		snprintf(speed, sizeof(speed), "%u Mbit/s", mbit);
	if (ethtool_ioctl(fd, name, &info) == 0) {
		if (info.bus_info[0])
			snprintf(bus, sizeof(bus), ", bus %.32s", info.bus_info);
		if (info.fw_version[0])
			snprintf(firmware, sizeof(firmware), ", firmware %.32s", info.fw_version);
	}
	if (ethtool_ioctl(fd, name, &ring) == 0)
		snprintf(rings, sizeof(rings), ", rx ring %u of %u", ring.rx_pending, ring.rx_max_pending);
	if (l->queues_known)
		snprintf(queues, sizeof(queues), ", rx queues %u", l->queues);
	snprintf(l->detail, sizeof(l->detail), "%s%s%s%s%s, MTU %u", speed, bus, firmware, rings, queues, l->told.mtu);
	if (fd >= 0)
		close(fd);
}

const char *link_detail(const struct link_watch *w, unsigned source)
{
	return w->link[source].detail;
}

static int open_links(struct link_watch *w, const struct job *job, struct error *e)
{
	int r = open_socket(NETLINK_ROUTE, RTNLGRP_LINK, &w->event_fd);

	if (r == 0)
		r = open_socket(NETLINK_ROUTE, 0, &w->ask_fd);
	if (r == 0)
		w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && w->wake_fd < 0)
		r = -errno;
	if (r < 0)
		return error_set(
		        e, r, "cannot watch the interfaces: netlink: %s; the kernel needs CONFIG_NET", strerror(-r));
	open_ethtool(w);
	for (unsigned i = 0; i < w->count; i++) {
		struct link *l = &w->link[i];
		int index;

		if (!l->index)
			continue;
		r = link_ask_state(w, l->index, NULL, &index, &l->told);
		if (r < 0)
			return error_set(
			        e, r, "interface %s: its state cannot be read: %s", job->source[i].name, strerror(-r));
		memcpy(l->last, l->told.nic, sizeof(l->last));
		atomic_store(&l->nic_known, l->told.has_nic);
		l->may_tell = LINK_TELL_BURST;
		l->tell_at_ns = monotonic_ns();
		link_read_ethtool(w, l);
		describe(l);
	}
	return 0;
}

int link_watch_new(const struct job *job, struct link_watch **ret_watch, struct error *e)
{
	const struct live_driver *driver = job->kind == JOB_CAPTURE ? live_driver_find(job->driver) : NULL;
	struct link_watch *w = calloc(1, sizeof(*w) + job->source_count * sizeof(w->link[0]));
	bool any = false;
	int r = 0;

	if (!w)
		return error_set(e, -ENOMEM, "out of memory");
	w->event_fd = w->ethtool_fd = w->ask_fd = w->ask_ethtool_fd = w->wake_fd = -1;
	w->promiscuous = job->promiscuous;
	w->count = job->source_count;
	pthread_mutex_init(&w->mutex, NULL);
	for (unsigned i = 0; driver && !driver->own_threads && i < w->count; i++) {
		if (strlen(job->source[i].name) < IFNAMSIZ)
			w->link[i].index = (int)if_nametoindex(job->source[i].name);
		any |= w->link[i].index != 0;
	}
	if (any)
		r = open_links(w, job, e);
	if (r < 0)
		link_watch_free(w);
	else
		*ret_watch = w;
	return r;
}

void link_watch_free(struct link_watch *w)
{
	if (!w)
		return;
	const int fds[] = {w->event_fd, w->ethtool_fd, w->ask_fd, w->ask_ethtool_fd, w->wake_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(w);
}

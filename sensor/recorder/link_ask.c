// SPDX-License-Identifier: Apache-2.0
// Requests to rtnetlink and ethtool's netlink, answered at once, over sockets that link_open has made.
#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "sensor/recorder/clock.h"
#include "sensor/recorder/link_private.h"

int link_ask(struct link_watch *w, int fd, struct link_request *a, size_t body_len, struct link_message *ret_answer)
{
	a->h.nlmsg_len = (uint32_t)(NLMSG_HDRLEN + body_len);
	a->h.nlmsg_flags = NLM_F_REQUEST;
	a->h.nlmsg_seq = ++w->seq;
	if (send(fd, a, a->h.nlmsg_len, 0) < 0)
		return -errno;
	for (int i = 0; i < 8; i++) { // answers to a request that was given up before may lie in front
		ssize_t n = recv(fd, w->reply, sizeof(w->reply), MSG_DONTWAIT | MSG_TRUNC);
		struct cursor c;

		if (n < 0)
			return -errno;
		if (n > (ssize_t)sizeof(w->reply))
			return -EMSGSIZE;
		c = cursor_make(w->reply, (size_t)n);
		if (!link_message_next(&c, ret_answer) || ret_answer->seq != w->seq)
			continue;
		if (ret_answer->type == NLMSG_ERROR) {
			int r = link_error_take(ret_answer);

			return r < 0 ? r : -EBADMSG;
		}
		return 0;
	}
	return -EBADMSG;
}

int link_ask_state(struct link_watch *w, int index, const char *name, int *ret_index, struct link_state *ret_state)
{
	struct link_request a = {.h.nlmsg_type = RTM_GETLINK, .link.info = {.ifi_index = index}};
	size_t len = sizeof(a.link.info);
	struct link_message m;
	int r;

	if (index == 0) {
		size_t name_len = strnlen(name, IFNAMSIZ - 1) + 1;

		a.link.name_head =
		        (struct nlattr){.nla_len = (uint16_t)(NLA_HDRLEN + name_len), .nla_type = IFLA_IFNAME};
		memcpy(a.link.name, name, name_len - 1);
		len = sizeof(a.link) - sizeof(a.link.name) + NLA_ALIGN(name_len); // more, and the kernel logs it
	}
	r = link_ask(w, w->ask_fd, &a, len, &m);
	return r < 0 ? r : link_state_take(&m, ret_index, ret_state) ? 0 : -EBADMSG;
}

int link_ask_ethtool(struct link_watch *w, int index, uint8_t command, struct link_message *ret_answer)
{
	struct link_request a = {
	        .h.nlmsg_type = w->ethtool_family,
	        .ethtool = {.g = {.cmd = command, .version = ETHTOOL_GENL_VERSION},
	                .header = {.nla_len = 2 * NLA_HDRLEN + 4, .nla_type = ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED},
	                .index_head = {.nla_len = NLA_HDRLEN + 4, .nla_type = ETHTOOL_A_HEADER_DEV_INDEX},
	                .index = (uint32_t)index},
	};

	return w->ethtool_fd < 0 ? -EOPNOTSUPP : link_ask(w, w->ask_ethtool_fd, &a, sizeof(a.ethtool), ret_answer);
}

void link_read_ethtool(struct link_watch *w, struct link *l)
{
	uint32_t offloads = 0, queues = 0, combined = 0;
	bool offloads_known, queues_known;
	struct link_message m;

	if (!link_may_tell(l, monotonic_ns())) {
		l->ask_ethtool = true; // asked again when something may be told
		return;
	}
	l->ask_ethtool = false;
	pthread_mutex_lock(&w->mutex);
	offloads_known =
	        link_ask_ethtool(w, l->index, ETHTOOL_MSG_FEATURES_GET, &m) == 0 && link_offloads_take(&m, &offloads);
	queues_known = link_ask_ethtool(w, l->index, ETHTOOL_MSG_CHANNELS_GET, &m) == 0 &&
	               link_queues_take(&m, &queues, &combined);
	pthread_mutex_unlock(&w->mutex);
	if (offloads_known && l->offloads_known && offloads != l->offloads)
		link_tell_offloads(w, l, offloads);
	if (offloads_known) {
		l->offloads_known = true;
		l->offloads = offloads;
	}
	if (queues_known && l->queues_known && queues != l->queues)
		link_tell_queues(w, l, queues, combined > 0);
	if (queues_known) {
		l->queues_known = true;
		l->queues = queues;
	}
}

// SPDX-License-Identifier: Apache-2.0
// What an interface is, by rtnetlink and ethtool, and whether XDP can record it whole. Recorder process, at open only.
// It reads; it must not change an interface.
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/sources/xdp.h"

struct link_facts {
	unsigned short type;
	unsigned flags;
	unsigned rx_queues; // allocated; fewer may be in use
	int below;          // IFLA_LINK
	bool elsewhere;     // below is in another network namespace
};

static void read_text(char *to, size_t size, const struct rtattr *a)
{
	snprintf(to, size, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

static uint32_t read_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	memcpy(&v, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof(v) ? RTA_PAYLOAD(a) : sizeof(v));
	return v;
}

static void read_attributes(const struct nlmsghdr *h, struct xdp_interface *i, struct link_facts *facts)
{
	const struct ifinfomsg *m = NLMSG_DATA(h);
	int left = (int)IFLA_PAYLOAD(h);

	facts->type = m->ifi_type;
	facts->flags = m->ifi_flags;
	for (const struct rtattr *a = IFLA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_MTU:
			i->mtu = read_u32(a);
			break;
		case IFLA_LINK:
			facts->below = (int)read_u32(a);
			break;
		case IFLA_LINK_NETNSID:
			facts->elsewhere = true;
			break;
		case IFLA_NUM_RX_QUEUES:
			facts->rx_queues = read_u32(a);
			break;
		case IFLA_ADDRESS:
			if (RTA_PAYLOAD(a) == sizeof(i->mac))
				memcpy(i->mac, RTA_DATA(a), sizeof(i->mac));
			break;
		case IFLA_LINKINFO: {
			int inner = (int)RTA_PAYLOAD(a);

			for (const struct rtattr *k = RTA_DATA(a); RTA_OK(k, inner); k = RTA_NEXT(k, inner))
				if ((k->rta_type & NLA_TYPE_MASK) == IFLA_INFO_KIND)
					read_text(i->kind, sizeof(i->kind), k);
			break;
		}
		default:
			break;
		}
	}
}

static int read_link(struct xdp_interface *i, struct link_facts *facts)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} request = {
	        .h = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
	        .m = {.ifi_family = AF_UNSPEC, .ifi_index = i->index},
	};
	union {
		struct nlmsghdr h;
		char bytes[32768]; // an interface with statistics of many virtual functions
	} reply;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), r = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = send(fd, &request, sizeof(request), 0);
	if (n >= 0)
		n = recv(fd, &reply, sizeof(reply), MSG_TRUNC);
	if (n < 0)
		r = -errno;
	else if (n > (ssize_t)sizeof(reply) || !NLMSG_OK(&reply.h, (size_t)n))
		r = -EMSGSIZE;
	else if (reply.h.nlmsg_type == NLMSG_ERROR)
		r = ((const struct nlmsgerr *)NLMSG_DATA(&reply.h))->error;
	else
		read_attributes(&reply.h, i, facts);
	close(fd);
	return r;
}

static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	r = ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
	close(fd);
	return r;
}

// The number of a feature in the kernel's own list, which differs between kernels.
static int feature_bit(const char *name, const char *feature, uint32_t *ret_bit, uint32_t *ret_count)
{
	union {
		struct ethtool_sset_info h;
		uint8_t space[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]; // one count behind it
	} info = {.h = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
	struct ethtool_gstrings *strings;
	uint32_t count;
	int r = ethtool(name, &info);

	if (r < 0 || !info.h.sset_mask)
		return r < 0 ? r : -EOPNOTSUPP;
	count = info.h.data[0];
	strings = calloc(1, sizeof(*strings) + (size_t)count * ETH_GSTRING_LEN);
	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	r = ethtool(name, strings);
	if (r == 0)
		r = -ENOENT;
	for (uint32_t k = 0; r == -ENOENT && k < count; k++) {
		if (strncmp((const char *)strings->data + (size_t)k * ETH_GSTRING_LEN, feature, ETH_GSTRING_LEN) != 0)
			continue;
		*ret_bit = k;
		*ret_count = count;
		r = 0;
	}
	free(strings);
	return r;
}

static bool feature_on(const char *name, const char *feature)
{
	struct ethtool_gfeatures *g;
	uint32_t bit = 0, count = 0, words;
	bool on;

	if (feature_bit(name, feature, &bit, &count) < 0)
		return false;
	words = (count + 31) / 32;
	g = calloc(1, sizeof(*g) + words * sizeof(g->features[0]));
	if (!g)
		return false;
	g->cmd = ETHTOOL_GFEATURES;
	g->size = words;
	on = ethtool(name, g) == 0 && g->features[bit / 32].active >> (bit % 32) & 1;
	free(g);
	return on;
}

bool xdp_interface_feature(const struct xdp_interface *i, const char *feature)
{
	return feature_on(i->name, feature);
}

// Queues in use: what the driver says, else what is allocated.
static unsigned rx_queues(const struct xdp_interface *i, const struct link_facts *facts)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

	if (ethtool(i->name, &c) == 0 && c.rx_count + c.combined_count > 0)
		return c.rx_count + c.combined_count;
	return facts->rx_queues ? facts->rx_queues : 1;
}

static int judge(const struct xdp_interface *i, const struct link_facts *facts, struct error *e)
{
	if (facts->type == ARPHRD_LOOPBACK)
		return error_set(e, -ENOTSUP,
		        "interface %s: XDP takes frames from the stack, and nothing on this machine would reach "
		        "itself; use --driver afpacket",
		        i->name);
	if (facts->type != ARPHRD_ETHER)
		return error_set(e, -ENOTSUP,
		        "interface %s has hardware type ARPHRD %u, and XDP records Ethernet only; use --driver "
		        "afpacket",
		        i->name, facts->type);
	if (!(facts->flags & IFF_UP))
		return error_set(
		        e, -ENETDOWN, "interface %s is down; bring it up: ip link set %s up", i->name, i->name);
	// Others stand on an interface that has already taken VLAN tags out of the frames it hands up.
	if (i->kind[0] && strcmp(i->kind, "veth") != 0 && strcmp(i->kind, "tun") != 0)
		return error_set(e, -ENOTSUP,
		        "interface %s is a %s: frames come to it without their VLAN tags; name the interface beneath "
		        "it, or use --driver afpacket",
		        i->name, i->kind);
	if (i->queues > XDP_TAKE_QUEUES)
		return error_set(e, -ENOTSUP,
		        "interface %s has %u RX queues, at most %u are possible; ethtool -L %s combined %u", i->name,
		        i->queues, XDP_TAKE_QUEUES, i->name, XDP_TAKE_QUEUES);
	return 0;
}

int xdp_interface_read(const char *name, struct xdp_interface *ret_interface, struct error *e)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct xdp_interface i = {0};
	struct link_facts facts = {0};
	int r;

	i.index = strlen(name) < sizeof(i.name) ? (int)if_nametoindex(name) : 0;
	if (!i.index)
		return error_set(e, -ENODEV,
		        "interface '%.64s' does not exist in this network namespace; ip link shows which do", name);
	snprintf(i.name, sizeof(i.name), "%s", name);
	r = read_link(&i, &facts);
	if (r < 0)
		return error_set(e, r, "interface %s: its state cannot be read: %s", name, strerror(-r));
	snprintf(i.driver, sizeof(i.driver), "%s", ethtool(name, &info) == 0 ? info.driver : "unknown");
	i.peer = facts.elsewhere ? 0 : facts.below;
	i.queues = rx_queues(&i, &facts);
	r = judge(&i, &facts, e);
	if (r == 0)
		*ret_interface = i;
	return r;
}

// A veth hands its peer's tags over beside the frame when the peer inserts them "in hardware"; its own rxvlan says
// nothing. Only a program that asks for them, or a peer that writes them into the frame, keeps them.
static int check_veth(const struct xdp_interface *i, struct error *e)
{
	char peer[IF_NAMESIZE];

	if (!i->peer || !if_indextoname((unsigned)i->peer, peer))
		return error_set(e, -ENOTSUP,
		        "interface %s: the other end of this veth is in another network namespace, and it may take "
		        "VLAN "
		        "tags out of frames where XDP cannot see them (native mode and Linux 6.8 can); use --driver "
		        "afpacket",
		        i->name);
	if (feature_on(peer, "tx-vlan-hw-insert") || feature_on(peer, "tx-vlan-stag-hw-insert"))
		return error_set(e, -ENOTSUP,
		        "interface %s: %s takes VLAN tags out of frames, and XDP cannot see them here (native mode and "
		        "Linux 6.8 can); ethtool -K %s tx-vlan-hw-insert off tx-vlan-stag-hw-insert off, or use "
		        "--driver "
		        "afpacket",
		        i->name, peer, peer);
	return 0;
}

int xdp_interface_check_offloads(const struct xdp_interface *i, bool native, bool tags, struct error *e)
{
	if (!native && feature_on(i->name, "rx-gro"))
		return error_set(e, -ENOTSUP,
		        "interface %s: XDP works there in generic mode only, after GRO has merged frames; ethtool -K "
		        "%s "
		        "gro off, or use --driver afpacket",
		        i->name, i->name);
	if (tags)
		return 0;
	if (strcmp(i->kind, "veth") == 0)
		return check_veth(i, e);
	if (feature_on(i->name, "rx-vlan-hw-parse") || feature_on(i->name, "rx-vlan-stag-hw-parse"))
		return error_set(e, -ENOTSUP,
		        "interface %s takes VLAN tags out of frames, where XDP cannot see them; ethtool -K %s "
		        "rx-vlan-hw-parse off rx-vlan-stag-hw-parse off, or use --driver afpacket",
		        i->name, i->name);
	return 0;
}

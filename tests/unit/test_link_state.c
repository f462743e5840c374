// SPDX-License-Identifier: Apache-2.0
// The kernel's netlink messages, put together here by the kernel's own macros, and cut short and bent at every byte:
// each is read inside memory of exactly its size, so that a sanitizer sees a read beyond it.
#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sensor/recorder/link_state.h"

struct text {
	_Alignas(8) uint8_t bytes[4096];
	size_t used;
};

static struct nlmsghdr *head(struct text *t, uint16_t type)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(t->bytes + t->used);

	*h = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_seq = 7};
	t->used += NLMSG_HDRLEN;
	return h;
}

static void put(struct text *t, const void *data, size_t len)
{
	memcpy(t->bytes + t->used, data, len);
	t->used += NLMSG_ALIGN(len);
}

static struct nlattr *open_nest(struct text *t, unsigned type)
{
	struct nlattr *a = (struct nlattr *)(t->bytes + t->used);

	*a = (struct nlattr){.nla_len = (uint16_t)t->used, .nla_type = (uint16_t)(type | NLA_F_NESTED)};
	t->used += NLA_HDRLEN;
	return a;
}

static void close_nest(struct text *t, struct nlattr *a)
{
	a->nla_len = (uint16_t)(t->used - a->nla_len);
}

static void attribute(struct text *t, unsigned type, const void *data, size_t len)
{
	const struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = (uint16_t)type};

	put(t, &a, sizeof(a));
	put(t, data, len);
}

static void attribute_u32(struct text *t, unsigned type, uint32_t value)
{
	attribute(t, type, &value, sizeof(value));
}

static void finish(struct text *t, struct nlmsghdr *h)
{
	h->nlmsg_len = (uint32_t)(t->bytes + t->used - (uint8_t *)h);
}

static void put_link(struct text *t, uint16_t type, uint8_t family)
{
	const struct rtnl_link_stats64 st = {.rx_packets = 1ULL << 40,
	        .rx_missed_errors = 2,
	        .rx_fifo_errors = 3,
	        .rx_over_errors = 4,
	        .rx_errors = 5,
	        .rx_dropped = 6};
	struct nlmsghdr *h = head(t, type);
	const struct ifinfomsg info = {.ifi_family = family, .ifi_index = 42, .ifi_flags = IFF_UP};
	const uint8_t no = 0;

	put(t, &info, sizeof(info));
	attribute(t, IFLA_IFNAME, "eth0", 5);
	attribute_u32(t, IFLA_MTU, 1500);
	attribute_u32(t, IFLA_PROMISCUITY, 2);
	attribute_u32(t, IFLA_CARRIER_CHANGES, 9);
	attribute(t, IFLA_CARRIER, &no, 1);
	attribute(t, IFLA_STATS64, &st, sizeof(st));
	finish(t, h);
}

static void a_link_is_read(void **state)
{
	struct text t = {0};
	struct link_message m;
	struct link_state s;
	struct cursor c;
	int index;

	put_link(&t, RTM_NEWLINK, AF_UNSPEC);
	put_link(&t, RTM_DELLINK, AF_UNSPEC);
	put_link(&t, RTM_DELLINK, AF_BRIDGE);
	c = cursor_make(t.bytes, t.used);
	assert_true(link_message_next(&c, &m));
	assert_int_equal(m.seq, 7);
	assert_true(link_state_take(&m, &index, &s));
	assert_int_equal(index, 42);
	assert_string_equal(s.name, "eth0");
	assert_true(s.present && s.up && !s.carrier && s.has_nic);
	assert_int_equal(s.mtu, 1500);
	assert_int_equal(s.promiscuity, 2);
	assert_int_equal(s.carrier_changes, 9);
	assert_int_equal(s.nic[NIC_RECEIVED], 1ULL << 40);
	for (int i = NIC_MISSED; i < NIC_COUNTERS; i++)
		assert_int_equal(s.nic[i], i + 1);
	assert_true(link_message_next(&c, &m));
	assert_true(link_state_take(&m, &index, &s));
	assert_false(s.present);
	// A port leaves a bridge: the interface is where it was.
	assert_true(link_message_next(&c, &m));
	assert_false(link_state_take(&m, &index, &s));
	assert_false(link_message_next(&c, &m));
}

static void put_features(struct text *t)
{
	const struct genlmsghdr g = {.cmd = ETHTOOL_MSG_FEATURES_GET_REPLY, .version = 1};
	struct nlmsghdr *h = head(t, 30);
	static const struct {
		const char *name;
		bool on;
	} bits[] = {{"rx-gro", true}, {"rx-lro", false}, {"rx-checksum", true}, {"rx-vlan-hw-parse", true}};
	struct nlattr *a, *list, *bit;

	put(t, &g, sizeof(g));
	a = open_nest(t, ETHTOOL_A_FEATURES_HEADER);
	attribute_u32(t, ETHTOOL_A_HEADER_DEV_INDEX, 42);
	close_nest(t, a);
	a = open_nest(t, ETHTOOL_A_FEATURES_ACTIVE);
	attribute_u32(t, ETHTOOL_A_BITSET_SIZE, 4);
	list = open_nest(t, ETHTOOL_A_BITSET_BITS);
	for (unsigned i = 0; i < 4; i++) {
		bit = open_nest(t, ETHTOOL_A_BITSET_BITS_BIT);
		attribute_u32(t, ETHTOOL_A_BITSET_BIT_INDEX, i);
		attribute(t, ETHTOOL_A_BITSET_BIT_NAME, bits[i].name, strlen(bits[i].name) + 1);
		if (bits[i].on)
			attribute(t, ETHTOOL_A_BITSET_BIT_VALUE, "", 0);
		close_nest(t, bit);
	}
	close_nest(t, list);
	close_nest(t, a);
	finish(t, h);
}

static void put_channels(struct text *t)
{
	const struct genlmsghdr g = {.cmd = ETHTOOL_MSG_CHANNELS_GET_REPLY, .version = 1};
	struct nlmsghdr *h = head(t, 30);

	put(t, &g, sizeof(g));
	attribute_u32(t, ETHTOOL_A_CHANNELS_RX_MAX, 99);
	attribute_u32(t, ETHTOOL_A_CHANNELS_RX_COUNT, 3);
	attribute_u32(t, ETHTOOL_A_CHANNELS_COMBINED_COUNT, 4);
	finish(t, h);
}

static void put_family(struct text *t)
{
	const struct genlmsghdr g = {.cmd = CTRL_CMD_NEWFAMILY, .version = 1};
	struct nlmsghdr *h = head(t, GENL_ID_CTRL);
	const uint16_t id = 21;
	struct nlattr *groups, *group;

	put(t, &g, sizeof(g));
	attribute(t, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
	groups = open_nest(t, CTRL_ATTR_MCAST_GROUPS);
	for (uint32_t i = 0; i < 2; i++) {
		group = open_nest(t, i + 1);
		attribute_u32(t, CTRL_ATTR_MCAST_GRP_ID, 5 + i);
		attribute(t, CTRL_ATTR_MCAST_GRP_NAME, i ? "monitor" : "other", i ? 8 : 6);
		close_nest(t, group);
	}
	close_nest(t, groups);
	finish(t, h);
}

static void ethtool_is_read(void **state)
{
	struct text t = {0};
	struct link_message m;
	struct cursor c;
	uint32_t offloads, queues, combined, group;
	uint16_t family;
	uint8_t command;
	int index;

	put_features(&t);
	put_channels(&t);
	put_family(&t);
	c = cursor_make(t.bytes, t.used);
	assert_true(link_message_next(&c, &m));
	assert_true(link_ethtool_take(&m, &command, &index));
	assert_int_equal(command, ETHTOOL_MSG_FEATURES_GET_REPLY);
	assert_int_equal(index, 42);
	assert_true(link_offloads_take(&m, &offloads));
	assert_int_equal(offloads, 1u << OFFLOAD_GRO | 1u << OFFLOAD_RXVLAN);
	assert_false(link_queues_take(&m, &queues, &combined));
	assert_true(link_message_next(&c, &m));
	assert_false(link_offloads_take(&m, &offloads));
	assert_true(link_queues_take(&m, &queues, &combined));
	assert_int_equal(queues, 7);
	assert_int_equal(combined, 4);
	assert_true(link_message_next(&c, &m));
	assert_true(link_family_take(&m, "monitor", &family, &group));
	assert_int_equal(family, 21);
	assert_int_equal(group, 6);
}

static void read_everything(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct cursor c;
	struct link_message m;
	struct link_state s;
	uint32_t a, b;
	uint16_t family;
	uint8_t command;
	int index;
	unsigned n = 0;

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	c = cursor_make(exact, len);
	while (link_message_next(&c, &m)) {
		assert_true(++n <= len / NLMSG_HDRLEN);
		if (link_state_take(&m, &index, &s))
			assert_non_null(memchr(s.name, '\0', sizeof(s.name)));
		link_error_take(&m);
		link_ethtool_take(&m, &command, &index);
		link_offloads_take(&m, &a);
		link_queues_take(&m, &a, &b);
		link_family_take(&m, "monitor", &family, &a);
	}
	free(exact);
}

static void no_read_leaves_the_message(void **state)
{
	struct text t = {0};

	put_link(&t, RTM_NEWLINK, AF_UNSPEC);
	put_features(&t);
	put_channels(&t);
	put_family(&t);
	for (size_t len = 0; len <= t.used; len++)
		read_everything(t.bytes, len);
	for (size_t at = 0; at < t.used; at++) {
		static const uint8_t with[] = {0x00, 0x01, 0x03, 0x7F, 0x80, 0xFF};
		uint8_t was = t.bytes[at];

		for (size_t i = 0; i < sizeof(with); i++) {
			t.bytes[at] = with[i];
			read_everything(t.bytes, t.used);
		}
		t.bytes[at] = was;
	}
}

static void errors_are_read(void **state)
{
	struct text t = {0};
	struct link_message m;
	struct nlmsghdr *h = head(&t, NLMSG_ERROR);
	const struct nlmsgerr error = {.error = -ENODEV};
	struct cursor c;

	put(&t, &error, sizeof(error));
	finish(&t, h);
	c = cursor_make(t.bytes, t.used);
	assert_true(link_message_next(&c, &m));
	assert_int_equal(link_error_take(&m), -ENODEV);
	m.body = cursor_make(t.bytes, 2);
	assert_int_equal(link_error_take(&m), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_link_is_read),
	        cmocka_unit_test(ethtool_is_read),
	        cmocka_unit_test(no_read_leaves_the_message),
	        cmocka_unit_test(errors_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

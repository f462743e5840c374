// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/link_state.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

const char *const link_offload_names[OFFLOADS] = {
        [OFFLOAD_GRO] = "rx-gro",
        [OFFLOAD_GRO_HW] = "rx-gro-hw",
        [OFFLOAD_GRO_LIST] = "rx-gro-list",
        [OFFLOAD_GRO_UDP] = "rx-udp-gro-forwarding",
        [OFFLOAD_LRO] = "rx-lro",
        [OFFLOAD_RXVLAN] = "rx-vlan-hw-parse",
        [OFFLOAD_RXVLAN_STAG] = "rx-vlan-stag-hw-parse",
        [OFFLOAD_TSO] = "tx-tcp-segmentation",
        [OFFLOAD_GSO] = "tx-generic-segmentation",
};

// Takes len bytes and the padding up to a multiple of four; the last one of a message may lack it.
static const uint8_t *take_padded(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);
	size_t pad = (4 - len % 4) % 4;

	if (at)
		cursor_bytes(c, pad < cursor_left(c) ? pad : cursor_left(c));
	return at;
}

bool link_message_next(struct cursor *datagram, struct link_message *ret_message)
{
	uint32_t len = cursor_le32(datagram);
	const uint8_t *body;

	ret_message->type = cursor_le16(datagram);
	cursor_le16(datagram); // flags
	ret_message->seq = cursor_le32(datagram);
	cursor_le32(datagram); // port
	if (!cursor_ok(datagram) || len < NLMSG_HDRLEN)
		return false;
	body = take_padded(datagram, len - NLMSG_HDRLEN);
	if (!body)
		return false;
	ret_message->body = cursor_make(body, len - NLMSG_HDRLEN);
	return true;
}

static bool attribute_next(struct cursor *c, uint16_t *ret_type, struct cursor *ret_value)
{
	uint16_t len;
	const uint8_t *value;

	if (cursor_left(c) == 0)
		return false;
	len = cursor_le16(c);
	*ret_type = cursor_le16(c) & NLA_TYPE_MASK;
	if (!cursor_ok(c) || len < NLA_HDRLEN)
		return false;
	value = take_padded(c, len - NLA_HDRLEN);
	if (!value)
		return false;
	*ret_value = cursor_make(value, len - NLA_HDRLEN);
	return true;
}

static bool text_is(const struct cursor *value, const char *text)
{
	size_t len = strlen(text);

	return cursor_left(value) == len + 1 && memcmp(value->at, text, len + 1) == 0;
}

static void take_name(struct cursor *value, char name[IFNAMSIZ])
{
	size_t len = strnlen((const char *)value->at, cursor_left(value));

	if (len < IFNAMSIZ) {
		memcpy(name, value->at, len);
		name[len] = '\0';
	}
}

static void take_nic(struct cursor *value, struct link_state *s)
{
	struct rtnl_link_stats64 st = {0};
	// Kernels may know fewer or more of them; those that are needed are in all.
	size_t need = offsetof(struct rtnl_link_stats64, rx_missed_errors) + sizeof(st.rx_missed_errors);

	if (cursor_left(value) < need)
		return;
	memcpy(&st, value->at, cursor_left(value) < sizeof(st) ? cursor_left(value) : sizeof(st));
	s->nic[NIC_RECEIVED] = st.rx_packets;
	s->nic[NIC_MISSED] = st.rx_missed_errors;
	s->nic[NIC_FIFO] = st.rx_fifo_errors;
	s->nic[NIC_OVER] = st.rx_over_errors;
	s->nic[NIC_ERRORS] = st.rx_errors;
	s->nic[NIC_DROPPED] = st.rx_dropped;
	s->has_nic = true;
}

bool link_state_take(const struct link_message *m, int *ret_ifindex, struct link_state *ret_state)
{
	struct link_state s = {.present = m->type == RTM_NEWLINK, .carrier = true};
	struct cursor c = m->body, value;
	uint8_t family = cursor_u8(&c);
	uint32_t index, flags;
	uint16_t type;

	cursor_bytes(&c, 3); // padding, hardware type
	index = cursor_le32(&c);
	flags = cursor_le32(&c);
	cursor_le32(&c); // changes
	if (!cursor_ok(&c) || family != 0 || (m->type != RTM_NEWLINK && m->type != RTM_DELLINK))
		return false;
	s.up = flags & IFF_UP;
	while (attribute_next(&c, &type, &value)) {
		switch (type) {
		case IFLA_IFNAME:
			take_name(&value, s.name);
			break;
		case IFLA_MTU:
			s.mtu = cursor_le32(&value);
			break;
		case IFLA_PROMISCUITY:
			s.promiscuity = cursor_le32(&value);
			break;
		case IFLA_CARRIER:
			s.carrier = cursor_u8(&value);
			break;
		case IFLA_CARRIER_CHANGES:
			s.carrier_changes = cursor_le32(&value);
			break;
		case IFLA_STATS64:
			take_nic(&value, &s);
			break;
		default:
			break;
		}
	}
	*ret_ifindex = (int)index;
	*ret_state = s;
	return true;
}

int link_error_take(const struct link_message *m)
{
	struct cursor c = m->body;
	int code = (int)cursor_le32(&c);

	return cursor_ok(&c) && code <= 0 ? code : -EBADMSG;
}

// Skips what stands before the attributes of a generic netlink message.
static bool generic_open(const struct link_message *m, struct cursor *ret_attributes, uint8_t *ret_command)
{
	*ret_attributes = m->body;
	*ret_command = cursor_u8(ret_attributes);
	cursor_bytes(ret_attributes, GENL_HDRLEN - 1);
	return cursor_ok(ret_attributes);
}

bool link_ethtool_take(const struct link_message *m, uint8_t *ret_command, int *ret_ifindex)
{
	struct cursor c, header, value;
	uint16_t type;

	if (!generic_open(m, &c, ret_command))
		return false;
	*ret_ifindex = 0;
	// The header is attribute 1 of every message of this family.
	if (!attribute_next(&c, &type, &header) || type != ETHTOOL_A_FEATURES_HEADER)
		return true;
	while (attribute_next(&header, &type, &value))
		if (type == ETHTOOL_A_HEADER_DEV_INDEX)
			*ret_ifindex = (int)cursor_le32(&value);
	return true;
}

// One bit of a bitset: known by its name, on when the set has no mask or the bit says so.
static uint32_t take_bit(struct cursor bit, bool nomask)
{
	uint32_t mask = 0;
	bool on = nomask;
	struct cursor value;
	uint16_t type;

	while (attribute_next(&bit, &type, &value)) {
		if (type == ETHTOOL_A_BITSET_BIT_VALUE)
			on = true;
		for (unsigned i = 0; type == ETHTOOL_A_BITSET_BIT_NAME && i < OFFLOADS; i++)
			if (text_is(&value, link_offload_names[i]))
				mask = 1u << i;
	}
	return on ? mask : 0;
}

bool link_offloads_take(const struct link_message *m, uint32_t *ret_offloads)
{
	struct cursor c, set, bits, bit;
	uint32_t offloads = 0;
	uint8_t command;
	uint16_t type;
	bool seen = false;

	if (!generic_open(m, &c, &command) || command != ETHTOOL_MSG_FEATURES_GET_REPLY)
		return false;
	while (attribute_next(&c, &type, &set)) {
		bool nomask = false;

		if (type != ETHTOOL_A_FEATURES_ACTIVE)
			continue;
		seen = true;
		while (attribute_next(&set, &type, &bits)) {
			nomask |= type == ETHTOOL_A_BITSET_NOMASK;
			while (type == ETHTOOL_A_BITSET_BITS && cursor_left(&bits) > 0) {
				uint16_t inner;

				if (!attribute_next(&bits, &inner, &bit))
					break;
				if (inner == ETHTOOL_A_BITSET_BITS_BIT)
					offloads |= take_bit(bit, nomask);
			}
		}
	}
	*ret_offloads = offloads;
	return seen;
}

bool link_queues_take(const struct link_message *m, uint32_t *ret_queues, uint32_t *ret_combined)
{
	struct cursor c, value;
	uint32_t rx = 0, combined = 0;
	uint8_t command;
	uint16_t type;

	if (!generic_open(m, &c, &command) || command != ETHTOOL_MSG_CHANNELS_GET_REPLY)
		return false;
	while (attribute_next(&c, &type, &value))
		if (type == ETHTOOL_A_CHANNELS_RX_COUNT)
			rx = cursor_le32(&value);
		else if (type == ETHTOOL_A_CHANNELS_COMBINED_COUNT)
			combined = cursor_le32(&value);
	*ret_queues = rx + combined;
	*ret_combined = combined;
	return true;
}

bool link_family_take(const struct link_message *m, const char *group, uint16_t *ret_family, uint32_t *ret_group)
{
	struct cursor c, value, item, field;
	uint8_t command;
	uint16_t type;

	if (!generic_open(m, &c, &command) || command != CTRL_CMD_NEWFAMILY)
		return false;
	*ret_family = 0;
	*ret_group = 0;
	while (attribute_next(&c, &type, &value)) {
		if (type == CTRL_ATTR_FAMILY_ID)
			*ret_family = cursor_le16(&value);
		if (type != CTRL_ATTR_MCAST_GROUPS)
			continue;
		while (attribute_next(&value, &type, &item)) {
			uint32_t id = 0;
			bool ours = false;

			while (attribute_next(&item, &type, &field)) {
				if (type == CTRL_ATTR_MCAST_GRP_ID)
					id = cursor_le32(&field);
				if (type == CTRL_ATTR_MCAST_GRP_NAME)
					ours = text_is(&field, group);
			}
			if (ours)
				*ret_group = id;
		}
	}
	return *ret_family != 0;
}

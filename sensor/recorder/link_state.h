// SPDX-License-Identifier: Apache-2.0
// What the kernel's netlink messages say about an interface. Pure: takes bytes, gives facts; every read is bounded by
// the message, every loop by its length. Link thread, and the main thread before it.
#pragma once

#include <linux/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/cursor.h"
#include "sealtap/evidence.h"

// Offloads that change what a recorder sees: a bit each.
enum link_offload {
	OFFLOAD_GRO,
	OFFLOAD_GRO_HW,
	OFFLOAD_GRO_LIST,
	OFFLOAD_GRO_UDP,
	OFFLOAD_LRO,
	OFFLOAD_RXVLAN,
	OFFLOAD_RXVLAN_STAG,
	OFFLOAD_TSO,
	OFFLOAD_GSO,
	OFFLOADS
};
extern const char *const link_offload_names[OFFLOADS]; // the kernel's

struct link_state {
	bool present;
	bool up;      // administratively
	bool carrier; // of the link beneath
	char name[IFNAMSIZ];
	uint32_t mtu;
	uint32_t promiscuity; // how many ask for it
	uint32_t carrier_changes;
	bool has_nic;
	uint64_t nic[NIC_COUNTERS];
};

struct link_message {
	uint16_t type; // of netlink
	uint32_t seq;
	struct cursor body;
};

// The next message of a datagram. False at its end, or where it is not well-formed.
bool link_message_next(struct cursor *datagram, struct link_message *ret_message);
// RTM_NEWLINK and RTM_DELLINK, but not what bridges say of their ports. False for anything else.
bool link_state_take(const struct link_message *m, int *ret_ifindex, struct link_state *ret_state);
// NLMSG_ERROR: its negative errno, 0 for an acknowledgement; -EBADMSG when it is too short.
int link_error_take(const struct link_message *m);
// Replies and notifications of the ethtool family. *ret_ifindex is 0 when the message names none.
bool link_ethtool_take(const struct link_message *m, uint8_t *ret_command, int *ret_ifindex);
bool link_offloads_take(const struct link_message *m, uint32_t *ret_offloads); // FEATURES_GET_REPLY
// CHANNELS_GET_REPLY: receive queues, of which so many send too.
bool link_queues_take(const struct link_message *m, uint32_t *ret_queues, uint32_t *ret_combined);
// Reply of the generic netlink controller: the family's number, and that of its multicast group.
bool link_family_take(const struct link_message *m, const char *group, uint16_t *ret_family, uint32_t *ret_group);

// SPDX-License-Identifier: Apache-2.0
// Inside of the link watch, which four files share: link_open (before the sandbox), link_ask (requests to the kernel),
// link_tell (what the ledger and the operator hear), link_watch (counters, and the thread).
#pragma once

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>

#include "sensor/recorder/link_state.h"
#include "sensor/recorder/link_watch.h"

#define LINK_DATAGRAM_BYTES                                                                                            \
	32768u // an interface with statistics of many virtual functions; the features of an interface
// A link that flaps must not fill the ledger: so many changes at once, and one more every two seconds.
#define LINK_TELL_BURST 32u
#define LINK_TELL_NS 2000000000ULL

struct link {
	int index;              // 0: not watched
	struct link_state told; // what the ledger knows
	bool gone;
	int back_index; // of the one that has come by the same name since
	// By ethtool; known when the kernel answered.
	bool offloads_known, queues_known, ask_ethtool;
	uint32_t offloads, queues;
	unsigned sources;   // that record it: one per queue, when frames of another queue pass by
	uint32_t frame_max; // of its driver; 0: none
	unsigned may_tell, untold;
	uint64_t tell_at_ns;
	// Frames that are counted and do not come.
	uint64_t raw_bytes, counted, last_counted;
	unsigned silent; // readings without a frame
	unsigned grew;   // a bit for each of the last readings: the counter grew
	bool starved;
	// Bad frames: told when they begin to come and when it is over; the counter is the evidence.
	uint64_t errors, error_at_ns;
	bool erring;
	// Of the interface: base in `last`, under the mutex; sums for anyone.
	uint64_t last[NIC_COUNTERS];
	_Atomic uint64_t nic[NIC_COUNTERS];
	_Atomic bool nic_known;
	char detail[240];
};

struct link_watch {
	struct recorder *recorder;
	bool promiscuous;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	int wake_fd;
	int event_fd;       // RTNLGRP_LINK
	int ethtool_fd;     // ethtool's notifications, -1: this kernel has none
	int ask_fd;         // requests to rtnetlink
	int ask_ethtool_fd; // requests to ethtool
	uint16_t ethtool_family;
	pthread_mutex_t mutex; // of requests, `reply` and counting
	uint32_t seq;
	uint8_t reply[LINK_DATAGRAM_BYTES];
	uint8_t event[LINK_DATAGRAM_BYTES];
	unsigned count;
	struct link link[];
};

struct link_request {
	struct nlmsghdr h;
	union {
		struct {
			struct ifinfomsg info;
			struct nlattr name_head;
			char name[IFNAMSIZ];
		} link;
		struct {
			struct genlmsghdr g;
			struct nlattr header, index_head;
			uint32_t index;
		} ethtool;
		struct {
			struct genlmsghdr g;
			struct nlattr name_head;
			char name[GENL_NAMSIZ];
		} family;
	};
};

// One request and its answer, in w->reply. With the mutex held. The kernel has answered when send returns.
int link_ask(struct link_watch *w, int fd, struct link_request *a, size_t body_len, struct link_message *ret_answer);
// By index, or with index 0 by name. With the mutex held.
int link_ask_state(struct link_watch *w, int index, const char *name, int *ret_index, struct link_state *ret_state);
int link_ask_ethtool(struct link_watch *w, int index, uint8_t command, struct link_message *ret_answer);
// What ethtool says, compared with what it said; told only once there is a recorder to tell it.
void link_read_ethtool(struct link_watch *w, struct link *l);

void link_tell(struct link_watch *w, struct link *l, const char *kind, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
bool link_may_tell(struct link *l, uint64_t now);
// s is what the kernel said last. What differs from what was told is told, unless too much was told already.
void link_observe(struct link_watch *w, struct link *l, const struct link_state *s, uint64_t now);
void link_removed(struct link_watch *w, struct link *l);
void link_tell_offloads(struct link_watch *w, struct link *l, uint32_t offloads);
void link_tell_queues(struct link_watch *w, struct link *l, uint32_t queues, bool combined);

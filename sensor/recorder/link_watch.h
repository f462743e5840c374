// SPDX-License-Identifier: Apache-2.0
// What becomes of the interfaces while they are recorded: netlink sockets that are open before the sandbox closes, and
// a thread that reads them, tells the ledger and the operator of each change, and keeps the interfaces' counters. A
// thread of its own, because a request to the kernel may wait behind whoever holds its lock for all interfaces (rtnl):
// neither the packets nor the watch over them may wait there. It must not touch a packet.
#pragma once

#include "sealtap/error.h"
#include "sealtap/evidence.h"
#include "sensor/ipc/job.h"

struct recorder;
struct link_watch;

// Before the sources are open, so that no change comes between what is known here and what they found. Interfaces that
// the kernel does not know (DPDK's, libpcap's `any`) are left out.
int link_watch_new(const struct job *job, struct link_watch **ret_watch, struct error *e);
void link_watch_free(struct link_watch *w);
int link_watch_start(struct link_watch *w, struct recorder *r); // the thread; r's sources are open
void link_watch_stop(struct link_watch *w);                     // waits for it, tells what is left to tell

// What the interface is: speed, bus, firmware, rings, queues, MTU; "" when it is not watched.
const char *link_detail(const struct link_watch *w, unsigned source);

// All of these: any thread; source is an index into the job's.
bool link_watched(const struct link_watch *w, unsigned source); // what becomes of it is told here and nowhere else
// The interface's counters since link_watch_new, as read within the last second. False when nothing is known.
bool link_nic(const struct link_watch *w, unsigned source, uint64_t ret_nic[NIC_COUNTERS]);
void link_nic_read(struct link_watch *w, unsigned source); // anew, now; may wait

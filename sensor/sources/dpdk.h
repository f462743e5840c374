// SPDX-License-Identifier: Apache-2.0
// What the files of the DPDK driver share: a port, and the source of each of its RX queues.
#pragma once

#include <pthread.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sealtap/source.h"
#include "sensor/sources/rate_clock.h"

#define DPDK_BURST 256u

enum dpdk_time {
	DPDK_TIME_BURST,    // TSC, read once after each burst
	DPDK_TIME_NIC,      // ticks of the NIC's clock
	DPDK_TIME_EPOCH_US, // net_pcap
	DPDK_TIME_EPOCH_NS, // net_af_packet of newer releases
};

// Shared by the queues' sources. The mutex guards calls of ethdev's control path, which PMDs do not make thread-safe.
struct dpdk_port {
	pthread_mutex_t mutex;
	uint16_t id;
	uint16_t queues;
	uint16_t descriptors; // per queue
	uint16_t room;        // bytes of frame that one mbuf holds
	bool replay;          // its frames come from memory or a file: it can wait, nothing is lost meanwhile
	bool infinite;        // a file over and over, out of the mempool
	bool file;            // and it ends: the first empty burst is the end
	bool huge;
	bool link_up;
	bool queue_counters; // the PMD counts each queue
	bool promiscuous;
	bool busy_poll; // no sleep
	enum dpdk_time time;
	int ts_offset; // of the mbuf's dynamic field
	uint64_t ts_flag;
	uint32_t flags; // epb_flags of every packet
	uint32_t mtu;
	unsigned running;       // queues that have not ended
	unsigned open;          // sources that are not closed
	uint64_t drops;         // as told by queue 0 when it ended
	uint64_t base_received; // counters are not zero on a port that someone used before us
	uint64_t base_dropped;
	uint64_t base_queue[RTE_ETHDEV_QUEUE_STAT_CNTRS];
	uint32_t sleep_max_ns;
	char driver[64];
	char device[RTE_ETH_NAME_MAX_LEN];
};

struct dpdk_queue {
	struct source source;
	struct dpdk_port *port;
	uint16_t index;
	uint16_t next;  // first mbuf that recv has not given out
	uint16_t count; // mbufs of the burst
	uint16_t freed; // mbufs given back
	uint32_t scratch_used;
	uint8_t *scratch; // frames of several segments, put together
	uint64_t burst_ns;
	uint64_t last_ns;
	uint64_t delivered; // taken from the PMD
	uint64_t dropped;
	struct rate_clock tsc;
	struct rate_clock nic;
	uint64_t anchor_at; // TSC
	uint64_t link_at;   // TSC
	uint64_t hz;
	unsigned empty; // bursts without a frame in a row
	bool registered;
	bool draining;
	bool frozen; // stats are what they will stay
	bool ended;
	uint64_t drain_until;
	uint64_t budget; // frames that a drain may still take
	struct source_stats stats;
	struct rte_mempool *pool;
	int kernel_fd; // the PMD's packet socket (net_af_packet), whose counters it does not read; not ours to close
	uint64_t kernel_received, kernel_dropped;
	struct source_lane lane;
	atomic_bool cut;
	struct rte_mbuf *mbuf[DPDK_BURST];
};

// dpdk_eal.c: once per process; later calls do nothing. args may be NULL; pci is the address of the first port, NULL
// for a virtual device. Other ports are probed when they are opened.
int dpdk_eal_start(const char *args, const char *pci, struct error *e);
bool dpdk_eal_huge(void);
// The last line that DPDK has logged as an error, "" when there is none.
const char *dpdk_eal_complaint(void);

// dpdk_port.c. The port is started; *ret_pools and *ret_fds get one entry per queue.
int dpdk_port_open(const struct source_live_config *config, struct dpdk_port **ret_port, struct rte_mempool **ret_pools,
        int *ret_fds, struct error *e);
void dpdk_port_describe(const struct dpdk_port *p, char *out, size_t size);
// Counters since the port was opened, of one queue where the PMD has them. received is 0 where it has not.
int dpdk_port_stats(struct dpdk_port *p, uint16_t queue, uint64_t *ret_received, uint64_t *ret_dropped);
bool dpdk_port_link(struct dpdk_port *p);
// A queue has ended; stops the port with the last. Returns drops that no queue has told of.
uint64_t dpdk_port_queue_ended(struct dpdk_port *p, uint16_t queue, uint64_t drops_told);
void dpdk_port_unref(struct dpdk_port *p);

// dpdk_kernel.c: packet sockets that a PMD has opened.
struct dpdk_fds {
	uint64_t seen[64]; // descriptors below 4,096 that were open before
};
void dpdk_fds_before(struct dpdk_fds *before);
// Packet sockets opened since, in ascending order; returns their number.
unsigned dpdk_fds_packet_sockets(const struct dpdk_fds *before, int *ret_fds, unsigned max);
// For as long as this process lives, also when it is killed; a PMD would leave the interface promiscuous.
int dpdk_kernel_promiscuous(unsigned ifindex);
// Adds what the kernel has counted since the last call.
int dpdk_kernel_stats(int fd, uint64_t *received, uint64_t *dropped);
// 0, -ENETDOWN once after the interface went down, -ENODEV when it is gone.
int dpdk_kernel_link(int fd);
void dpdk_kernel_cut(int fd);

// SPDX-License-Identifier: Apache-2.0
// One ethdev port: found or probed, configured, started, asked for its counters, stopped. Opened by the recorder's main
// thread; later any RX thread, under the port's mutex. Closes no port: a PMD's close may need what the sandbox denies.
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <pcap/pcap.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/sources/dpdk.h"

#define DESCRIPTORS 4096
#define MBUFS_BESIDE 1023u  // on loan, being filled, in the cache of the mempool
#define MBUFS_REPLAY 65535u // net_pcap,infinite_rx=1 keeps the whole file in mbufs
#define MBUF_CACHE 256u
#define ROOM 2048u        // of an mbuf where a long frame may take several
#define ROOM_AF_XDP 3712u // the kernel takes chunks of up to a page, and the mbuf's own 320 bytes are part of them
#define ROOM_MAX 65407u   // a 16-bit length, less the headroom
#define MTU_MAX 9600u
#define FRAME_BITS_MIN 672ULL // 64 bytes, preamble and gap
#define SLEEP_MAX_NS 1000000u

static bool is_driver(const struct dpdk_port *p, const char *name)
{
	return strcmp(p->driver, name) == 0;
}

// "net_pcap0,rx_pcap=f": what stands before the comma; "03:00.0": with its PCI domain.
static void device_name(const char *interface, char *out, size_t size)
{
	size_t len = strcspn(interface, ",");
	unsigned bus, device, function;
	char rest;

	if (sscanf(interface, "%2x:%2x.%1x%c", &bus, &device, &function, &rest) == 3)
		snprintf(out, size, "0000:%02x:%02x.%x", bus, device, function);
	else
		snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), interface);
}

static bool is_pci(const char *device)
{
	unsigned domain, bus, slot, function;

	return sscanf(device, "%x:%2x:%2x.%1x", &domain, &bus, &slot, &function) == 4;
}

static int find_port(const char *device, uint16_t *ret_id)
{
	uint16_t id;

	if (rte_eth_dev_get_port_by_name(device, ret_id) == 0)
		return 0;
	RTE_ETH_FOREACH_DEV(id)
	{ // a PMD may call its port otherwise than its device
		struct rte_eth_dev_info info;

		if (rte_eth_dev_info_get(id, &info) == 0 && strcmp(rte_dev_name(info.device), device) == 0) {
			*ret_id = id;
			return 0;
		}
	}
	return -ENODEV;
}

static int no_port(const char *interface, const struct dpdk_port *p, int r, struct error *e)
{
	bool wants_huge = is_pci(p->device) && !dpdk_eal_huge();
	char list[200] = "";
	size_t used = 0;
	uint16_t id;

	RTE_ETH_FOREACH_DEV(id)
	{
		char name[RTE_ETH_NAME_MAX_LEN];

		if (used < sizeof(list) - RTE_ETH_NAME_MAX_LEN - 2 && rte_eth_dev_get_name_by_port(id, name) == 0)
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", name);
	}
	return error_set(e, r,
	        "interface '%.200s': no such DPDK port (%s%s%s); give a PCI address whose device is bound to vfio-pci "
	        "(dpdk-devbind.py --status), a virtual device such as net_af_packet0,iface=eth0, or one of the ports "
	        "there are: %s%s",
	        interface, strerror(-r), dpdk_eal_complaint()[0] ? ": " : "", dpdk_eal_complaint(),
	        used ? list : "(none)",
	        wants_huge ? "; no huge pages are free, and a NIC under uio needs them: echo 512 "
	                     ">/proc/sys/vm/nr_hugepages"
	                   : "");
}

static int probe(const char *interface, struct dpdk_port *p, struct error *e)
{
	int r = find_port(p->device, &p->id);

	if (r < 0) {
		r = rte_dev_probe(interface);
		if (r < 0)
			return no_port(interface, p, r, e);
		r = find_port(p->device, &p->id);
	}
	return r < 0 ? no_port(interface, p, r, e) : 0;
}

// Where all that comes to one queue is lost unless that queue is read.
static bool wants_all_queues(const struct dpdk_port *p)
{
	return is_driver(p, "net_af_packet") || is_driver(p, "net_pcap") || is_driver(p, "net_af_xdp");
}

static void know_driver(struct dpdk_port *p, const char *interface, const struct rte_eth_dev_info *info)
{
	const struct rte_devargs *devargs = rte_dev_devargs(info->device);
	const char *args = devargs && devargs->args ? devargs->args : "";

	p->file = is_driver(p, "net_pcap") && strstr(args, "rx_pcap=") && !strstr(args, "infinite_rx=1");
	p->infinite = is_driver(p, "net_pcap") && strstr(args, "infinite_rx=1");
	p->replay = p->file || p->infinite || is_driver(p, "net_null");
	// These two see what a host sends as well as what it receives, and do not tell which.
	p->flags = is_driver(p, "net_af_packet") || is_driver(p, "net_pcap") ? 0 : 1;
}

// A number among the arguments of a virtual device.
static unsigned long device_number(const struct rte_eth_dev_info *info, const char *name, unsigned long otherwise)
{
	const struct rte_devargs *devargs = rte_dev_devargs(info->device);
	const char *given = devargs && devargs->args ? strstr(devargs->args, name) : NULL;

	return given ? strtoul(given + strlen(name), NULL, 0) : otherwise;
}

// The word behind one of a virtual device's arguments. False when it has none of that name.
static bool device_word(const struct rte_eth_dev_info *info, const char *name, char *out, size_t size)
{
	const struct rte_devargs *devargs = rte_dev_devargs(info->device);
	const char *given = devargs && devargs->args ? strstr(devargs->args, name) : NULL;

	if (!given)
		return false;
	given += strlen(name);
	snprintf(out, size, "%.*s", (int)strcspn(given, ","), given);
	return true;
}

// A lane of this driver is Ethernet. net_af_packet and net_pcap take anything else too, and do not tell.
static int check_ethernet(const struct dpdk_port *p, const struct rte_eth_dev_info *info, struct error *e)
{
	char name[1024], text[PCAP_ERRBUF_SIZE];
	struct ifreq ifr = {0};
	pcap_t *pcap;
	int fd, type;

	if (is_driver(p, "net_pcap") && device_word(info, "rx_pcap=", name, sizeof(name))) {
		pcap = pcap_open_offline(name, text);
		type = pcap ? pcap_datalink(pcap) : DLT_EN10MB; // a file that cannot be read: the PMD says it
		if (pcap)
			pcap_close(pcap);
		return type == DLT_EN10MB
		               ? 0
		               : error_set(e, -EPFNOSUPPORT,
		                         "interface %s: %.200s has frames of link type %s, and DPDK would call them "
		                         "Ethernet; seal the file: sealtap ingest",
		                         p->device, name,
		                         pcap_datalink_val_to_name(type) ? pcap_datalink_val_to_name(type) : "?");
	}
	// net_pcap's "rx_iface=" ends like the others' "iface="
	if (!device_word(info, "iface=", ifr.ifr_name, sizeof(ifr.ifr_name)))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	type = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &ifr) == 0 ? ifr.ifr_hwaddr.sa_family : ARPHRD_VOID;
	if (fd >= 0)
		close(fd);
	if (type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK)
		return 0;
	return error_set(e, -EPFNOSUPPORT,
	        "interface %s: %s is not Ethernet (hardware type ARPHRD %d), and DPDK would call its frames that; use "
	        "--driver afpacket, or --driver pcap",
	        p->device, ifr.ifr_name, type);
}

// net_af_packet cuts a frame to its framesz and says nothing: refuse an interface whose frames may be longer.
// net_af_xdp would say "Failed to configure xdp socket".
static int check_frame_size(const struct dpdk_port *p, const struct rte_eth_dev_info *info, struct error *e)
{
	unsigned long framesz = device_number(info, "framesz=", 2048), need;
	struct ifreq ifr = {0};
	int fd, r;

	if (!(is_driver(p, "net_af_packet") || is_driver(p, "net_af_xdp")) ||
	        !if_indextoname(info->if_index, ifr.ifr_name))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = fd < 0 || ioctl(fd, SIOCGIFMTU, &ifr) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return error_set(e, r, "interface %s: its MTU cannot be read: %s", p->device, strerror(-r));
	if (is_driver(p, "net_af_xdp"))
		return ifr.ifr_mtu <= info->max_mtu
		               ? 0
		               : error_set(e, -EMSGSIZE,
		                         "interface %s: frames of %s with its MTU %d do not fit into a chunk of AF_XDP "
		                         "(MTU %u at most); use --driver afpacket",
		                         p->device, ifr.ifr_name, ifr.ifr_mtu, info->max_mtu);
	need = (unsigned long)ifr.ifr_mtu + 14 + 8 + 96; // Ethernet, two VLAN tags, the kernel's header and alignment
	if (need <= framesz)
		return 0;
	for (framesz = 2048; framesz < need; framesz *= 2)
		;
	return error_set(e, -EMSGSIZE,
	        "interface %s: %s has MTU %d, and net_af_packet would cut its frames without a word; add "
	        "framesz=%lu,blocksz=%lu,framecnt=%lu, or record with --driver afpacket",
	        p->device, ifr.ifr_name, ifr.ifr_mtu, framesz, framesz * 16, (64UL << 20) / framesz);
}

static void choose_conf(
        const struct dpdk_port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf, uint8_t *key)
{
	uint64_t ticks;

	memset(conf, 0, sizeof(*conf));
	conf->rxmode.mtu = info->max_mtu < MTU_MAX ? info->max_mtu : MTU_MAX;
	conf->rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER;
	// A NIC's ticks are of use only beside its clock.
	if ((info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP) &&
	        (is_driver(p, "net_af_packet") || rte_eth_read_clock(p->id, &ticks) == 0))
		conf->rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	if (p->queues > 1 && info->flow_type_rss_offloads) {
		// A key of period 16 bits gives both directions of a flow one hash.
		for (unsigned i = 0; i < info->hash_key_size; i++)
			key[i] = i % 2 ? 0x5a : 0x6d;
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_key = info->hash_key_size ? key : NULL;
		conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
		conf->rx_adv_conf.rss_conf.rss_hf =
		        info->flow_type_rss_offloads &
		        (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP);
	}
}

static int set_up_queue(struct dpdk_port *p, uint16_t queue, uint16_t room, const struct rte_eth_dev_info *info,
        struct rte_mempool **ret_pool)
{
	struct rte_eth_rxconf conf = info->default_rxconf;
	unsigned count = p->infinite ? MBUFS_REPLAY : p->descriptors + MBUFS_BESIDE;
	int socket = rte_eth_dev_socket_id(p->id);
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;
	int r;

	snprintf(name, sizeof(name), "rx%u-%u-%u", p->id, queue, room);
	pool = rte_pktmbuf_pool_create(name, count, MBUF_CACHE, 0, (uint16_t)(room + RTE_PKTMBUF_HEADROOM), socket);
	if (!pool)
		return -ENOBUFS;
	r = rte_eth_rx_queue_setup(p->id, queue, p->descriptors, (unsigned)socket, &conf, pool);
	if (r < 0) {
		rte_mempool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

// Some PMDs want a TX queue beside each RX queue, and some know only when asked how large an mbuf must be.
static int configure(struct dpdk_port *p, struct rte_eth_conf *conf, const struct rte_eth_dev_info *info,
        struct rte_mempool **ret_pools, struct error *e)
{
	bool chains = (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) || info->max_rx_pktlen > 65535;
	uint16_t first =
	        chains || info->max_rx_pktlen <= ROOM ? ROOM : (uint16_t)((info->max_rx_pktlen + 1023) & ~1023u);
	const uint16_t rooms[] = {is_driver(p, "net_af_xdp") ? ROOM_AF_XDP : first, 16384, ROOM_MAX};
	uint16_t tx = 0, tx_descriptors = 512, q = 0;
	int r;

	r = rte_eth_dev_configure(p->id, p->queues, tx, conf);
	if (r < 0) {
		tx = p->queues;
		r = rte_eth_dev_configure(p->id, p->queues, tx, conf);
	}
	if (r < 0 && conf->rxmode.mtu > 1500) {
		conf->rxmode.mtu = 1500;
		r = rte_eth_dev_configure(p->id, p->queues, tx, conf);
	}
	if (r < 0)
		return error_set(e, r, "interface %s: the port cannot be set up: %s: %s", p->device, strerror(-r),
		        dpdk_eal_complaint());
	p->descriptors = DESCRIPTORS;
	r = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &p->descriptors, &tx_descriptors);
	if (r < 0)
		return error_set(e, r, "interface %s: the size of its rings: %s", p->device, strerror(-r));
	r = -EINVAL; // the first queue tells what the others want
	for (unsigned i = 0; r < 0 && r != -ENOBUFS && i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		p->room = rooms[i];
		r = set_up_queue(p, 0, p->room, info, &ret_pools[0]);
	}
	for (q = 1; q < p->queues && r == 0; q++)
		r = set_up_queue(p, q, p->room, info, &ret_pools[q]);
	if (r == -ENOBUFS)
		return error_set(e, r,
		        "interface %s: no memory for %u queues; reserve more huge pages (echo 512 "
		        ">/proc/sys/vm/nr_hugepages), take fewer --rx-threads, or give --dpdk-args \"-m MIB\"",
		        p->device, p->queues);
	if (r < 0)
		return error_set(e, r, "interface %s: its receive queues cannot be set up: %s: %s", p->device,
		        strerror(-r), dpdk_eal_complaint());
	for (q = 0; q < tx && r == 0; q++)
		r = rte_eth_tx_queue_setup(p->id, q, tx_descriptors, (unsigned)rte_eth_dev_socket_id(p->id), NULL);
	return r < 0 ? error_set(e, r, "interface %s: its transmit queue: %s", p->device, strerror(-r)) : 0;
}

static void find_time(struct dpdk_port *p, const struct rte_eth_conf *conf)
{
	int field = rte_mbuf_dynfield_lookup(RTE_MBUF_DYNFIELD_TIMESTAMP_NAME, NULL);
	int flag = rte_mbuf_dynflag_lookup(RTE_MBUF_DYNFLAG_RX_TIMESTAMP_NAME, NULL);

	p->time = DPDK_TIME_BURST;
	if (field < 0 || flag < 0)
		return;
	p->ts_offset = field;
	p->ts_flag = 1ULL << flag;
	if (is_driver(p, "net_pcap"))
		p->time = DPDK_TIME_EPOCH_US;
	else if (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP)
		p->time = is_driver(p, "net_af_packet") ? DPDK_TIME_EPOCH_NS : DPDK_TIME_NIC;
}

// How long a ring lasts, less a third for waking up: a NIC's with the shortest frames at the speed of its link; of a
// device that the kernel feeds, at a million frames a second.
static uint32_t sleep_max(const struct dpdk_port *p, const struct rte_eth_dev_info *info)
{
	uint64_t frames = is_driver(p, "net_af_packet") ? device_number(info, "framecnt=", 512) : p->descriptors, ns;
	struct rte_eth_link link;

	memset(&link, 0, sizeof(link));
	rte_eth_link_get_nowait(p->id, &link);
	if (!is_pci(p->device))
		ns = frames * 1000 * 2 / 3;
	else if (link.link_speed != 0 && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		ns = frames * FRAME_BITS_MIN * 1000 * 2 / 3 / link.link_speed;
	else
		ns = frames * FRAME_BITS_MIN * 1000 * 2 / 3 / 10000;
	return ns < SLEEP_MAX_NS ? (uint32_t)ns : SLEEP_MAX_NS;
}

static int start(struct dpdk_port *p, bool promiscuous, const struct rte_eth_dev_info *info,
        const struct rte_mempool *pool, struct error *e)
{
	int r = rte_eth_dev_start(p->id);
	unsigned posted;

	if (r < 0)
		return error_set(e, r, "interface %s: the port does not start: %s: %s", p->device, strerror(-r),
		        dpdk_eal_complaint());
	// A PMD may take fewer than it was asked for and say nothing: net_virtio, whose host has made the ring.
	posted = rte_mempool_in_use_count(pool);
	if (posted > 0 && posted < p->descriptors)
		p->descriptors = (uint16_t)posted;
	if (promiscuous && info->if_index && !is_pci(p->device))
		r = dpdk_kernel_promiscuous(info->if_index);
	else
		r = promiscuous ? rte_eth_promiscuous_enable(p->id) : rte_eth_promiscuous_disable(p->id);
	if (r < 0 && r != -ENOTSUP && promiscuous)
		return error_set(e, r, "interface %s: promiscuous mode: %s; try --no-promisc", p->device, strerror(-r));
	p->promiscuous = promiscuous && r == 0;
	if (promiscuous && is_pci(p->device))
		rte_eth_allmulticast_enable(p->id);
	p->sleep_max_ns = p->busy_poll ? 0 : sleep_max(p, info);
	p->link_up = dpdk_port_link(p);
	return 0;
}

static int set_base(struct dpdk_port *p)
{
	struct rte_eth_stats st;
	int r = rte_eth_stats_get(p->id, &st);

	if (r < 0)
		return r;
	p->base_received = st.ipackets;
	p->base_dropped = st.imissed + st.ierrors + st.rx_nombuf;
	memcpy(p->base_queue, st.q_ipackets, sizeof(p->base_queue));
	return 0;
}

// Devices on top of the kernel's packet sockets, or of a file: the stack has the frames as well.
static bool dpdk_port_copies(const struct dpdk_port *p)
{
	return is_driver(p, "net_af_packet") || is_driver(p, "net_pcap");
}

static int set_up(const struct source_live_config *config, struct dpdk_port *p, struct rte_mempool **ret_pools,
        int *ret_fds, struct error *e)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	struct dpdk_fds before;
	uint8_t key[256];
	int r;

	device_name(config->interface, p->device, sizeof(p->device));
	r = dpdk_eal_start(config->driver_args, is_pci(p->device) ? p->device : NULL, e);
	if (r < 0)
		return r;
	dpdk_fds_before(&before);
	r = probe(config->interface, p, e);
	if (r < 0)
		return r;
	r = rte_eth_dev_info_get(p->id, &info);
	if (r < 0)
		return error_set(e, r, "interface %s: %s", p->device, strerror(-r));
	snprintf(p->driver, sizeof(p->driver), "%s", info.driver_name);
	know_driver(p, config->interface, &info);
	// Its fanout group has PACKET_FANOUT_FLAG_DEFRAG (rte_eth_af_packet.c), which a group keeps for ever.
	if (is_driver(p, "net_af_packet"))
		fprintf(stderr,
		        "sealtap: %s: the kernel puts IPv4 fragments together before net_af_packet has them: they are "
		        "not "
		        "recorded as they came; use --driver afpacket\n",
		        p->device);
	if (config->tap == TAP_TAKE && dpdk_port_copies(p))
		return error_set(e, -ENOTSUP,
		        "interface %s: %s gets copies of frames, it cannot keep them from the network stack; name a "
		        "NIC by its PCI address, or use --driver xdp",
		        p->device, p->driver);
	if (config->tap == TAP_COPY && !dpdk_port_copies(p))
		return error_set(e, -ENOTSUP,
		        "interface %s: DPDK takes the frames of this device, it cannot copy them; use --driver "
		        "afpacket or pcap, or --tap take",
		        p->device);
	r = check_ethernet(p, &info, e);
	if (r == 0)
		r = check_frame_size(p, &info, e);
	if (r < 0)
		return r;
	p->busy_poll = config->busy_poll;
	p->huge = dpdk_eal_huge();
	p->queues = config->threads ? (uint16_t)config->threads : 1;
	if (p->queues > info.max_rx_queues || wants_all_queues(p))
		p->queues = info.max_rx_queues;
	if (p->queues > SOURCES_PER_INTERFACE_MAX)
		return error_set(e, -E2BIG, "interface %s: %u queues; at most %u", p->device, p->queues,
		        SOURCES_PER_INTERFACE_MAX);
	p->queue_counters = info.dev_flags && (*info.dev_flags & RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS) &&
	                    p->queues <= RTE_ETHDEV_QUEUE_STAT_CNTRS;
	for (unsigned q = 0; q < p->queues; q++)
		ret_fds[q] = -1;
	if (is_driver(p, "net_af_packet")) // before there is one of ours
		dpdk_fds_packet_sockets(&before, ret_fds, p->queues);
	choose_conf(p, &info, &conf, key);
	r = configure(p, &conf, &info, ret_pools, e);
	if (r == 0 && (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TIMESTAMP))
		rte_mbuf_dyn_rx_timestamp_register(NULL, NULL);
	if (r == 0)
		r = set_base(p);
	if (r == 0)
		r = start(p, config->promiscuous, &info, ret_pools[0], e);
	if (r < 0)
		return r;
	p->mtu = conf.rxmode.mtu;
	find_time(p, &conf);
	return 0;
}

int dpdk_port_open(const struct source_live_config *config, struct dpdk_port **ret_port, struct rte_mempool **ret_pools,
        int *ret_fds, struct error *e)
{
	struct dpdk_port *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return error_set(e, -ENOMEM, "interface %s: out of memory", config->interface);
	pthread_mutex_init(&p->mutex, NULL);
	r = set_up(config, p, ret_pools, ret_fds, e);
	if (r < 0) {
		free(p);
		return r;
	}
	p->running = p->open = p->queues;
	*ret_port = p;
	return 0;
}

void dpdk_port_describe(const struct dpdk_port *p, char *out, size_t size)
{
	static const char *const times[] = {
	        [DPDK_TIME_BURST] = "tsc at the end of each burst, frames came up to",
	        [DPDK_TIME_NIC] = "nic clock, else tsc per burst, up to",
	        [DPDK_TIME_EPOCH_US] = "libpcap's to 1 us, else tsc per burst, up to",
	        [DPDK_TIME_EPOCH_NS] = "kernel, else tsc per burst, up to",
	};

	snprintf(out, size,
	        "dpdk %s, %u queue%s x %u descriptors, mbufs of %u, %s, %s, link %s, mtu %u, tap %s%s, time: %s %u us "
	        "earlier%s",
	        p->driver, p->queues, p->queues == 1 ? "" : "s", p->descriptors, p->room,
	        p->huge ? "huge pages" : "no huge pages", p->promiscuous ? "promiscuous" : "not promiscuous",
	        p->link_up ? "up" : "down", p->mtu, dpdk_port_copies(p) ? "copy" : "take",
	        p->busy_poll ? ", busy poll" : "", times[p->time], p->sleep_max_ns / 1000 + 50,
	        is_driver(p, "net_af_packet")
	                ? ", 802.1ad tags come as 802.1Q, IPv4 fragments put together by the kernel"
	                : "");
}

int dpdk_port_stats(struct dpdk_port *p, uint16_t queue, uint64_t *ret_received, uint64_t *ret_dropped)
{
	struct rte_eth_stats st;
	int r;

	pthread_mutex_lock(&p->mutex);
	r = rte_eth_stats_get(p->id, &st);
	pthread_mutex_unlock(&p->mutex);
	if (r < 0)
		return r;
	*ret_dropped = queue == 0 ? st.imissed + st.ierrors + st.rx_nombuf - p->base_dropped : 0;
	if (p->queues == 1)
		*ret_received = st.ipackets - p->base_received;
	else
		*ret_received = p->queue_counters ? st.q_ipackets[queue] - p->base_queue[queue] : 0;
	return 0;
}

bool dpdk_port_link(struct dpdk_port *p)
{
	struct rte_eth_link link;
	int r;

	memset(&link, 0, sizeof(link));
	pthread_mutex_lock(&p->mutex);
	r = rte_eth_link_get_nowait(p->id, &link);
	pthread_mutex_unlock(&p->mutex);
	return r < 0 || link.link_status == RTE_ETH_LINK_UP; // what cannot be asked is not said to be down
}

uint64_t dpdk_port_queue_ended(struct dpdk_port *p, uint16_t queue, uint64_t drops_told)
{
	struct rte_eth_stats st;
	uint64_t rest = 0;

	pthread_mutex_lock(&p->mutex);
	if (queue == 0)
		p->drops = drops_told;
	if (--p->running == 0) {
		uint64_t now = 0;

		if (queue != 0 && rte_eth_stats_get(p->id, &st) == 0)
			now = st.imissed + st.ierrors + st.rx_nombuf - p->base_dropped;
		rest = now > p->drops ? now - p->drops : 0;
		rte_eth_dev_stop(p->id);
	}
	pthread_mutex_unlock(&p->mutex);
	return rest;
}

void dpdk_port_unref(struct dpdk_port *p)
{
	if (--p->open > 0)
		return;
	if (p->running > 0) // a NIC under uio writes into our memory until it is stopped
		rte_eth_dev_stop(p->id);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

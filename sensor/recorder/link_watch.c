// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/link_watch.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/recorder/clock.h"
#include "sensor/recorder/link_state.h"
#include "sensor/recorder/recorder.h"
#include "sensor/sources/drivers.h"

#define READ_NS 1000000000ULL
#define DATAGRAM_BYTES 32768u // an interface with statistics of many virtual functions; the features of an interface
#define DATAGRAMS_PER_TURN 256u
#define EVENT_BUFFER_BYTES (1 << 20)
// A link that flaps must not fill the ledger: so many changes at once, and one more every two seconds.
#define TELL_BURST 32u
#define TELL_NS 2000000000ULL
#define STARVED_READINGS 6u
#define ERRORS_OVER_NS 10000000000ULL // without another bad frame it is over

enum phase { PHASE_DOWN, PHASE_NO_CARRIER, PHASE_UP };

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
	uint8_t reply[DATAGRAM_BYTES];
	uint8_t event[DATAGRAM_BYTES];
	unsigned count;
	struct link link[];
};

// --- asking

struct ask {
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
static int ask(struct link_watch *w, int fd, struct ask *a, size_t body_len, struct link_message *ret_answer)
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

// By index, or with index 0 by name.
static int ask_link(struct link_watch *w, int index, const char *name, int *ret_index, struct link_state *ret_state)
{
	struct ask a = {.h.nlmsg_type = RTM_GETLINK, .link.info = {.ifi_index = index}};
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
	r = ask(w, w->ask_fd, &a, len, &m);
	return r < 0 ? r : link_state_take(&m, ret_index, ret_state) ? 0 : -EBADMSG;
}

static int ask_ethtool(struct link_watch *w, int index, uint8_t command, struct link_message *ret_answer)
{
	struct ask a = {
	        .h.nlmsg_type = w->ethtool_family,
	        .ethtool = {.g = {.cmd = command, .version = ETHTOOL_GENL_VERSION},
	                .header = {.nla_len = 2 * NLA_HDRLEN + 4, .nla_type = ETHTOOL_A_FEATURES_HEADER | NLA_F_NESTED},
	                .index_head = {.nla_len = NLA_HDRLEN + 4, .nla_type = ETHTOOL_A_HEADER_DEV_INDEX},
	                .index = (uint32_t)index},
	};

	return w->ethtool_fd < 0 ? -EOPNOTSUPP : ask(w, w->ask_ethtool_fd, &a, sizeof(a.ethtool), ret_answer);
}

// --- telling

static __attribute__((format(printf, 4, 5))) void tell(
        struct link_watch *w, struct link *l, const char *kind, const char *format, ...)
{
	char text[400], before[64] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (l->untold)
		snprintf(before, sizeof(before), " (%u changes before this were not told)", l->untold);
	l->untold = 0;
	if (l->may_tell > 0)
		l->may_tell--;
	fprintf(stderr, "sealtap: %s: %s%s\n", l->told.name, text, before);
	keeper_incident(w->recorder, kind, "%s: %s%s", l->told.name, text, before);
}

static bool may_tell(struct link *l, uint64_t now)
{
	while (l->may_tell < TELL_BURST && now - l->tell_at_ns >= TELL_NS) {
		l->tell_at_ns += TELL_NS;
		l->may_tell++;
	}
	if (l->may_tell == TELL_BURST)
		l->tell_at_ns = now;
	return l->may_tell > 0;
}

static enum phase phase_of(const struct link_state *s)
{
	return !s->up ? PHASE_DOWN : s->carrier ? PHASE_UP : PHASE_NO_CARRIER;
}

static void tell_phase(struct link_watch *w, struct link *l, const struct link_state *s)
{
	enum phase before = phase_of(&l->told), now = phase_of(s);

	if (now == PHASE_DOWN)
		tell(w, l, "interface-down", "the interface was taken down; ip link set dev %s up", l->told.name);
	else if (before == PHASE_DOWN)
		tell(w, l, "interface-up", "the interface was brought up, %s",
		        now == PHASE_UP ? "with a carrier" : "without a carrier so far");
	else if (now == PHASE_NO_CARRIER)
		tell(w, l, "carrier-lost",
		        "the carrier is lost, the interface is up: look at the cable, or its other end");
	else
		tell(w, l, "carrier-back", "the carrier is back (change %u since the interface was made)",
		        s->carrier_changes);
}

static void tell_mtu(struct link_watch *w, struct link *l, uint32_t mtu)
{
	const unsigned head = 14 + 2 * 4; // MAC addresses, EtherType, two tags

	if (l->frame_max && mtu + head > l->frame_max)
		tell(w, l, "mtu-changed",
		        "MTU %u -> %u: frames longer than %u bytes do not fit and will be dropped, counted in "
		        "driver.dropped; ip link set dev %s mtu %u",
		        l->told.mtu, mtu, l->frame_max, l->told.name, l->frame_max - head);
	else
		tell(w, l, "mtu-changed", "MTU %u -> %u", l->told.mtu, mtu);
}

static void removed(struct link_watch *w, struct link *l)
{
	if (l->gone)
		return;
	l->gone = true;
	tell(w, l, "interface-removed",
	        "the interface was removed: its lanes end here; should it come back, start a new recording for it");
}

// s is what the kernel said last. What differs from what was told is told, unless too much was told already.
static void observe(struct link_watch *w, struct link *l, const struct link_state *s, uint64_t now)
{
	struct link_state *told = &l->told;
	bool renamed = strcmp(s->name, told->name) != 0, phase = phase_of(s) != phase_of(told);
	bool mtu = s->mtu != told->mtu, lost = w->promiscuous && told->promiscuity > 0 && s->promiscuity == 0;

	if (!may_tell(l, now)) {
		l->untold += renamed || phase || mtu || lost;
		return;
	}
	if (renamed) {
		char before[IFNAMSIZ];

		memcpy(before, told->name, sizeof(before));
		memcpy(told->name, s->name, sizeof(told->name));
		tell(w, l, "interface-renamed", "the interface was called %s; its lanes keep that name", before);
	}
	if (phase)
		tell_phase(w, l, s);
	if (mtu)
		tell_mtu(w, l, s->mtu);
	if (lost)
		tell(w, l, "promiscuous-lost",
		        "the interface is no longer promiscuous: frames for others do not come; ip link set dev %s "
		        "promisc on",
		        told->name);
	*told = *s;
	if (l->untold) { // it changed and changed back meanwhile
		static const char *const kind[] = {"interface-down", "carrier-lost", "carrier-back"};
		static const char *const is[] = {"down", "up without a carrier", "up with a carrier"};

		tell(w, l, kind[phase_of(s)], "the interface is %s", is[phase_of(s)]);
	}
}

static void tell_offloads(struct link_watch *w, struct link *l, uint32_t offloads)
{
	char list[300] = "", off[300] = "";
	size_t used = 0, off_used = 0;

	for (unsigned i = 0; i < OFFLOADS; i++) {
		bool on = offloads >> i & 1;

		if (on == (l->offloads >> i & 1))
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s %s", used ? ", " : "",
		        link_offload_names[i], on ? "on" : "off");
		if (on)
			off_used += (size_t)snprintf(
			        off + off_used, sizeof(off) - off_used, " %s off", link_offload_names[i]);
	}
	tell(w, l, "offload-changed", "%s%s%s%s", list,
	        off_used ? ": frames may no longer be recorded as they came; ethtool -K " : "",
	        off_used ? l->told.name : "", off);
}

static void tell_queues(struct link_watch *w, struct link *l, uint32_t queues, bool combined)
{
	if (l->sources && queues > l->sources)
		tell(w, l, "queues-changed",
		        "receive queues %u -> %u: frames of queues from %u on go past the recorder; ethtool -L %s %s "
		        "%u, or start a new recording",
		        l->queues, queues, l->sources, l->told.name, combined ? "combined" : "rx", l->sources);
	else
		tell(w, l, "queues-changed", "receive queues %u -> %u", l->queues, queues);
}

// What ethtool says, compared with what it said; told only once there is a recorder to tell it.
static void read_ethtool(struct link_watch *w, struct link *l)
{
	uint32_t offloads = 0, queues = 0, combined = 0;
	bool offloads_known, queues_known;
	struct link_message m;

	if (!may_tell(l, monotonic_ns())) {
		l->ask_ethtool = true; // asked again when something may be told
		return;
	}
	l->ask_ethtool = false;
	pthread_mutex_lock(&w->mutex);
	offloads_known =
	        ask_ethtool(w, l->index, ETHTOOL_MSG_FEATURES_GET, &m) == 0 && link_offloads_take(&m, &offloads);
	queues_known =
	        ask_ethtool(w, l->index, ETHTOOL_MSG_CHANNELS_GET, &m) == 0 && link_queues_take(&m, &queues, &combined);
	pthread_mutex_unlock(&w->mutex);
	if (offloads_known && l->offloads_known && offloads != l->offloads)
		tell_offloads(w, l, offloads);
	if (offloads_known) {
		l->offloads_known = true;
		l->offloads = offloads;
	}
	if (queues_known && l->queues_known && queues != l->queues)
		tell_queues(w, l, queues, combined > 0);
	if (queues_known) {
		l->queues_known = true;
		l->queues = queues;
	}
}

// --- counting

// With the mutex held, s younger than the one before. A counter that fell to less than half was started anew by the
// network driver; one that fell a little was summed over several CPUs while they counted.
static void count(struct link *l, const struct link_state *s)
{
	if (!s->has_nic)
		return;
	for (int i = 0; i < NIC_COUNTERS; i++) {
		uint64_t last = l->last[i], now = s->nic[i], more = now - last;

		if (now < last && now >= last / 2)
			continue;
		if (now < last)
			more = now;
		l->last[i] = now;
		atomic_fetch_add_explicit(&l->nic[i], more, memory_order_relaxed);
	}
	atomic_store_explicit(&l->nic_known, true, memory_order_release); // pairs with the acquire in link_nic
}

static int read_link(struct link_watch *w, struct link *l, struct link_state *ret_state)
{
	int index, r;

	pthread_mutex_lock(&w->mutex);
	r = ask_link(w, l->index, NULL, &index, ret_state);
	if (r == 0)
		count(l, ret_state);
	pthread_mutex_unlock(&w->mutex);
	return r;
}

bool link_nic(const struct link_watch *w, unsigned source, uint64_t ret_nic[NIC_COUNTERS])
{
	const struct link *l = &w->link[source];

	if (!atomic_load_explicit(&l->nic_known, memory_order_acquire))
		return false;
	for (int i = 0; i < NIC_COUNTERS; i++)
		ret_nic[i] = atomic_load_explicit(&l->nic[i], memory_order_relaxed);
	return true;
}

void link_nic_read(struct link_watch *w, unsigned source)
{
	struct link_state s;

	if (link_watched(w, source))
		read_link(w, &w->link[source], &s);
}

bool link_watched(const struct link_watch *w, unsigned source)
{
	return w->link[source].index != 0;
}

// A reading has been taken. Frames in a receiving thread are those before any filter, so that it is silent only when
// nothing came. A driver may count late, or in steps of some seconds; hence growth is asked for in the last four
// readings, at least twice.
static void check_starved(struct link_watch *w, struct link *l, unsigned source)
{
	const struct recorder *r = w->recorder;
	uint64_t raw = 0, counted = atomic_load_explicit(&l->nic[NIC_RECEIVED], memory_order_relaxed);

	for (unsigned i = 0; i < r->rx_count; i++)
		if (r->job_source[r->rx[i].first_source] == source)
			raw += atomic_load_explicit(&r->rx[i].raw_bytes, memory_order_relaxed);
	l->grew = l->grew << 1 | (counted > l->last_counted);
	l->last_counted = counted;
	if (raw != l->raw_bytes) {
		if (l->starved)
			tell(w, l, "starved", "frames come to the recorder again");
		l->raw_bytes = raw;
		l->counted = counted;
		l->silent = 0;
		l->starved = false;
		return;
	}
	if (++l->silent < STARVED_READINGS || l->starved || __builtin_popcount(l->grew & 0xF) < 2)
		return;
	l->starved = true;
	tell(w, l, "starved",
	        "the interface has counted %llu frames more and none came to the recorder: something takes them before "
	        "it (an XDP program, a hardware offload), or they are no frames for this machine; ip -s -d link show "
	        "dev %s",
	        (unsigned long long)(counted - l->counted), l->told.name);
}

// Of missed, fifo and over the supervisor speaks, as of all loss for want of room.
static void check_errors(struct link *l, uint64_t now)
{
	uint64_t errors = atomic_load_explicit(&l->nic[NIC_ERRORS], memory_order_relaxed);
	bool began = errors > l->errors && !l->erring;

	if (errors > l->errors)
		l->error_at_ns = now;
	l->errors = errors;
	if (!began && (!l->erring || now - l->error_at_ns < ERRORS_OVER_NS))
		return;
	l->erring = began;
	fprintf(stderr, "sealtap: %s: %s: %llu since the start%s%s\n", l->told.name,
	        began ? "the interface refuses bad frames" : "no bad frame for ten seconds", (unsigned long long)errors,
	        began ? "; ip -s -s link show dev " : "", began ? l->told.name : "");
}

// --- the thread

static void read_all(struct link_watch *w, bool last)
{
	uint64_t now = monotonic_ns();

	for (unsigned i = 0; i < w->count; i++) {
		struct link *l = &w->link[i];
		struct link_state s;
		int r, index;

		if (!l->index)
			continue;
		if (l->gone) {
			pthread_mutex_lock(&w->mutex);
			r = ask_link(w, 0, l->told.name, &index, &s);
			pthread_mutex_unlock(&w->mutex);
			if (r == 0 && index != l->back_index && may_tell(l, now)) {
				l->back_index = index;
				tell(w, l, "interface-back",
				        "an interface of this name is there again, and is not recorded; start a new "
				        "recording "
				        "for it");
			}
			continue;
		}
		r = read_link(w, l, &s);
		if (r == -ENODEV) {
			removed(w, l);
		} else if (r == 0) {
			observe(w, l, &s, now);
			check_errors(l, now);
			if (!last)
				check_starved(w, l, i);
		}
	}
}

static struct link *find(struct link_watch *w, int index)
{
	for (unsigned i = 0; index != 0 && i < w->count; i++)
		if (w->link[i].index == index && !w->link[i].gone)
			return &w->link[i];
	return NULL;
}

static void take_event(struct link_watch *w, int fd, const struct link_message *m)
{
	struct link_state s;
	struct link *l;
	uint8_t command;
	int index;

	if (fd == w->ethtool_fd) {
		if (m->type == w->ethtool_family && link_ethtool_take(m, &command, &index) && (l = find(w, index)) &&
		        (command == ETHTOOL_MSG_FEATURES_NTF || command == ETHTOOL_MSG_CHANNELS_NTF))
			l->ask_ethtool = true;
		return;
	}
	if (!link_state_take(m, &index, &s) || !(l = find(w, index)))
		return;
	if (m->type == RTM_NEWLINK) {
		observe(w, l, &s, monotonic_ns());
		return;
	}
	pthread_mutex_lock(&w->mutex);
	count(l, &s); // its last word
	pthread_mutex_unlock(&w->mutex);
	removed(w, l);
}

// False when events were lost and all has to be read anew.
static bool read_events(struct link_watch *w, int fd)
{
	for (unsigned i = 0; i < DATAGRAMS_PER_TURN; i++) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(
		        fd, w->event, sizeof(w->event), MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_len);
		struct link_message m;
		struct cursor c;

		if (n < 0)
			return errno != ENOBUFS;
		if (n > (ssize_t)sizeof(w->event))
			return false;
		c = cursor_make(w->event, (size_t)n);
		while (from.nl_pid == 0 && link_message_next(&c, &m)) // the kernel's only
			take_event(w, fd, &m);
	}
	return true;
}

static void turn(struct link_watch *w, bool last)
{
	bool all = read_events(w, w->event_fd);

	if (w->ethtool_fd >= 0 && !read_events(w, w->ethtool_fd))
		for (unsigned i = 0; i < w->count; i++)
			w->link[i].ask_ethtool = w->link[i].index != 0;
	for (unsigned i = 0; i < w->count; i++)
		if (w->link[i].ask_ethtool && !w->link[i].gone)
			read_ethtool(w, &w->link[i]);
	if (!all || last)
		read_all(w, last);
}

static void *watch_main(void *arg)
{
	struct link_watch *w = arg;
	uint64_t next = monotonic_ns();

	cores_enter(w->recorder, "watch", -1, NULL, false);
	while (!atomic_load(&w->stop)) {
		struct pollfd fds[] = {{.fd = w->event_fd, .events = POLLIN}, {.fd = w->ethtool_fd, .events = POLLIN},
		        {.fd = w->wake_fd, .events = POLLIN}};
		uint64_t now = monotonic_ns();

		poll(fds, 3, now < next ? (int)((next - now) / 1000000) + 1 : 0);
		turn(w, false);
		if (monotonic_ns() >= next) {
			read_all(w, false);
			next = monotonic_ns() + READ_NS;
		}
	}
	return NULL;
}

int link_watch_start(struct link_watch *w, struct recorder *r)
{
	bool any = false;

	w->recorder = r;
	for (unsigned i = 0; i < r->source_count; i++) {
		struct link *l = &w->link[r->job_source[i]];

		any |= l->index != 0;
		l->sources += r->source[i]->own_queue;
		l->frame_max = r->source[i]->frame_max;
	}
	if (!any)
		return 0;
	w->running = pthread_create(&w->thread, NULL, watch_main, w) == 0;
	return w->running ? 0 : -EAGAIN;
}

void link_watch_stop(struct link_watch *w)
{
	uint64_t one = 1;
	ssize_t n;

	if (!w->running)
		return;
	atomic_store(&w->stop, true);
	n = write(w->wake_fd, &one, sizeof(one));
	(void)n;
	pthread_join(w->thread, NULL);
	w->running = false;
	turn(w, true);
}

// --- opening

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
	struct ask a = {.h.nlmsg_type = GENL_ID_CTRL,
	        .family = {.g = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
	                .name_head = {.nla_len = NLA_HDRLEN + sizeof(ETHTOOL_GENL_NAME),
	                        .nla_type = CTRL_ATTR_FAMILY_NAME},
	                .name = ETHTOOL_GENL_NAME}};
	struct link_message m;
	uint32_t group;

	if (open_socket(NETLINK_GENERIC, 0, &w->ask_ethtool_fd) < 0)
		return;
	if (ask(w, w->ask_ethtool_fd, &a, sizeof(a.family), &m) < 0 ||
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

// Before the sandbox: it takes a socket and ioctl.
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
		r = ask_link(w, l->index, NULL, &index, &l->told);
		if (r < 0)
			return error_set(
			        e, r, "interface %s: its state cannot be read: %s", job->source[i].name, strerror(-r));
		memcpy(l->last, l->told.nic, sizeof(l->last));
		atomic_store(&l->nic_known, l->told.has_nic);
		l->may_tell = TELL_BURST;
		l->tell_at_ns = monotonic_ns();
		read_ethtool(w, l);
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

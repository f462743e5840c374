// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/link_watch.h"

#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/recorder/clock.h"
#include "sensor/recorder/link_private.h"
#include "sensor/recorder/recorder.h"

#define READ_NS 1000000000ULL
#define DATAGRAMS_PER_TURN 256u
#define STARVED_READINGS 6u
#define ERRORS_OVER_NS 10000000000ULL // without another bad frame it is over

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
	r = link_ask_state(w, l->index, NULL, &index, ret_state);
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
			link_tell(w, l, "starved", "frames come to the recorder again");
		l->raw_bytes = raw;
		l->counted = counted;
		l->silent = 0;
		l->starved = false;
		return;
	}
	if (++l->silent < STARVED_READINGS || l->starved || __builtin_popcount(l->grew & 0xF) < 2)
		return;
	l->starved = true;
	link_tell(w, l, "starved",
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
			r = link_ask_state(w, 0, l->told.name, &index, &s);
			pthread_mutex_unlock(&w->mutex);
			if (r == 0 && index != l->back_index && link_may_tell(l, now)) {
				l->back_index = index;
				link_tell(w, l, "interface-back",
				        "an interface of this name is there again, and is not recorded; start a new "
				        "recording "
				        "for it");
			}
			continue;
		}
		r = read_link(w, l, &s);
		if (r == -ENODEV) {
			link_removed(w, l);
		} else if (r == 0) {
			link_observe(w, l, &s, now);
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
		link_observe(w, l, &s, monotonic_ns());
		return;
	}
	pthread_mutex_lock(&w->mutex);
	count(l, &s); // its last word
	pthread_mutex_unlock(&w->mutex);
	link_removed(w, l);
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
			link_read_ethtool(w, &w->link[i]);
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

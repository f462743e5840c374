// SPDX-License-Identifier: Apache-2.0
// Live packets by libpcap: whatever it can open, of any link type. Owns the handle, a buffer of one batch and an
// eventfd. Recorder process: recv/release/stats by the RX thread, interrupt by any thread. libpcap's packets are valid
// in its callback only, so each is copied once more than with the other drivers.
//
// Syscalls after open: recv poll, getsockopt, getsockname, clock_gettime, and what libpcap reads its devices with
// (ring: none; else recvfrom, recvmsg, read); stats getsockopt, and an openat by libpcap that the sandbox
// refuses; interrupt setsockopt, bind, write; close munmap, close, setsockopt.
//
// Counters: on packet sockets ps_recv counts what went into the ring plus ps_drop, in 32 bits. ps_ifdrop is not used:
// libpcap opens files in /sys for it each time, which the sandbox refuses; recorder/link_watch.c reads what stands
// there.
#include <assert.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensor/sources/packet_socket.h"
#include "sensor/sources/pcap_driver.h"

// Past this what the kernel still holds is given up as lost, and the counters say so.
#define DRAIN_LIMIT_NS 3000000000LL

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

// epb_flags from the cooked headers: their packet type is PACKET_HOST and so on, as in linux/if_packet.h.
static uint32_t flags_of(const struct pcap_driver *d, const uint8_t *data, uint32_t caplen)
{
	static const uint8_t flags[] = {1 | 1 << 2, 1 | 3 << 2, 1 | 2 << 2, 1 | 4 << 2, 2};
	unsigned type;

	if (d->lane.linktype == LINKTYPE_LINUX_SLL && caplen >= 2)
		type = (unsigned)data[0] << 8 | data[1];
	else if (d->lane.linktype == LINKTYPE_LINUX_SLL2 && caplen >= 11)
		type = data[10];
	else
		return 0;
	return type < sizeof(flags) ? flags[type] : 0;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct pcap_driver *d = (struct pcap_driver *)user;
	struct packet *p = &d->batch[d->count++];
	uint8_t *at = d->buffer + d->used;

	assert(d->count <= d->max && h->caplen <= PCAP_DRIVER_SNAPLEN_MAX);
	memcpy(at, bytes, h->caplen);
	*p = (struct packet){
	        .data = at,
	        .ts_ns = (uint64_t)h->ts.tv_sec * 1000000000ULL + (uint64_t)h->ts.tv_usec * d->time_unit_ns,
	        .caplen = h->caplen,
	        .origlen = h->len,
	        .flags = flags_of(d, at, h->caplen),
	};
	d->used += h->caplen;
	if (d->used > PCAP_DRIVER_BUFFER_BYTES)
		pcap_breakloop(d->pcap); // ends the dispatch; the packets behind this one stay where they are
}

static int read_stats(struct pcap_driver *d)
{
	struct pcap_stat st;

	if (pcap_stats(d->pcap, &st) < 0)
		return -ENOTSUP;
	pcap_driver_count(&d->received, &d->last_received, st.ps_recv);
	pcap_driver_count(&d->dropped, &d->last_dropped, st.ps_drop);
	return 0;
}

// Intake is over and nothing could be read: 0 while something may still come, else how it ends.
static int drained(struct pcap_driver *d)
{
	int end = d->gone ? -ENODEV : -ENODATA;

	if (!d->packet_socket) // nothing says how much is left; what the kernel held has been read
		return end;
	if (read_stats(d) < 0 || d->delivered == d->received - d->dropped)
		return end;
	if (!d->drain_until_ns)
		d->drain_until_ns = now_ns(CLOCK_MONOTONIC) + DRAIN_LIMIT_NS;
	return now_ns(CLOCK_MONOTONIC) > d->drain_until_ns ? end : 0;
}

// After the device is unregistered the kernel has set the socket's index to -1.
static bool interface_gone(const struct pcap_driver *d)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll);

	return d->packet_socket && getsockname(d->fd, (struct sockaddr *)&sll, &len) == 0 &&
	       sll.sll_ifindex != d->ifindex;
}

// Returns 1 after an event, 0 when the time passed, or a negative errno. It takes an error of the socket before libpcap
// does, which would wait for the interface by itself and tell nobody.
static int wait_event(struct pcap_driver *d, int timeout_ms, bool draining)
{
	struct pollfd fds[] = {{.fd = d->fd, .events = POLLIN | POLLERR}, {.fd = d->wake_fd, .events = POLLIN}};
	int err = 0;
	socklen_t len = sizeof(err);
	// Once draining, the eventfd stays readable.
	int r = poll(fds, draining ? 1 : 2, timeout_ms);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0 || fds[0].revents & POLLERR)
		d->gone |= interface_gone(d);
	if (!(fds[0].revents & POLLERR) || !d->packet_socket)
		return r > 0;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return err && !d->gone && !draining ? -err : 1;
}

// Packets into the batch, 0 when there are none now, or a negative errno.
static int dispatch(struct pcap_driver *d, struct packet *batch, unsigned max)
{
	int r;

	d->batch = batch;
	d->max = max;
	d->count = 0;
	d->used = 0;
	r = pcap_dispatch(d->pcap, (int)max, on_packet, (u_char *)d);
	if (r == PCAP_ERROR && d->count == 0) {
		d->gone |= interface_gone(d);
		return d->gone ? 0 : -EIO;
	}
	return (int)d->count;
}

static int pcap_driver_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct pcap_driver *d = (struct pcap_driver *)s;
	int64_t until_ns = now_ns(CLOCK_MONOTONIC) + timeout_ms * 1000000LL;

	assert(!d->on_loan);
	for (;;) {
		// Acquire before looking for packets: what arrived before the cut is then seen or still counted.
		bool draining = atomic_load_explicit(&d->cut, memory_order_acquire) || d->gone;
		int64_t rest_ns = until_ns - now_ns(CLOCK_MONOTONIC);
		int r, n;

		r = wait_event(d, draining || rest_ns <= 0 ? 0 : (int)((rest_ns + 999999) / 1000000), draining);
		if (r < 0)
			return r;
		n = r > 0 || draining ? dispatch(d, batch, max) : 0;
		if (n < 0)
			return n;
		if (n > 0) {
			// Without a filter in the kernel the time tells what came after the cut.
			while (draining && !d->packet_socket && n > 0 && batch[n - 1].ts_ns > d->cut_at_ns)
				n--;
			if (n == 0)
				return -ENODATA;
			d->delivered += (uint64_t)n;
			d->on_loan = true;
			return n;
		}
		if (draining && (r = drained(d)) < 0)
			return r;
		if (draining)
			poll(NULL, 0, 1); // the kernel retires a partly filled block in its own time
		if (now_ns(CLOCK_MONOTONIC) >= until_ns)
			return 0;
	}
}

static void pcap_driver_release(struct source *s)
{
	((struct pcap_driver *)s)->on_loan = false;
}

static int pcap_driver_stats(struct source *s, unsigned lane, struct source_stats *ret_stats)
{
	struct pcap_driver *d = (struct pcap_driver *)s;
	int r = read_stats(d);

	if (r < 0)
		return r;
	*ret_stats = (struct source_stats){
	        .received = d->received,
	        .dropped = d->dropped,
	        .mask = COUNTERS_DRIVER_RECEIVED | COUNTERS_DRIVER_DROPPED,
	};
	return 0;
}

static void pcap_driver_interrupt(struct source *s)
{
	struct pcap_driver *d = (struct pcap_driver *)s;
	int saved = errno;
	uint64_t one = 1;
	ssize_t w;

	if (!atomic_exchange(&d->interrupted, true)) {
		if (d->packet_socket) {
			packet_socket_refuse(d->fd);
			packet_fence_wait(d->fence_fd);
		}
		d->cut_at_ns = (uint64_t)now_ns(CLOCK_REALTIME);
		atomic_store_explicit(&d->cut, true, memory_order_release);
		w = write(d->wake_fd, &one, sizeof(one));
		(void)w;
	}
	errno = saved;
}

const struct source_ops pcap_driver_ops = {
        .recv = pcap_driver_recv,
        .release = pcap_driver_release,
        .stats = pcap_driver_stats,
        .interrupt = pcap_driver_interrupt,
        .close = pcap_driver_close,
        .kind = "pcap",
        .live = true,
};

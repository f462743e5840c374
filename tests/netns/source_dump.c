// SPDX-License-Identifier: Apache-2.0
// Drives source_afpacket alone, the way the recorder does, and prints what came out: count, multiset hash, flags and
// the driver's counters. SIGINT is its interrupt. For tests of the source without keeper, disk or sandbox.
#include "frames.h"
#include "sealtap/source.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 100

struct dump {
	struct source *source;
	struct frame_set set;
	uint64_t flags[32];
	uint64_t tagged;
	uint64_t late; // time stamps not within ten seconds of now
	uint32_t caplen_max, origlen_max;
};

static void add_packet(struct dump *d, const struct packet *p)
{
	static uint8_t copy[300000];
	size_t len = p->caplen;
	uint64_t now;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
	d->late += p->ts_ns > now || now - p->ts_ns > 10000000000ULL;
	d->flags[p->flags & 31]++;
	if (p->vlan_tpid && len >= 12) {
		memcpy(copy, p->data, 12);
		copy[12] = (uint8_t)(p->vlan_tpid >> 8);
		copy[13] = (uint8_t)p->vlan_tpid;
		copy[14] = (uint8_t)(p->vlan_tci >> 8);
		copy[15] = (uint8_t)p->vlan_tci;
		memcpy(copy + 16, p->data + 12, len - 12);
		len += 4;
		d->tagged++;
	}
	if (len > d->caplen_max)
		d->caplen_max = (uint32_t)len;
	if (p->origlen > d->origlen_max)
		d->origlen_max = p->origlen;
	frame_set_add(&d->set, len == p->caplen ? p->data : copy, len);
}

// Interrupts from another thread than the one in recv, as the recorder does.
static void *wait_signal(void *arg)
{
	struct source *s = arg;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigwait(&set, &sig);
	s->ops->interrupt(s);
	return NULL;
}

static int run(struct dump *d, int slow_us)
{
	struct packet batch[BATCH];

	for (;;) {
		int r = d->source->ops->recv(d->source, batch, BATCH, 200);
		if (r == -ENETDOWN) {
			printf("down\n");
			fflush(stdout);
			continue;
		}
		if (r < 0)
			return r;
		for (int i = 0; i < r; i++)
			add_packet(d, &batch[i]);
		if (slow_us && r > 0)
			usleep((useconds_t)slow_us);
		if (r > 0)
			d->source->ops->release(d->source);
	}
}

int main(int argc, char **argv)
{
	struct source_live_config config = {.promiscuous = true, .flush_ms = 1000};
	struct dump d = {0};
	struct source_stats stats = {0};
	struct error e = {0};
	pthread_t thread;
	sigset_t set;
	int option, r, slow_us = 0;

	while ((option = getopt(argc, argv, "i:s:r:nw:")) != -1) {
		if (option == 'i')
			config.interface = optarg;
		else if (option == 's')
			config.snaplen = (unsigned)atoi(optarg);
		else if (option == 'r')
			config.ring_bytes = (unsigned)atoi(optarg);
		else if (option == 'n')
			config.promiscuous = false;
		else if (option == 'w')
			slow_us = atoi(optarg);
		else
			return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	r = source_afpacket_open(&config, &d.source, &e);
	if (r < 0) {
		printf("refused %s: %s\n", strerror(-r), e.text);
		return 1;
	}
	if (pthread_create(&thread, NULL, wait_signal, d.source))
		return 1;
	printf("capturing linktype %u: %s\n", d.source->lanes[0].linktype, d.source->detail);
	fflush(stdout);
	r = run(&d, slow_us);
	frame_set_print(&d.set);
	d.source->ops->stats(d.source, 0, &stats);
	printf("end=%s received=%" PRIu64 " dropped=%" PRIu64 " tagged=%" PRIu64 " late=%" PRIu64
	       " caplen_max=%u origlen_max=%u\n",
	        r == -ENODATA ? "ENODATA" : strerror(-r), stats.received, stats.dropped, d.tagged, d.late, d.caplen_max,
	        d.origlen_max);
	for (unsigned i = 0; i < 32; i++)
		if (d.flags[i])
			printf("flags=%u frames=%" PRIu64 "\n", i, d.flags[i]);
	if (r != -ENODATA)
		kill(getpid(), SIGINT);
	pthread_join(thread, NULL);
	d.source->ops->close(d.source);
	return r == -ENODATA ? 0 : 1;
}

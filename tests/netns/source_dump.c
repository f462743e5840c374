// SPDX-License-Identifier: Apache-2.0
// Drives the sources of one live driver alone, a thread each, the way the recorder does, and prints what came out:
// count, multiset hash, flags and the driver's counters, summed over them. SIGINT is its interrupt. For tests of a
// driver without keeper, disk or sandbox.
#include "frames.h"
#include "sealtap/source.h"
#include "sensor/sources/drivers.h"

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
	int slow_us;
	int result;
	uint8_t copy[300000];
	struct frame_set set;
	uint64_t flags[32];
	uint64_t tagged;
	uint64_t late; // time stamps not within ten seconds of now
	uint32_t caplen_max, origlen_max;
};

static void add_packet(struct dump *d, const struct packet *p)
{
	uint8_t *copy = d->copy;
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

static int run(struct dump *d)
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
		if (d->slow_us && r > 0)
			usleep((useconds_t)d->slow_us);
		if (r > 0)
			d->source->ops->release(d->source);
	}
}

static void *run_thread(void *arg)
{
	struct dump *d = arg;

	d->result = run(d);
	return NULL;
}

static void add_dump(struct dump *sum, const struct dump *d)
{
	sum->set.sum += d->set.sum;
	sum->set.frames += d->set.frames;
	sum->set.bytes += d->set.bytes;
	for (unsigned i = 0; i < 32; i++)
		sum->flags[i] += d->flags[i];
	sum->tagged += d->tagged;
	sum->late += d->late;
	if (d->caplen_max > sum->caplen_max)
		sum->caplen_max = d->caplen_max;
	if (d->origlen_max > sum->origlen_max)
		sum->origlen_max = d->origlen_max;
	if (d->result != -ENODATA)
		sum->result = d->result;
}

int main(int argc, char **argv)
{
	struct source_live_config config = {.promiscuous = true, .flush_ms = 1000};
	const struct live_driver *driver = live_driver_find("afpacket");
	struct source *sources[SOURCES_PER_INTERFACE_MAX];
	pthread_t threads[SOURCES_PER_INTERFACE_MAX];
	static struct dump sum = {.result = -ENODATA};
	struct dump *dumps;
	struct source_stats stats = {0};
	struct error e = {0};
	pthread_t thread;
	sigset_t set;
	int option, count, slow_us = 0;

	while ((option = getopt(argc, argv, "bd:i:s:r:nt:w:")) != -1) {
		if (option == 'd')
			driver = live_driver_find(optarg);
		else if (option == 'i')
			config.interface = optarg;
		else if (option == 's')
			config.snaplen = (unsigned)atoi(optarg);
		else if (option == 'r')
			config.ring_bytes = (unsigned)atoi(optarg);
		else if (option == 'b')
			config.busy_poll = true;
		else if (option == 'n')
			config.promiscuous = false;
		else if (option == 't')
			config.threads = (unsigned)atoi(optarg);
		else if (option == 'w')
			slow_us = atoi(optarg);
		else
			return 2;
	}
	if (!driver) {
		printf("refused: this build has %s\n", live_driver_names());
		return 1;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	count = driver->open(&config, sources, &e);
	if (count < 0) {
		printf("refused %s: %s\n", strerror(-count), e.text);
		return 1;
	}
	dumps = calloc((size_t)count, sizeof(*dumps));
	if (!dumps || pthread_create(&thread, NULL, wait_signal, sources[0]))
		return 1;
	for (int i = 0; i < count; i++) {
		dumps[i].source = sources[i];
		dumps[i].slow_us = slow_us;
		if (pthread_create(&threads[i], NULL, run_thread, &dumps[i]))
			return 1;
	}
	printf("capturing linktype %u: %s\n", sources[0]->lanes[0].linktype, sources[0]->detail);
	fflush(stdout);
	for (int i = 0; i < count; i++) {
		struct source_stats st = {0};

		pthread_join(threads[i], NULL);
		add_dump(&sum, &dumps[i]);
		sources[i]->ops->stats(sources[i], 0, &st);
		stats.received += st.received;
		stats.dropped += st.dropped;
		if (count > 1)
			printf("ring=%d ring_frames=%" PRIu64 "\n", i, dumps[i].set.frames);
	}
	frame_set_print(&sum.set);
	printf("end=%s received=%" PRIu64 " dropped=%" PRIu64 " tagged=%" PRIu64 " late=%" PRIu64
	       " caplen_max=%u origlen_max=%u\n",
	        sum.result == -ENODATA ? "ENODATA" : strerror(-sum.result), stats.received, stats.dropped, sum.tagged,
	        sum.late, sum.caplen_max, sum.origlen_max);
	for (unsigned i = 0; i < 32; i++)
		if (sum.flags[i])
			printf("flags=%u frames=%" PRIu64 "\n", i, sum.flags[i]);
	if (sum.result != -ENODATA)
		kill(getpid(), SIGINT);
	pthread_join(thread, NULL);
	for (int i = 0; i < count; i++)
		sources[i]->ops->close(sources[i]);
	free(dumps);
	return sum.result == -ENODATA ? 0 : 1;
}

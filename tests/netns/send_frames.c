// SPDX-License-Identifier: Apache-2.0
// Sends exact, numbered frames into one interface by AF_PACKET and sendmmsg, and prints what it sent: count, bytes and
// multiset hash. Every frame differs from every other. For namespaces that a test made; stops after its count, or at
// SIGTERM. With -n it sends nothing and prints the same.
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define FRAME_MAX 65536
#define ETHERTYPE_EXPERIMENTAL 0x88B5

struct plan {
	const char *interface;
	uint64_t count;
	uint64_t first; // number of the first frame
	uint64_t seed;
	size_t size_min, size_max; // of the frame, with MAC addresses and tags, without FCS
	uint32_t tags[4];          // TPID << 16 | TCI, outermost first
	unsigned tag_count;
	uint8_t dst[6];
	uint64_t per_second; // 0: as fast as it goes
	unsigned flows;      // of UDP over IP, both directions; 0: an experimental EtherType without flows
	bool ipv6;
	bool dry;
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	stopped = 1;
}

static void usage(void)
{
	fprintf(stderr,
	        "usage: send_frames -i IFACE [-c COUNT] [-f FIRST] [-e SEED] [-s MIN[-MAX]] [-t TPID:TCI]... [-d MAC] "
	        "[-r PER_SECOND] [-u FLOWS [-6]] [-n]\n");
	exit(2);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15ULL;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
	x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
	return x ^ x >> 31;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

// IP and UDP headers without UDP checksums: flow i is HOST1:1024+i <-> HOST2:53, its frames alternate.
static void put_udp(uint8_t *at, unsigned port, unsigned back, size_t left)
{
	put16(at, back ? 53 : port);
	put16(at + 2, back ? port : 53);
	put16(at + 4, (unsigned)left);
	put16(at + 6, 0);
}

static size_t put_flow6(const struct plan *p, uint64_t number, size_t left, uint8_t *at)
{
	unsigned port = 1024 + (unsigned)(number % p->flows), back = (unsigned)(number / p->flows & 1);

	memset(at, 0, 40);
	at[0] = 0x60;
	put16(at + 4, (unsigned)left - 40);
	at[6] = 17;
	at[7] = 64;
	at[8] = at[24] = 0xfd;
	at[23] = back ? 2 : 1;
	at[39] = back ? 1 : 2;
	put_udp(at + 40, port, back, left - 40);
	return 48;
}

static size_t put_flow(const struct plan *p, uint64_t number, size_t left, uint8_t *at)
{
	unsigned port = 1024 + (unsigned)(number % p->flows), back = (unsigned)(number / p->flows & 1);
	uint32_t sum = 0;

	memcpy(at, (const uint8_t[]){0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, 20);
	put16(at + 2, (unsigned)left);
	at[15] = back ? 2 : 1;
	at[19] = back ? 1 : 2;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	put16(at + 10, ~((sum & 0xFFFF) + (sum >> 16)) & 0xFFFF);
	put_udp(at + 20, port, back, left - 20);
	return 28;
}

static size_t build_frame(const struct plan *p, uint64_t number, uint8_t *frame)
{
	uint64_t r = mix(p->seed ^ mix(number));
	size_t size = p->size_min + (size_t)(r % (p->size_max - p->size_min + 1));
	size_t at = 12;

	memcpy(frame, p->dst, 6);
	memcpy(frame + 6, (const uint8_t[]){2, 0, 0, 0, 0, 0x5e}, 6);
	for (unsigned i = 0; i < p->tag_count; i++, at += 4) {
		uint32_t be = htonl(p->tags[i]);
		memcpy(frame + at, &be, 4);
	}
	put16(frame + at, !p->flows ? ETHERTYPE_EXPERIMENTAL : p->ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	at += 2;
	if (p->flows)
		at += (p->ipv6 ? put_flow6 : put_flow)(p, number, size - at, frame + at);
	for (int i = 7; i >= 0; i--)
		frame[at++] = (uint8_t)(number >> (i * 8));
	while (at < size) {
		r = mix(r);
		for (unsigned i = 0; i < 8 && at < size; i++)
			frame[at++] = (uint8_t)(r >> (i * 8));
	}
	return size;
}

static int open_interface(const struct plan *p)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(p->interface)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || !sll.sll_ifindex || bind(fd, (struct sockaddr *)&sll, sizeof(sll)) < 0) {
		fprintf(stderr, "send_frames: %s: %s\n", p->interface, strerror(errno));
		exit(1);
	}
	return fd;
}

static void wait_turn(const struct timespec *start, uint64_t sent, uint64_t per_second)
{
	struct timespec t = *start;
	uint64_t ns = sent * 1000000000ULL / per_second + (uint64_t)t.tv_nsec;

	t.tv_sec += (time_t)(ns / 1000000000ULL);
	t.tv_nsec = (long)(ns % 1000000000ULL);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int send_all(const struct plan *p, struct frame_set *set)
{
	static uint8_t frames[BATCH][FRAME_MAX];
	struct mmsghdr msgs[BATCH];
	struct iovec iov[BATCH];
	struct timespec start;
	int fd = p->dry ? -1 : open_interface(p);

	clock_gettime(CLOCK_MONOTONIC, &start);
	memset(msgs, 0, sizeof(msgs));
	while (set->frames < p->count && !stopped) {
		unsigned done = 0, n = p->per_second && p->per_second < 10000 ? 1 : BATCH;
		uint64_t base = set->frames;
		if (n > p->count - base)
			n = (unsigned)(p->count - base);
		for (unsigned i = 0; i < n; i++) {
			iov[i] = (struct iovec){frames[i], build_frame(p, p->first + base + i, frames[i])};
			msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		}
		if (p->per_second && !p->dry)
			wait_turn(&start, base, p->per_second);
		while (done < n) {
			int r = p->dry ? (int)(n - done) : sendmmsg(fd, msgs + done, n - done, 0);

			if (r < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) {
				fprintf(stderr, "send_frames: frame %llu: %s\n", (unsigned long long)(base + done),
				        strerror(errno));
				return 1;
			}
			for (int i = 0; i < r; i++, done++)
				frame_set_add(set, iov[done].iov_base, iov[done].iov_len);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct plan p = {.count = 1, .size_min = 64, .size_max = 64, .dst = {2, 0, 0, 0, 0, 1}};
	struct frame_set set = {0};
	char *end;
	int option, r;

	while ((option = getopt(argc, argv, "i:c:f:e:s:t:d:r:u:6n")) != -1) {
		switch (option) {
		case 'i':
			p.interface = optarg;
			break;
		case 'c':
			p.count = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			p.first = strtoull(optarg, NULL, 10);
			break;
		case 'e':
			p.seed = strtoull(optarg, NULL, 10);
			break;
		case 's':
			p.size_min = p.size_max = strtoull(optarg, &end, 10);
			if (*end == '-')
				p.size_max = strtoull(end + 1, NULL, 10);
			break;
		case 't':
			if (p.tag_count == 4)
				usage();
			p.tags[p.tag_count] = (uint32_t)strtoul(optarg, &end, 16) << 16;
			if (*end != ':')
				usage();
			p.tags[p.tag_count++] |= (uint32_t)strtoul(end + 1, NULL, 10) & 0xFFFF;
			break;
		case 'd':
			if (sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &p.dst[0], &p.dst[1], &p.dst[2], &p.dst[3],
			            &p.dst[4], &p.dst[5]) != 6)
				usage();
			break;
		case 'r':
			p.per_second = strtoull(optarg, NULL, 10);
			break;
		case 'u':
			p.flows = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case '6':
			p.ipv6 = true;
			break;
		case 'n':
			p.dry = true;
			break;
		default:
			usage();
		}
	}
	if (!(p.interface || p.dry) || optind != argc ||
	        p.size_min < 22 + 4 * p.tag_count +
	                             (!p.flows        ? 0
	                                     : p.ipv6 ? 48
	                                              : 28) ||
	        p.size_max < p.size_min || p.size_max > FRAME_MAX)
		usage();
	signal(SIGTERM, stop);
	r = send_all(&p, &set);
	frame_set_print(&set);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
// The card's rings and queues, and how it divides frames among them.
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sensor/doctor/doctor.h"

// Bits of ethtool_rxfh.hfunc, as in the kernel's own ethtool.h.
#define HASH_TOEPLITZ 1u
#define HASH_XOR 2u
#define KEY_MAX 256u
#define INDIRECTION_MAX 4096u

static int ethtool(const struct doctor *d, void *command)
{
	struct ifreq ifr = {.ifr_data = command};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", d->interface);
	return ioctl(d->fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static void ring(struct doctor *d)
{
	static const char why[] = "a short ring overflows in a burst: the card drops before any program can count";
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	int r = ethtool(d, &ring);

	if (r < 0)
		finding_add(d, "rx-ring", FINDING_UNKNOWN, why, "driver %s does not tell: %s", d->driver, strerror(-r));
	else if (ring.rx_pending < ring.rx_max_pending)
		finding_mend(finding_add(d, "rx-ring", FINDING_WARN, why, "%u of at most %u descriptors",
		                     ring.rx_pending, ring.rx_max_pending),
		        "ethtool -G %s rx %u", d->interface, ring.rx_max_pending);
	else
		finding_add(d, "rx-ring", FINDING_OK, why, "%u descriptors, the most there can be", ring.rx_pending);
}

// Their number; 0 when the driver does not tell.
static unsigned queues(struct doctor *d)
{
	static const char why[] = "one queue is served by one core; frames beyond its speed are dropped";
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	int r = ethtool(d, &channels);
	unsigned now = channels.rx_count + channels.combined_count;

	if (r < 0) {
		finding_add(d, "queues", FINDING_UNKNOWN, why, "driver %s does not tell: %s", d->driver, strerror(-r));
		return 0;
	}
	finding_add(d, "queues", FINDING_OK, why, "%u receive queues of at most %u", now,
	        channels.max_rx + channels.max_combined);
	return now;
}

// Toeplitz sums up the key as shifted by the set bits of addresses and ports. Addresses lie 32 bits apart and ports 16:
// with a key of period 16 exchanging them changes nothing.
static bool symmetric(const uint8_t *key, unsigned len)
{
	for (unsigned i = 2; i < len; i++)
		if (key[i] != key[i - 2])
			return false;
	return len >= 4;
}

static void hash(struct doctor *d, unsigned count)
{
	static const char why[] = "unless both directions hash alike, a conversation lies in two lanes "
	                          "(xdp, dpdk; the afpacket fanout hashes by itself and alike)";
	struct ethtool_rxfh *all, sizes = {.cmd = ETHTOOL_GRSSH};
	char key[KEY_MAX * 3 + 1] = "";
	const uint8_t *bytes;
	bool alike;
	int r = count == 1 ? 0 : ethtool(d, &sizes);

	if (count == 1) {
		finding_add(d, "rss", FINDING_OK, why, "one queue: nothing is divided");
		return;
	}
	if (r < 0 || sizes.key_size == 0 || sizes.key_size > KEY_MAX || sizes.indir_size > INDIRECTION_MAX) {
		finding_add(d, "rss", FINDING_UNKNOWN, why, "whether the card's hash is symmetric cannot be read%s%s",
		        r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
		return;
	}
	all = calloc(1, sizeof(*all) + sizes.indir_size * 4 + sizes.key_size);
	if (!all)
		return;
	*all = sizes;
	all->cmd = ETHTOOL_GRSSH;
	r = ethtool(d, all);
	bytes = (const uint8_t *)&all->rss_config[all->indir_size];
	alike = r == 0 && ((all->hfunc & HASH_XOR) || (&all->hfunc)[1] != 0 || // input_xfrm of newer kernels
	                          ((all->hfunc & HASH_TOEPLITZ) && symmetric(bytes, all->key_size)));
	for (unsigned i = 0; i < sizes.key_size; i++)
		snprintf(key + i * 3, 4, "%s%s", i % 2 ? "5a" : "6d", i + 1 < sizes.key_size ? ":" : "");
	if (r < 0)
		finding_add(d, "rss", FINDING_UNKNOWN, why, "the card's key cannot be read: %s", strerror(-r));
	else if (alike)
		finding_add(d, "rss", FINDING_OK, why, "the card's hash is symmetric");
	else
		finding_mend(finding_add(d, "rss", FINDING_WARN, why,
		                     "the card's key of %u bytes hashes the two directions apart", sizes.key_size),
		        "ethtool -X %s hkey %s", d->interface, key);
	free(all);
}

void queue_check(struct doctor *d)
{
	ring(d);
	hash(d, queues(d));
}

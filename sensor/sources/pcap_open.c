// SPDX-License-Identifier: Apache-2.0
// Opens a capture device by libpcap. Recorder process, before the sandbox. It reads no packet.
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/sources/packet_socket.h"
#include "sensor/sources/pcap_driver.h"

#define BUFFER_BYTES_DEFAULT (64u << 20)
#define TIMEOUT_MAX_MS 100
#define SNAPLEN_MIN 16u // as with afpacket

void pcap_driver_close(struct source *s)
{
	struct pcap_driver *d = (struct pcap_driver *)s;

	if (!d)
		return;
	if (d->pcap)
		pcap_close(d->pcap);
	if (d->fence_fd >= 0)
		close(d->fence_fd);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
	free(d->buffer);
	free(d);
}

static int no_such_device(const char *name, struct error *e)
{
	char text[PCAP_ERRBUF_SIZE], list[320] = "";
	pcap_if_t *all = NULL;
	size_t used = 0;

	if (pcap_findalldevs(&all, text) == 0)
		for (pcap_if_t *i = all; i && used < sizeof(list) - 64; i = i->next)
			used += (size_t)snprintf(
			        list + used, sizeof(list) - used, "%s%.60s", used ? ", " : "", i->name);
	pcap_freealldevs(all);
	return error_set(e, -ENODEV, "interface '%.64s' does not exist in this network namespace; choose one of: %s",
	        name, used ? list : "(none)");
}

static int activate(struct pcap_driver *d, const char *name, struct error *e)
{
	int r = pcap_activate(d->pcap);

	switch (r) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return no_such_device(name, e);
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return error_set(e, -EPERM, "interface %s: %s; capture needs CAP_NET_RAW: run as root (sudo)", name,
		        pcap_geterr(d->pcap));
	case PCAP_ERROR_IFACE_NOT_UP:
		return error_set(e, -ENETDOWN, "interface %s is down; bring it up: ip link set %s up", name, name);
	default:
		break;
	}
	if (r < 0)
		return error_set(
		        e, -EIO, "interface %s: libpcap: %s (%s)", name, pcap_geterr(d->pcap), pcap_statustostr(r));
	return 0;
}

// libpcap keeps its table from DLT_ to LINKTYPE_ values to itself, but it writes file headers.
static int linktype_of(pcap_t *pcap, uint16_t *ret_linktype)
{
	char *header = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&header, &size);
	pcap_dumper_t *dumper = file ? pcap_dump_fopen(pcap, file) : NULL;
	uint32_t network;
	int r = -EPFNOSUPPORT;

	if (dumper)
		pcap_dump_close(dumper);
	else if (file)
		fclose(file);
	if (dumper && size >= 24) {
		memcpy(&network, header + 20, sizeof(network));
		if ((network & 0x03FFFFFF) <= UINT16_MAX) {
			*ret_linktype = (uint16_t)network;
			r = 0;
		}
	}
	free(header);
	return r;
}

// `any` and devices without a link layer of their own: the longer cooked header also tells the interface.
static void prefer_sll2(pcap_t *pcap)
{
	int *list = NULL;
	int n = pcap_datalink(pcap) == DLT_LINUX_SLL ? pcap_list_datalinks(pcap, &list) : 0;

	for (int i = 0; i < n; i++)
		if (list[i] == DLT_LINUX_SLL2) {
			pcap_set_datalink(pcap, DLT_LINUX_SLL2);
			break;
		}
	if (list)
		pcap_free_datalinks(list);
}

static int inspect_socket(struct pcap_driver *d, const struct source_live_config *c, struct error *e)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll), domain_len = sizeof(int);
	int domain = 0, one = 1;

	d->fd = pcap_get_selectable_fd(d->pcap);
	if (d->fd < 0)
		return error_set(
		        e, -ENOTSUP, "interface %s: libpcap cannot wait for this kind of device", c->interface);
	if (getsockopt(d->fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0 || domain != AF_PACKET)
		return 0;
	if (getsockname(d->fd, (struct sockaddr *)&sll, &len) < 0)
		return error_set(e, -errno, "interface %s: %s", c->interface, strerror(errno));
	d->packet_socket = true;
	d->ifindex = sll.sll_ifindex;
	// libpcap leaves loopback's outgoing copies out after the kernel has counted them.
	if (strcmp(c->interface, "lo") == 0)
		setsockopt(d->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	return packet_fence_open(c->interface, &d->fence_fd, e);
}

static void describe(struct pcap_driver *d, const struct source_live_config *c)
{
	const char *linktype = pcap_datalink_val_to_name(pcap_datalink(d->pcap));
	char offloads[120] = "no packet socket", library[48];

	if (d->packet_socket)
		packet_socket_offloads(d->fd, c->interface, offloads, sizeof(offloads));
	snprintf(library, sizeof(library), "%s", pcap_lib_version());
	library[strcspn(library, "(")] = '\0'; // "libpcap version 1.10.3 (with TPACKET_V3)"
	snprintf(d->source.detail, sizeof(d->source.detail), "%s%s, tap copy, %s time, %s, %s", library,
	        linktype ? linktype : "unnamed link type", d->time_unit_ns == 1 ? "nanosecond" : "microsecond",
	        c->promiscuous ? "promiscuous" : "not promiscuous", offloads);
}

static int set_up(struct pcap_driver *d, const struct source_live_config *c, struct error *e)
{
	int timeout_ms = c->flush_ms < 1 || c->flush_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : c->flush_ms;
	char text[PCAP_ERRBUF_SIZE];
	int r;

	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->buffer = malloc(PCAP_DRIVER_BUFFER_BYTES + PCAP_DRIVER_SNAPLEN_MAX);
	if (d->wake_fd < 0 || !d->buffer)
		return error_set(e, -ENOMEM, "interface %s: out of memory", c->interface);
	d->pcap = pcap_create(c->interface, text);
	if (!d->pcap)
		return error_set(e, -EIO, "interface %s: libpcap: %s", c->interface, text);
	pcap_set_snaplen(d->pcap, (int)(c->snaplen ? c->snaplen : PCAP_DRIVER_SNAPLEN_MAX));
	pcap_set_promisc(d->pcap, c->promiscuous);
	pcap_set_timeout(d->pcap, timeout_ms);
	pcap_set_immediate_mode(d->pcap, 0);
	pcap_set_buffer_size(d->pcap, (int)(c->ring_bytes ? c->ring_bytes : BUFFER_BYTES_DEFAULT));
	pcap_set_tstamp_precision(d->pcap, PCAP_TSTAMP_PRECISION_NANO); // or the handle stays at microseconds
	r = activate(d, c->interface, e);
	if (r < 0)
		return r;
	if (pcap_datalink(d->pcap) == DLT_USB_LINUX || pcap_datalink(d->pcap) == DLT_USB_LINUX_MMAPPED)
		return error_set(e, -ENOTSUP,
		        "interface %s: usbmon is read by system calls that the recorder's sandbox does not permit; "
		        "record with tcpdump and seal the file: sealtap ingest",
		        c->interface);
	prefer_sll2(d->pcap);
	d->time_unit_ns = pcap_get_tstamp_precision(d->pcap) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
	r = linktype_of(d->pcap, &d->lane.linktype);
	if (r < 0)
		return error_set(e, r, "interface %s: its link type (DLT %d) has no number in files", c->interface,
		        pcap_datalink(d->pcap));
	d->source.tells_direction = d->lane.linktype == LINKTYPE_LINUX_SLL || d->lane.linktype == LINKTYPE_LINUX_SLL2;
	if (pcap_setnonblock(d->pcap, 1, text) < 0)
		return error_set(e, -EIO, "interface %s: libpcap: %s", c->interface, text);
	r = inspect_socket(d, c, e);
	if (r == 0)
		describe(d, c);
	return r;
}

int source_pcap_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	struct pcap_driver *d;
	int r;

	if (config->threads > 1)
		return error_set(e, -ENOTSUP,
		        "interface %s: driver pcap has one RX thread; use --driver afpacket for several",
		        config->interface);
	if (config->snaplen && config->snaplen < SNAPLEN_MIN)
		return error_set(e, -EINVAL, "snaplen %u is too short; use %u or more, or 0 for whole frames",
		        config->snaplen, SNAPLEN_MIN);
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_set(e, -ENOMEM, "interface %s: out of memory", config->interface);
	d->fd = d->fence_fd = d->wake_fd = -1;
	d->source.ops = &pcap_driver_ops;
	d->source.lanes = &d->lane;
	d->source.lane_count = 1;
	d->lane.snaplen = config->snaplen;
	snprintf(d->lane.interface, sizeof(d->lane.interface), "%s", config->interface);
	snprintf(d->source.name, sizeof(d->source.name), "%s", config->interface);
	r = set_up(d, config, e);
	if (r < 0) {
		pcap_driver_close(&d->source);
		return r;
	}
	ret_sources[0] = &d->source;
	return 1;
}

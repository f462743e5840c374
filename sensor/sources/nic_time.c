// SPDX-License-Identifier: Apache-2.0
#include "sensor/sources/nic_time.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

// Beyond it the NIC's clock shows something else than UTC: TAI is 37 s ahead (since 2017), a clock that nobody has set
// counts from the start of the machine.
#define APART_MAX_NS 500000000LL

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int check_clock(const char *interface, int index, struct error *e)
{
	char path[32];
	int64_t apart;
	int fd, r;

	snprintf(path, sizeof(path), "/dev/ptp%d", index);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		return error_set(e, r, "interface %s: its clock %s cannot be read: %s; use --time kernel", interface,
		        path, strerror(-r));
	}
	apart = clock_ns((clockid_t)(~(unsigned)fd << 3 | 3)) - clock_ns(CLOCK_REALTIME); // as clock_getres(2) makes it
	close(fd);
	if (apart < APART_MAX_NS && apart > -APART_MAX_NS)
		return 0;
	return error_set(e, -ERANGE,
	        "interface %s: its clock %s is %.3f s away from the system's%s; set it to UTC: phc2sys -s "
	        "CLOCK_REALTIME -c %s -O 0, or use --time kernel",
	        interface, path, (double)apart / 1e9,
	        apart > 36000000000LL && apart < 38000000000LL ? ", as TAI is" : "", interface);
}

int nic_time_start(int fd, const char *interface, struct error *e)
{
	const unsigned needs = SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;
	struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
	struct hwtstamp_config config = {0};
	struct ifreq ifr = {.ifr_data = (void *)&info};
	int r;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0 || (info.so_timestamping & needs) != needs || info.phc_index < 0)
		return error_set(e, -ENOTSUP,
		        "interface %s: it does not stamp received frames itself (ethtool -T %s); use --time kernel",
		        interface, interface);
	if (!(info.rx_filters & 1u << HWTSTAMP_FILTER_ALL))
		return error_set(e, -ENOTSUP,
		        "interface %s: it stamps some received frames only, not all (ethtool -T %s); use --time kernel",
		        interface, interface);
	r = check_clock(interface, info.phc_index, e);
	if (r < 0)
		return r;
	ifr.ifr_data = (void *)&config;
	if (ioctl(fd, SIOCGHWTSTAMP, &ifr) < 0)
		config = (struct hwtstamp_config){0};
	if (config.rx_filter == HWTSTAMP_FILTER_ALL)
		return 0;
	config.rx_filter = HWTSTAMP_FILTER_ALL;
	if (ioctl(fd, SIOCSHWTSTAMP, &ifr) < 0) {
		r = -errno;
		return error_set(e, r, "interface %s: its time stamps cannot be switched on: %s; use --time kernel",
		        interface, strerror(-r));
	}
	return config.rx_filter == HWTSTAMP_FILTER_ALL
	               ? 0
	               : error_set(e, -ENOTSUP, "interface %s: it stamps some received frames only; use --time kernel",
	                         interface);
}

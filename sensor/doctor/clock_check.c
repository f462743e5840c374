// SPDX-License-Identifier: Apache-2.0
// Clocks: whether the times in a recording mean anything elsewhere.
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timex.h>

#include "sensor/doctor/doctor.h"

static void synchronised(struct doctor *d)
{
	static const char why[] = "times of packets are compared with other machines' logs; an unsynchronised clock is "
	                          "wrong by nobody knows how much";
	struct timex tx = {0};
	int state = adjtimex(&tx);

	if (state < 0)
		finding_add(d, "clock", FINDING_UNKNOWN, why, "cannot be read: %s", strerror(errno));
	else if (state == TIME_ERROR || tx.status & STA_UNSYNC)
		finding_mend(finding_add(d, "clock", FINDING_WARN, why, "not synchronised, says the kernel"),
		        "apt install chrony && systemctl enable --now chrony");
	else
		finding_add(d, "clock", FINDING_OK, why, "synchronised; at most %ld us off, estimated %ld us",
		        tx.maxerror, tx.esterror);
}

// The kernel's word is about its own clock; who keeps it right is what an expert will ask.
static void daemon_of(struct doctor *d)
{
	static const char why[] = "a clock that nobody keeps in step drifts by seconds a day";
	static const char *const known[] = {"chronyd", "ntpd", "systemd-timesyn", "openntpd", "phc2sys", "ptp4l"};
	char path[64], line[32], found[128] = "";
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.16s/comm", entry->d_name);
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || doctor_read_line(path, line, sizeof(line)) < 0)
			continue;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(line, known[i]) == 0 && !strstr(found, line) &&
			        strlen(found) + strlen(line) + 3 < sizeof(found))
				snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s",
				        found[0] ? ", " : "", line);
	}
	if (dir)
		closedir(dir);
	if (found[0])
		finding_add(d, "clock-daemon", FINDING_OK, why, "%s", found);
	else
		finding_add(d, "clock-daemon", FINDING_UNKNOWN, why,
		        "none is seen here (chrony, ntpd, timesyncd, phc2sys, ptp4l); in a container the host's keeps "
		        "the "
		        "clock");
}

static void hardware_time(struct doctor *d)
{
	static const char why[] =
	        "the kernel's time of a frame is later than the wire's by queueing; a card's clock is not";
	struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
	struct ifreq ifr = {.ifr_data = (void *)&info};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", d->interface);
	if (ioctl(d->fd, SIOCETHTOOL, &ifr) < 0)
		finding_add(d, "ptp", FINDING_UNKNOWN, why, "cannot be read: %s", strerror(errno));
	else if (info.phc_index < 0)
		finding_add(d, "ptp", FINDING_WARN, why, "no PTP clock on this card: times are the kernel's");
	else
		finding_add(d, "ptp", FINDING_OK, why, "/dev/ptp%d%s", info.phc_index,
		        info.rx_filters & 1u << HWTSTAMP_FILTER_ALL ? ", stamps every frame"
		                                                    : ", stamps PTP frames only");
}

void clock_check(struct doctor *d)
{
	synchronised(d);
	daemon_of(d);
	if (!d->pci)
		hardware_time(d);
}

// SPDX-License-Identifier: Apache-2.0
// Clocks: whether the times in a recording mean anything elsewhere.
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
	hardware_time(d);
}

// SPDX-License-Identifier: Apache-2.0
// Whether the interface's interrupts are held back, which is what xdp's --busy-poll wants and every other capture does
// not. Both of the kernel's settings are needed for that (napi_complete_done in net/core/dev.c); 0 is the default.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sensor/doctor/doctor.h"

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif

// The values that docs/operations.md names.
#define DEFER_IRQS 2
#define FLUSH_NS 200000

// A number from a file, or a negative errno.
static long number(const char *path)
{
	char text[32];
	int r = doctor_read_line(path, text, sizeof(text));

	return r < 0 ? r : strtol(text, NULL, 10);
}

static long of_interface(const struct doctor *d, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", d->interface, file);
	return number(path);
}

static void mend(struct finding *f, const struct doctor *d, int defer, int flush_ns)
{
	finding_mend(f, "echo %d >/sys/class/net/%s/napi_defer_hard_irqs; echo %d >/sys/class/net/%s/gro_flush_timeout",
	        defer, d->interface, flush_ns, d->interface);
}

void busy_poll_check(struct doctor *d)
{
	static const char name[] = "busy-poll";
	static const char wanted[] =
	        "with --busy-poll (xdp) the RX thread runs the driver's receive loop; unless interrupts "
	        "are held back they run it too, on another core, and under load it never gets a turn";
	static const char unwanted[] =
	        "without --busy-poll (xdp) nothing polls while interrupts are held back: frames wait in "
	        "the card's ring for the timer, and get their time by so much later";
	const char *why = d->busy_poll ? wanted : unwanted;
	long defer = of_interface(d, "napi_defer_hard_irqs"), flush_ns = of_interface(d, "gro_flush_timeout");
	long everywhere = number("/proc/sys/net/core/busy_poll");
	bool held = defer > 0 && flush_ns > 0;
	char set[176], sysctl[80] = "";
	int prefer;
	socklen_t len = sizeof(prefer);
	struct finding *f;

	if (everywhere > 0) // of sockets that have no setting of their own; ours has
		snprintf(sysctl, sizeof(sysctl), ", net.core.busy_poll %ld, which changes nothing here", everywhere);
	snprintf(set, sizeof(set), "napi_defer_hard_irqs %ld, gro_flush_timeout %ld ns%s", defer, flush_ns, sysctl);
	if (getsockopt(d->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, &len) < 0)
		finding_add(d, name, d->busy_poll ? FINDING_BAD : FINDING_OK, why,
		        "--busy-poll of xdp is refused: the kernel lacks CONFIG_NET_RX_BUSY_POLL of Linux 5.11 (%s)",
		        strerror(errno));
	else if (defer < 0 || flush_ns < 0)
		finding_add(d, name, FINDING_UNKNOWN, why,
		        "the interface does not tell whether interrupts are held back: %s",
		        strerror((int)-(defer < 0 ? defer : flush_ns)));
	else if (held && d->busy_poll)
		finding_add(d, name, FINDING_OK, why,
		        "interrupts are held back (%s); a thread off its core is stood in for after %.1f ms", set,
		        (double)flush_ns / 1e6);
	else if (held) {
		f = finding_add(d, name, FINDING_WARN, why, "interrupts are held back for up to %.1f ms (%s)",
		        (double)flush_ns / 1e6, set);
		mend(f, d, 0, 0);
	} else if (d->busy_poll) {
		f = finding_add(d, name, FINDING_WARN, why, "interrupts are not held back (%s)", set);
		mend(f, d, DEFER_IRQS, FLUSH_NS);
	} else
		finding_add(d, name, FINDING_OK, why, "interrupts are not held back (%s)", set);
}

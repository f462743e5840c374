// SPDX-License-Identifier: Apache-2.0
#include "sensor/keeper/clock_watch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "sealtap/evidence.h"

#define SUSPEND_NS 500000000ULL

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void clock_read(struct clock_now *ret_now)
{
	// The reads belong together only when nothing came between them; a few tries find such a moment.
	for (int i = 0; i < 20; i++) {
		uint64_t mono = read_ns(CLOCK_MONOTONIC);
		uint64_t boot = read_ns(CLOCK_BOOTTIME);
		uint64_t real = read_ns(CLOCK_REALTIME);
		uint64_t after = read_ns(CLOCK_BOOTTIME);

		*ret_now = (struct clock_now){real, boot, boot > mono ? boot - mono : 0};
		if (after - boot < 100000)
			break;
	}
}

void clock_read_boot_id(char out[CLOCK_BOOT_ID_MAX])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, CLOCK_BOOT_ID_MAX - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (out[0] == '\0')
		strcpy(out, "unknown");
}

void clock_read_quality(struct clock_quality *ret_quality)
{
	struct timex tx;

	memset(&tx, 0, sizeof(tx));
	ret_quality->synchronised = adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC);
	ret_quality->max_error_ns = tx.maxerror > 0 ? (uint64_t)tx.maxerror * 1000 : 0;
}

unsigned clock_watch_check(const struct clock_watch *w, const struct clock_now *now)
{
	uint64_t offset = now->real_ns - now->boot_ns;
	int64_t drift = (int64_t)(offset - w->offset_ns);
	unsigned events = 0;

	if (!w->started)
		return 0;
	if (now->asleep_ns > w->last_asleep_ns + SUSPEND_NS)
		events |= CLOCK_GAP_SUSPEND;
	else if (now->boot_ns - w->last_boot_ns > LEDGER_GAP_NS)
		events |= CLOCK_GAP_PAUSE;
	// Stated at half the tolerance, so that lines made a moment later are inside it too.
	if (drift > (int64_t)CLOCK_TOLERANCE_NS / 2 || drift < -(int64_t)CLOCK_TOLERANCE_NS / 2)
		events |= CLOCK_STEP;
	return events;
}

void clock_watch_line(struct clock_watch *w, const struct clock_now *now)
{
	w->last_real_ns = now->real_ns;
	w->last_boot_ns = now->boot_ns;
	w->last_asleep_ns = now->asleep_ns;
}

void clock_watch_stated(struct clock_watch *w, const struct clock_now *now)
{
	w->started = true;
	w->offset_ns = now->real_ns - now->boot_ns;
}

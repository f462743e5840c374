// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/announce.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sensor/recorder/file_system.h"

// Whole or not at all: half a statement could say something else.
static __attribute__((format(printf, 3, 4))) void add(char *out, size_t size, const char *format, ...)
{
	char text[WIRE_TEXT] = ", ";
	size_t used = strlen(out), skip = used ? 0 : 2;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text + 2, sizeof(text) - 2, format, args);
	va_end(args);
	if (len > 0 && used + 2 + (size_t)len < size)
		memcpy(out + used, text + skip, 2 - skip + (size_t)len + 1);
}

void announce_to_ledger(const struct recorder *r, unsigned source, char *out, size_t size)
{
	struct file_system fs;
	char text[WIRE_TEXT];

	for (unsigned i = 0; i < r->place_count && source == 0; i++)
		if (file_system_of(r->place[i].fd, &fs) == 0 && file_system_caution(fs.kind))
			add(out, size, "recorded onto %s: %s", fs.name, file_system_caution(fs.kind));
	if (r->job->kind == JOB_INGEST)
		return;
	cores_text(r, (int)source, text, sizeof(text));
	if (text[0] && strlen(text) + 1 < sizeof(text))
		add(out, size, "%s", text);
}

void announce_to_operator(const struct recorder *r)
{
	uint64_t mbit = r->link_mbit ? r->link_mbit : 1000;
	double stall = (double)job_stall_ms(r->job->pool_blocks, mbit) / 1000;
	char text[8192], several[48] = "";

	cores_text(r, CORES_ALL_SOURCES, text, sizeof(text));
	if (text[0])
		fprintf(stderr, "sealtap: threads: %s; receiving %s\n", text,
		        r->rx_raised ? "before all others (nice -10)"
		                     : "at normal priority: a higher one takes CAP_SYS_NICE");
	if (r->rx_count > 1)
		snprintf(several, sizeof(several), ", spread evenly over %u lanes", r->rx_count);
	fprintf(stderr,
	        "sealtap: pool %u MiB (%s) bridges a disk stall of %.*f s at %.4g Gbit/s%s%s; flush %u ms: a crash "
	        "costs "
	        "at most so much\n",
	        r->job->pool_blocks,
	        r->pool.huge     ? "huge pages"
	        : r->pool.locked ? "locked"
	                         : "not locked in memory: RLIMIT_MEMLOCK",
	        stall < 0.1 ? 3 : 1, stall, (double)mbit / 1000, r->link_mbit ? "" : " (the link's speed is not told)",
	        several, r->job->flush_ms);
}

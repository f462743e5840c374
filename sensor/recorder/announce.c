// SPDX-License-Identifier: Apache-2.0
#include "sensor/recorder/announce.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sensor/recorder/file_system.h"

// Whole or not at all: half a statement could say something else.
static __attribute__((format(printf, 2, 3))) void add(struct source *s, const char *format, ...)
{
	char text[sizeof(s->detail)] = ", ";
	size_t used = strlen(s->detail), skip = used ? 0 : 2;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text + 2, sizeof(text) - 2, format, args);
	va_end(args);
	if (len > 0 && used + 2 + (size_t)len < sizeof(s->detail))
		memcpy(s->detail + used, text + skip, 2 - skip + (size_t)len + 1);
}

void announce_to_ledger(struct recorder *r, int segments_fd)
{
	struct file_system fs;
	char text[sizeof(r->source[0]->detail)];

	if (file_system_of(segments_fd, &fs) == 0 && file_system_caution(fs.kind))
		add(r->source[0], "recorded onto %s: %s", fs.name, file_system_caution(fs.kind));
	for (unsigned i = 0; i < r->source_count && r->job->kind == JOB_CAPTURE; i++) {
		if (i > 0 && r->job_source[i] == r->job_source[i - 1])
			continue; // the first one's detail speaks for the interface
		cores_text(r, (int)r->job_source[i], text, sizeof(text));
		if (text[0] && strlen(text) + 1 < sizeof(text))
			add(r->source[i], "%s", text);
	}
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

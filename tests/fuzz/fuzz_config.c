// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration file of capture or ingest (the first byte tells which): it is read or refused by a line
// number, and what was read makes a job whose texts end inside their fields.
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sensor/cli/run_options.h"
#include "sensor/ipc/wire.h"
#include "tests/fuzz/fuzz.h"

// Options keep what they were given as long as the process lives.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void check_job(const struct run_options *o, enum job_kind kind)
{
	static char *argv[] = {(char *)"sealtap", NULL};
	struct error e = {0};
	struct job *job;

	if (run_options_job(o, kind, 1, 1, argv, &job, &e) < 0) {
		MUST(e.text[0] != '\0');
		return;
	}
	MUST(wire_text_ok(job->recording, sizeof(job->recording)) && wire_text_ok(job->filter, sizeof(job->filter)));
	MUST(wire_text_ok(job->sensor, sizeof(job->sensor)) && wire_text_ok(job->reference, sizeof(job->reference)));
	MUST((job->sealers > 0 || kind == JOB_CAPTURE) && job->pool_blocks > 0 && job->segment_bytes > 0 &&
	        job->flush_ms > 0);
	MUST(job->snaplen <= CAPLEN_MAX);
	free(job);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum job_kind kind = size > 0 && (data[0] & 1) ? JOB_CAPTURE : JOB_INGEST;
	struct run_options o;
	struct error e = {0};
	char path[64];
	int fd;

	if (size == 0)
		return 0;
	fd = memfd_create("config", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	run_options_init(&o, kind == JOB_CAPTURE ? "capture" : "ingest");
	if (run_options_read(&o, path, &e) < 0)
		MUST(strstr(e.text, "line ") != NULL);
	else
		check_job(&o, kind);
	close(fd);
	return 0;
}

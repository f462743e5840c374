// SPDX-License-Identifier: Apache-2.0
// sealtap-recorder: opens its sources with the privileges it was started with, gives those up, then moves packets.
// Started by the supervisor with the descriptors of ipc/roles.h. It has no keys and, once running, no network.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/ipc/roles.h"
#include "sensor/recorder/announce.h"
#include "sensor/recorder/file_system.h"
#include "sensor/recorder/run.h"
#include "sensor/recorder/watch.h"
#include "sensor/sandbox/sandbox.h"
#include "sensor/sources/drivers.h"

static int fail(const struct error *e)
{
	wire_send_plain(ROLE_SUPERVISOR_FD, WIRE_FAILED, e->code, 0, NULL);
	fprintf(stderr, "sealtap: %s\n", e->text);
	return EXIT_FAILURE;
}

// As the user it now is: where permissions are another program's to judge, that says more than any look at them.
static int check_writing(const struct job *job, const struct place *p, struct error *e)
{
	struct file_system fs = {.name = "its file system"};
	int fd = file_system_nameless(p->fd);

	file_system_of(p->fd, &fs);
	if (fd < 0)
		return error_set(e, fd,
		        "the recorder, as user %u, can make no file in %s%s, on %s: %s; record onto a local "
		        "disk "
		        "and copy the finished recording there",
		        (unsigned)geteuid(), p->index ? job->segments_on[p->index - 1] : job->recording,
		        p->index ? "" : "/segments", fs.name, strerror(-fd));
	close(fd);
	return 0;
}

static int start_keeper(struct recorder *r, struct error *e)
{
	union wire_message answer;
	int result;

	for (unsigned i = 0; i < r->source_count; i++) {
		struct wire_plain detail = {.number = r->job_source[i]};
		const char *link;

		if (i > 0 && r->job_source[i] == r->job_source[i - 1])
			continue; // one word for all queues of an interface

		link = link_detail(r->links, r->job_source[i]);
		snprintf(detail.text, sizeof(detail.text), "%s%s%s", r->source[i]->detail, link[0] ? ", " : "", link);
		announce_to_ledger(r, r->job_source[i], detail.text, sizeof(detail.text));
		if (r->job->kind == JOB_CAPTURE)
			fprintf(stderr, "sealtap: %s: %s\n", r->source[i]->name, detail.text);
		result = keeper_call(r, WIRE_DETAIL, &detail, sizeof(detail), sizeof(answer.plain), &answer);
		if (result < 0)
			return error_set(e, result, "the keeper does not answer");
	}
	if (r->job->kind == JOB_CAPTURE)
		announce_to_operator(r);
	struct wire_plain start = {0};

	result = keeper_call(r, WIRE_START, &start, sizeof(start), sizeof(answer.plain), &answer);
	return result < 0 ? error_set(e, result, "the keeper could not open the ledger") : 0;
}

// Gives what a source has kept besides its place and its digest. It has had no name so far.
static int extra_store(const struct recorder *r, unsigned index, struct wire_source *s)
{
	struct digest *d = digest_new();
	uint8_t buffer[65536];
	char path[64];
	int fd, result = 0;

	snprintf(path, sizeof(path), "%u.extra.jsonl.zst", index);
	fd = openat(RECORDER_EXTRAS_FD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0 || !d)
		result = fd < 0 ? -errno : -ENOMEM;
	while (result == 0) {
		ssize_t n = pread(r->extra_fd[index], buffer, sizeof(buffer), (off_t)s->extra_bytes);

		if (n == 0)
			break;
		if (n < 0 || write(fd, buffer, (size_t)n) != n)
			result = errno ? -errno : -ENOSPC;
		else
			digest_update(d, buffer, (size_t)n);
		s->extra_bytes += n > 0 ? (uint64_t)n : 0;
	}
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	if (result == 0)
		digest_peek(d, s->extra_sha256);
	else if (fd >= 0)
		unlinkat(RECORDER_EXTRAS_FD, path, 0);
	digest_free(d);
	if (fd >= 0)
		close(fd);
	return result;
}

// States how each input file ended. Returns the number of damaged ones, or a negative errno.
static int report_sources(struct recorder *r)
{
	int damaged = 0;

	for (unsigned i = 0; i < r->job->source_count; i++) {
		const struct source_end *end = &r->source[i]->end;
		struct wire_source s = {.index = i,
		        .damaged = end->damaged,
		        .bytes = end->bytes,
		        .packets = end->packets,
		        .ts_truncated = end->ts_truncated,
		        .ts_out_of_range = end->ts_out_of_range,
		        .damage_offset = end->damage_offset,
		        .extra_lines = end->extra_lines};
		union wire_message answer;
		int result = 0;

		if (!end->ended)
			continue; // never begun, or broken off: there is nothing to be stated
		memcpy(s.format, end->format, sizeof(s.format));
		memcpy(s.sha256, end->sha256, DIGEST_LEN);
		memcpy(s.damage_reason, end->damage_reason, sizeof(s.damage_reason));
		if (end->extra_lines)
			result = extra_store(r, i, &s);
		if (result == 0)
			result = keeper_call(r, WIRE_SOURCE, &s, sizeof(s), sizeof(answer.plain), &answer);
		if (result < 0)
			return result;
		if (end->damaged) {
			fprintf(stderr,
			        "sealtap: %s: damaged at offset %llu: %s; the %llu packets before it are sealed, the "
			        "damage is recorded\n",
			        r->source[i]->name, (unsigned long long)end->damage_offset, end->damage_reason,
			        (unsigned long long)end->packets);
			damaged++;
		}
	}
	return damaged;
}

// Interfaces that could not be recorded to the end.
static int failed_interfaces(const struct recorder *r)
{
	int failed = 0;

	for (unsigned i = 0; i < r->rx_count; i++)
		failed += r->rx[i].result < 0 &&
		          (i == 0 || r->rx[i - 1].result >= 0 || r->job_source[i] != r->job_source[i - 1]);
	return failed;
}

static const char *reason_text(const struct recorder *r, int damaged)
{
	switch (atomic_load(&r->stop)) {
	case STOP_SIGNAL:
		return "signal";
	case STOP_DURATION:
		return "duration";
	case STOP_PACKETS:
		return "packets";
	case STOP_DISK_FULL:
		return "disk-full";
	case STOP_DISK_ERROR:
		return "disk-error";
	case STOP_SUPERVISOR:
		return "supervisor-died";
	default:
		break;
	}
	for (unsigned i = 0; i < r->rx_count; i++)
		if (r->rx[i].result < 0)
			return "source-failed";
	return damaged ? "input-damaged" : "end-of-input";
}

int main(void)
{
	static struct recorder r;
	const struct live_driver *driver;
	const struct job *job;
	struct sandbox sandbox;
	struct watch *watch = NULL;
	struct error e = {0};
	struct rlimit files;
	union wire_message answer;
	int damaged = 0;

	signal(SIGPIPE, SIG_IGN);
	umask(027);
	if (job_map(ROLE_JOB_FD, &job, &e) < 0)
		return fail(&e);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) { // one per input and one per lane
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (digest_init() < 0)
		return fail((error_set(&e, -ENOTSUP, "this OpenSSL has no SHA-256"), &e));
	driver = job->kind == JOB_CAPTURE ? live_driver_find(job->driver) : NULL;
	sandbox = (struct sandbox){.role = SANDBOX_RECORDER,
	        .uid = job->role_uid[JOB_RECORDER],
	        .write_dirs = {RECORDER_SEGMENTS_FD, RECORDER_EXTRAS_FD},
	        .write_dir_count = 2};
	for (unsigned i = 1; i < job->places; i++)
		sandbox.write_dirs[sandbox.write_dir_count++] = RECORDER_PLACES_FD(job->flows) + (int)i - 1;
	if (driver && driver->own_threads) {
		sandbox.role = SANDBOX_RECORDER_THREADS;
		if (sandbox_before_threads(&sandbox, &e) < 0)
			return fail(&e);
	}
	if (recorder_open(&r, job, &e) < 0)
		return fail(&e);
	if (watch_new(&r, &watch) < 0)
		return fail((error_set(&e, -ENOMEM, "out of memory"), &e));
	if (sandbox_enter(&sandbox, &e) < 0)
		return fail(&e);
	for (unsigned i = 0; i < r.place_count && r.pool.shared->generation == 0; i++)
		if (check_writing(job, &r.place[i], &e) < 0)
			return fail(&e);
	if (start_keeper(&r, &e) < 0)
		return fail(&e);
	if (r.pool.shared->generation > 0 && adopt(&r, &e) < 0)
		return fail(&e);
	wire_send_plain(ROLE_SUPERVISOR_FD, WIRE_CAPTURING, 0, 0, NULL);
	if (link_watch_start(r.links, &r) < 0)
		return fail((error_set(&e, -EAGAIN, "cannot start the thread that watches the interfaces"), &e));
	if (recorder_run(&r, watch_tick, watch, &e) < 0)
		return fail(&e);
	link_watch_stop(r.links);
	watch_end(&r, watch);
	watch_free(watch);
	damaged = job->kind == JOB_INGEST ? report_sources(&r) : failed_interfaces(&r);
	if (damaged >= 0 && r.place_count > 1)
		damaged += (int)atomic_load(&r.places_lost);
	struct wire_plain finished = {0};

	if (damaged < 0 ||
	        keeper_call(&r, WIRE_FINISHED, &finished, sizeof(finished), sizeof(answer.plain), &answer) < 0)
		return fail((error_set(&e, -EPIPE, "the keeper does not answer; the recording is not closed"), &e));
	wire_send_plain(ROLE_SUPERVISOR_FD, WIRE_DONE, 0, (unsigned)damaged, reason_text(&r, damaged));
	recorder_free(&r);
	return EXIT_SUCCESS;
}

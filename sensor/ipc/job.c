// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/job.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/ipc/loan.h"

#define JOB_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static size_t size_for(unsigned sources)
{
	return sizeof(struct job) + sources * sizeof(struct job_source);
}

struct job *job_new(unsigned sources)
{
	struct job *job = calloc(1, size_for(sources));

	if (job) {
		job->magic = JOB_MAGIC;
		job->source_count = sources;
	}
	return job;
}

size_t job_size(const struct job *job)
{
	return size_for(job->source_count);
}

int job_seal(const struct job *job, int *ret_fd)
{
	int fd = memfd_create("sealtap-job", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	if (write(fd, job, job_size(job)) != (ssize_t)job_size(job) || fcntl(fd, F_ADD_SEALS, JOB_SEALS) < 0) {
		r = errno ? -errno : -EIO;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

#define ENDS(field) (memchr((field), '\0', sizeof(field)) != NULL)

static bool job_valid(const struct job *job, size_t size)
{
	if (job->magic != JOB_MAGIC || job->source_count == 0 || job->source_count > JOB_SOURCES_MAX ||
	        size != job_size(job) || (job->kind != JOB_CAPTURE && job->kind != JOB_INGEST))
		return false;
	if (!ENDS(job->recording) || !ENDS(job->sensor) || !ENDS(job->reference) || !ENDS(job->operator_name) ||
	        !ENDS(job->driver) || !ENDS(job->driver_args) || !ENDS(job->filter) || !ENDS(job->cutoff_apps) ||
	        !ENDS(job->command_line))
		return false;
	for (unsigned i = 0; i < job->source_count; i++)
		if (!ENDS(job->source[i].name))
			return false;
	if (job->export_count > JOB_EXPORTS_MAX || !ENDS(job->export_ca) || !ENDS(job->export_cert) ||
	        !ENDS(job->export_key))
		return false;
	for (unsigned i = 0; i < job->export_count; i++)
		if (!ENDS(job->export[i].target))
			return false;
	if (job->places > JOB_PLACES_MAX || (job->places > 1 && job->kind != JOB_CAPTURE))
		return false;
	for (unsigned i = 1; i < job->places; i++)
		if (!ENDS(job->segments_on[i - 1]))
			return false;
	if (job->cutoff_apps[0] && (!job->cutoff_bytes || !job->flows || job->kind != JOB_CAPTURE))
		return false;
	if ((job->flows && job->flow_threads == 0) || job->flow_threads > LOAN_WORKERS_MAX)
		return false;
	return job->pool_blocks >= 4 && (job->sealers >= 1 || job->kind == JOB_CAPTURE) && job->flush_ms >= 10;
}

int job_map(int fd, const struct job **ret_job, struct error *e)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct job) || fcntl(fd, F_GET_SEALS) != JOB_SEALS)
		return error_set(
		        e, -EBADMSG, "descriptor %d is no sealed job; roles are started by `sealtap` only", fd);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return error_set(e, -errno, "cannot map the job: %s", strerror(errno));
	if (!job_valid(map, (size_t)st.st_size)) {
		munmap(map, (size_t)st.st_size);
		return error_set(e, -EBADMSG, "the job is not well-formed");
	}
	*ret_job = map;
	return 0;
}

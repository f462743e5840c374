// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/export_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/cli/quantity.h"
#include "sensor/ipc/spawn.h"

#define FINISH_NS 30000000000ULL
#define FINISH_NS_MAX (86400 * 1000000000ULL)
#define BEHIND_BYTES (1ULL << 30)
#define ARGS_MAX (2 * JOB_EXPORTS_MAX + 9)

void export_options_init(struct export_options *x)
{
	*x = (struct export_options){.finish_ns = FINISH_NS, .behind_bytes = BEHIND_BYTES};
}

bool export_options_has(const char *name)
{
	static const char *const names[] = {
	        "ipfix", "kafka", "ca", "cert", "cert-key", "deliver-within", "export-behind"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int add(struct export_options *x, const char **list, unsigned *count, const char *value, struct error *e)
{
	static const struct job_export *const sizes = NULL; // for sizeof only

	if (x->ipfix_count + x->kafka_count == JOB_EXPORTS_MAX)
		return error_set(e, -EINVAL, "at most %u targets of flow records", JOB_EXPORTS_MAX);
	if (strlen(value) >= sizeof(sizes->target))
		return error_set(e, -EINVAL, "a target of flow records is longer than %zu characters",
		        sizeof(sizes->target) - 1);
	list[(*count)++] = value;
	return 0;
}

static int path(const char *name, const char *value, const char **ret, struct error *e)
{
	if (strlen(value) >= sizeof(((struct job *)NULL)->export_ca))
		return error_set(e, -EINVAL, "%s: the path is too long", name);
	*ret = value;
	return 0;
}

int export_options_set(struct export_options *x, const char *name, const char *value, struct error *e)
{
	if (strcmp(name, "ipfix") == 0)
		return add(x, x->ipfix, &x->ipfix_count, value, e);
	if (strcmp(name, "kafka") == 0)
		return add(x, x->kafka, &x->kafka_count, value, e);
	if (strcmp(name, "ca") == 0)
		return path(name, value, &x->ca, e);
	if (strcmp(name, "cert") == 0)
		return path(name, value, &x->cert, e);
	if (strcmp(name, "cert-key") == 0)
		return path(name, value, &x->cert_key, e);
	if (strcmp(name, "deliver-within") == 0)
		return quantity_time(value, &x->finish_ns) < 0 || x->finish_ns > FINISH_NS_MAX
		               ? error_set(e, -EINVAL, "deliver-within: \"%s\" is not a time of at most a day", value)
		               : 0;
	return quantity_size(value, &x->behind_bytes) < 0 || x->behind_bytes == 0
	               ? error_set(e, -EINVAL, "export-behind: \"%s\" is not a size such as 1G", value)
	               : 0;
}

static void fill(const struct export_options *x, struct job *job)
{
	for (unsigned i = 0; i < x->ipfix_count + x->kafka_count; i++) {
		bool ipfix = i < x->ipfix_count;
		struct job_export *to = &job->export[job->export_count++];

		to->kind = ipfix ? JOB_EXPORT_IPFIX : JOB_EXPORT_KAFKA;
		snprintf(to->target, sizeof(to->target), "%s", ipfix ? x->ipfix[i] : x->kafka[i - x->ipfix_count]);
	}
	snprintf(job->export_ca, sizeof(job->export_ca), "%s", x->ca ? x->ca : "");
	snprintf(job->export_cert, sizeof(job->export_cert), "%s", x->cert ? x->cert : "");
	snprintf(job->export_key, sizeof(job->export_key), "%s", x->cert_key ? x->cert_key : "");
	job->export_finish_ms = (uint32_t)(x->finish_ns / 1000000);
	job->export_behind = x->behind_bytes;
}

// Whether the exporter of this build takes it; it says itself why not.
static int check(const struct job *job, struct error *e)
{
	char program[PATH_MAX];
	const char *argv[ARGS_MAX] = {program, "--check"};
	unsigned argc = 2;
	int status, r = role_path("sealtap-exporter", program, sizeof(program), e);
	pid_t pid;

	if (r < 0)
		return r;
	for (unsigned i = 0; i < job->export_count; i++) {
		argv[argc++] = job->export[i].kind == JOB_EXPORT_IPFIX ? "--ipfix" : "--kafka";
		argv[argc++] = job->export[i].target;
	}
	if (job->export_ca[0]) {
		argv[argc++] = "--ca";
		argv[argc++] = job->export_ca;
	}
	if (job->export_cert[0]) {
		argv[argc++] = "--cert";
		argv[argc++] = job->export_cert;
	}
	if (job->export_key[0]) {
		argv[argc++] = "--key";
		argv[argc++] = job->export_key;
	}
	pid = fork();
	if (pid == 0) {
		execv(program, (char **)argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(e, -EINVAL, "flow records cannot be sent like that");
	return 0;
}

int export_options_job(const struct export_options *x, bool flows, struct job *job, struct error *e)
{
	if (x->ipfix_count + x->kafka_count == 0)
		return 0;
	if (!flows)
		return error_set(e, -EINVAL, "--ipfix and --kafka send flow records, and --no-flows has none");
	fill(x, job);
	return check(job, e);
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/run_options.h"

#include <errno.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "sealtap/evidence.h"
#include "sealtap/source.h"
#include "sensor/cli/cli.h"
#include "sensor/cli/quantity.h"
#include "sensor/ipc/core_list.h"
#include "sensor/ipc/loan.h"

// Users of the roles where the system has none of their own: in the range that systemd keeps for services' transient
// users (61184 to 65519), which nobody logs in with.
#define RECORDER_UID 61801u
#define KEEPER_UID 61802u
#define INSPECTOR_UID 61803u
#define FLOWLOG_UID 61804u
#define EXPORTER_UID 61805u

void run_options_init(struct run_options *o, const char *verb)
{
	cpu_set_t allowed;
	long cores = core_list_allowed(&allowed) < 0 ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&allowed);

	*o = (struct run_options){
	        .verb = verb,
	        .driver = "afpacket",
	        .level = -5,
	        .level_floor = -20,
	        .flush_ms = 1000,
	        .segment_mib = 512,
	        .segment_ns = 300 * 1000000000ULL,
	        .min_free_percent = strcmp(verb, "capture") == 0 ? 2 : 0,
	        .flow_threads = cores < 16                     ? 1
	                        : cores / 8 < LOAN_WORKERS_MAX ? (uint64_t)cores / 8
	                                                       : LOAN_WORKERS_MAX,
	        .sealers = strcmp(verb, "capture") == 0 ? 0
	                   : cores > 64                 ? 64
	                                                : (uint64_t)cores,
	};
	export_options_init(&o->export);
}

bool *run_options_flag(struct run_options *o, const char *name)
{
	const bool capture = strcmp(o->verb, "capture") == 0;

	if (strcmp(name, "json") == 0)
		return &o->json;
	if (capture && strcmp(name, "no-promisc") == 0)
		return &o->no_promisc;
	if (capture && strcmp(name, "busy-poll") == 0)
		return &o->busy_poll;
	if (capture && strcmp(name, "no-flows") == 0)
		return &o->no_flows;
	return !capture && strcmp(name, "flows") == 0 ? &o->flows : NULL;
}

static int number(const char *name, const char *value, uint64_t least, uint64_t most, uint64_t *ret, struct error *e)
{
	if (quantity_count(value, ret) < 0 || *ret < least || *ret > most)
		return error_set(e, -EINVAL, "%s: \"%s\" is not a number from %llu to %llu", name, value,
		        (unsigned long long)least, (unsigned long long)most);
	return 0;
}

static int level(const char *name, const char *value, int *ret, struct error *e)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (*value == '\0' || *end != '\0' || n < -50 || n > 19 || n == 0)
		return error_set(
		        e, -EINVAL, "%s: \"%s\" is not a zstd level from -50 (fastest) to 19, without 0", name, value);
	*ret = (int)n;
	return 0;
}

static int text(const char *name, const char *value, size_t max, const char **ret, struct error *e)
{
	if (strlen(value) >= max)
		return error_set(e, -EINVAL, "%s: longer than %zu characters", name, max - 1);
	*ret = value;
	return 0;
}

// Which drivers a build has is the recorder's to say; here only what sealtap knows by name.
static int driver(const char *value, const char **ret, struct error *e)
{
	static const char *const names[] = {"afpacket", "dpdk", "pcap", "xdp"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(value, names[i]) == 0) {
			*ret = names[i];
			return 0;
		}
	return error_set(e, -EINVAL, "driver: \"%s\" is not in this version; afpacket, dpdk, pcap and xdp are", value);
}

static int direction(const char *value, uint32_t *ret, struct error *e)
{
	static const char *const names[] = {"both", "in", "out"};

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	return error_set(e, -EINVAL, "direction: \"%s\" is none of in, out, both", value);
}

static int cores(const char *name, const char *value, cpu_set_t *ret, struct error *e)
{
	cpu_set_t set, allowed;
	char text[256];
	int missing;

	if (core_list_parse(value, &set) < 0)
		return error_set(e, -EINVAL, "%s: \"%.64s\" is not a list of cores such as 2-5,8 (0 to %d)", name,
		        value, CPU_SETSIZE - 1);
	if (core_list_allowed(&allowed) == 0 && (missing = core_list_missing(&set, &allowed)) >= 0) {
		core_list_text(&allowed, text, sizeof(text));
		return error_set(e, -EINVAL,
		        "%s: core %d is not one that this process may use, which are %s; choose among these, or look "
		        "at "
		        "taskset and the cpuset of the cgroup",
		        name, missing, text);
	}
	*ret = set;
	return 0;
}

static int tap(const char *value, uint32_t *ret, struct error *e)
{
	*ret = strcmp(value, "copy") == 0 ? TAP_COPY : strcmp(value, "take") == 0 ? TAP_TAKE : 0;
	return *ret ? 0 : error_set(e, -EINVAL, "tap: \"%s\" is neither copy nor take", value);
}

// The case of the unit tells: 20M are bytes, 20m minutes.
static int keep(const char *value, struct run_options *o, struct error *e)
{
	uint64_t bytes = 0, ns = 0, bare;

	if (quantity_count(value, &bare) == 0 || (quantity_size(value, &bytes) < 0 && quantity_time(value, &ns) < 0) ||
	        (bytes == 0 && ns < 1000000000))
		return error_set(
		        e, -EINVAL, "keep: \"%s\" is neither a size such as 500G nor a time such as 7d, 12h", value);
	o->keep_bytes = bytes;
	o->keep_ns = ns;
	return 0;
}

static int min_free(const char *value, struct run_options *o, struct error *e)
{
	size_t len = strlen(value);
	uint64_t bytes = 0, percent = 0;
	char digits[4];

	if (len >= 2 && len <= sizeof(digits) && value[len - 1] == '%') {
		memcpy(digits, value, len - 1);
		digits[len - 1] = '\0';
		if (quantity_count(digits, &percent) < 0 || percent > 99)
			len = 0;
	} else if (strcmp(value, "0") != 0 && quantity_size(value, &bytes) < 0) {
		len = 0;
	}
	if (len == 0)
		return error_set(
		        e, -EINVAL, "min-free: \"%s\" is neither a share such as 2%% nor a size such as 20G", value);
	o->min_free = bytes;
	o->min_free_percent = percent;
	return 0;
}

int run_options_set(struct run_options *o, const char *name, const char *value, struct error *e)
{
	static const struct job *const sizes = NULL; // for sizeof only

	if (strcmp(name, "output") == 0)
		return text(name, value, sizeof(sizes->recording), &o->output, e);
	if (strcmp(name, "interface") == 0 && strcmp(o->verb, "capture") == 0)
		return text(name, value, 65536, &o->interfaces, e);
	if (strcmp(name, "segments-on") == 0 && strcmp(o->verb, "capture") == 0)
		return text(name, value, sizeof(sizes->segments_on), &o->segments_on, e);
	if (strcmp(name, "driver") == 0 && strcmp(o->verb, "capture") == 0)
		return driver(value, &o->driver, e);
	if (strcmp(name, "dpdk-args") == 0 && strcmp(o->verb, "capture") == 0)
		return text(name, value, sizeof(sizes->driver_args), &o->dpdk_args, e);
	if (strcmp(name, "key") == 0)
		return text(name, value, 4096, &o->key, e);
	if (strcmp(name, "sensor") == 0)
		return text(name, value, sizeof(sizes->sensor), &o->sensor, e);
	if (strcmp(name, strcmp(o->verb, "capture") == 0 ? "own-network" : "reference") == 0) {
		if (value[strspn(value, " \t")] == '\0')
			return error_set(e, -EINVAL, "%s: it is empty", name);
		return text(name, value, sizeof(sizes->reference), &o->reference, e);
	}
	if (strcmp(name, "operator") == 0)
		return text(name, value, sizeof(sizes->operator_name), &o->operator_name, e);
	if (strcmp(name, "filter") == 0)
		return text(name, value, sizeof(sizes->filter), &o->filter, e);
	if (strcmp(name, "level") == 0)
		return level(name, value, &o->level, e);
	if (strcmp(name, "level-floor") == 0 && strcmp(o->verb, "capture") == 0)
		return level(name, value, &o->level_floor, e);
	if (strcmp(name, "duration") == 0 && strcmp(o->verb, "capture") == 0)
		return quantity_time(value, &o->duration_ns) < 0 || o->duration_ns == 0
		               ? error_set(e, -EINVAL, "duration: \"%s\" is not a time such as 10s, 5m, 2h", value)
		               : 0;
	if (strcmp(name, "segment-time") == 0)
		return quantity_time(value, &o->segment_ns) < 0 || o->segment_ns < 1000000000
		               ? error_set(e, -EINVAL, "segment-time: \"%s\" is not a time of at least 1s", value)
		               : 0;
	// A file is sealed whole, or what the ledger says about it would not be true.
	if (strcmp(name, "packets") == 0 && strcmp(o->verb, "capture") == 0)
		return number(name, value, 1, UINT64_MAX / 2, &o->packets, e);
	if (strcmp(name, "snaplen") == 0 && strcmp(o->verb, "capture") == 0)
		return number(name, value, 16, CAPLEN_MAX, &o->snaplen, e);
	if (strcmp(name, "pool") == 0)
		return number(name, value, 4, 65536, &o->pool_mib, e);
	if (strcmp(name, "ring") == 0 && strcmp(o->verb, "capture") == 0)
		return number(name, value, 4, 2047, &o->ring_mib, e);
	if (strcmp(name, "sealers") == 0)
		return number(name, value, 1, 256, &o->sealers, e);
	if (strcmp(name, "flow-threads") == 0)
		return number(name, value, 1, LOAN_WORKERS_MAX, &o->flow_threads, e);
	if (strcmp(name, "rx-cores") == 0 && strcmp(o->verb, "capture") == 0)
		return cores(name, value, &o->rx_cores, e);
	if (strcmp(name, "seal-cores") == 0 && strcmp(o->verb, "capture") == 0)
		return cores(name, value, &o->seal_cores, e);
	if (strcmp(name, "rx-threads") == 0 && strcmp(o->verb, "capture") == 0)
		return number(name, value, 1, 64, &o->rx_threads, e);
	if (strcmp(name, "direction") == 0 && strcmp(o->verb, "capture") == 0)
		return direction(value, &o->direction, e);
	if (strcmp(name, "time") == 0 && strcmp(o->verb, "capture") == 0) {
		o->nic_time = strcmp(value, "nic") == 0;
		return o->nic_time || strcmp(value, "kernel") == 0
		               ? 0
		               : error_set(e, -EINVAL, "time: \"%s\" is neither kernel nor nic", value);
	}
	if (strcmp(name, "tap") == 0 && strcmp(o->verb, "capture") == 0)
		return tap(value, &o->tap, e);
	if (strcmp(name, "keep") == 0 && strcmp(o->verb, "capture") == 0)
		return keep(value, o, e);
	if (strcmp(name, "cutoff") == 0 && strcmp(o->verb, "capture") == 0)
		return cutoff_option_set(&o->cutoff, value, e);
	if (strcmp(name, "min-free") == 0 && strcmp(o->verb, "capture") == 0)
		return min_free(value, o, e);
	if (strcmp(name, "flush-ms") == 0)
		return number(name, value, 10, 10000, &o->flush_ms, e);
	if (strcmp(name, "segment-size") == 0)
		return number(name, value, 1, 65536, &o->segment_mib, e);
	if (export_options_has(name) && strcmp(o->verb, "capture") == 0)
		return export_options_set(&o->export, name, value, e);
	return error_set(e, -EINVAL, "unknown option \"%s\"", name);
}

static const char *operator_name(const struct run_options *o)
{
	const char *sudo = getenv("SUDO_USER");
	struct passwd *pw;

	if (o->operator_name)
		return o->operator_name;
	if (sudo && sudo[0])
		return sudo;
	pw = getpwuid(getuid());
	return pw ? pw->pw_name : "unknown";
}

static int expand_output(const char *template, char *out, size_t size, struct error *e)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!strchr(template, '%')) {
		snprintf(out, size, "%s", template);
		return 0;
	}
	gmtime_r(&now, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strftime(out, size, template, &tm) == 0)
		return error_set(e, -EINVAL, "output: the template \"%s\" does not give a name", template);
#pragma GCC diagnostic pop
	return 0;
}

// A share becomes bytes once: what the policy says then does not change with the file system.
static uint64_t min_free_bytes(const struct run_options *o, const char *recording)
{
	char path[sizeof(((struct job *)NULL)->recording)];
	struct statfs fs;

	if (o->min_free_percent == 0)
		return o->min_free;
	snprintf(path, sizeof(path), "%s", recording);
	if (statfs(dirname(path), &fs) < 0)
		return 0; // then the directory cannot be made either
	return (uint64_t)fs.f_blocks * (uint64_t)fs.f_frsize / 100 * o->min_free_percent;
}

static int fill_places(struct job *job, const char *list, struct error *e)
{
	job->places = 1;
	for (const char *at = list; at && *at;) {
		size_t len = strcspn(at, ",");

		if (job->places == JOB_PLACES_MAX)
			return error_set(e, -EINVAL, "segments-on: at most %u directories", JOB_PLACES_MAX - 1);
		if (len == 0 || len >= sizeof(job->segments_on[0]))
			return error_set(e, -EINVAL,
			        "segments-on: directories of at most %zu characters, divided by commas",
			        sizeof(job->segments_on[0]) - 1);
		memcpy(job->segments_on[job->places++ - 1], at, len);
		at += len + (at[len] == ',');
	}
	return 0;
}

static uint32_t role_uid(const char *user, uint32_t otherwise)
{
	struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;

	if (geteuid() != 0)
		return UINT32_MAX;
	return pw ? pw->pw_uid : otherwise;
}

uint32_t run_exporter_uid(void)
{
	return role_uid("sealtap-exporter", EXPORTER_UID);
}

static void join_arguments(int argc, char **argv, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (int i = 0; i < argc && used + 1 < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", argv[i]);
}

int run_options_job(const struct run_options *o, enum job_kind kind, unsigned sources, int argc, char **argv,
        struct job **ret_job, struct error *e)
{
	const char *sudo_uid = getenv("SUDO_UID"), *sudo_gid = getenv("SUDO_GID");
	char host[256] = "sensor";
	struct job *job;
	int r;

	if (!o->output)
		return error_set(e, -EINVAL, "say where the recording shall lie: -o DIRECTORY");
	if (sources > JOB_SOURCES_MAX)
		return error_set(e, -EINVAL, "at most %u sources in one recording", JOB_SOURCES_MAX);
	job = job_new(sources);
	if (!job)
		return error_set(e, -ENOMEM, "out of memory");
	r = expand_output(o->output, job->recording, sizeof(job->recording), e);
	if (r == 0)
		r = fill_places(job, o->segments_on, e);
	if (r < 0) {
		free(job);
		return r;
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(job->sensor, sizeof(job->sensor), "%s", o->sensor ? o->sensor : host);
	snprintf(job->reference, sizeof(job->reference), "%s", o->reference ? o->reference : "");
	snprintf(job->operator_name, sizeof(job->operator_name), "%s", operator_name(o));
	snprintf(job->filter, sizeof(job->filter), "%s", o->filter ? o->filter : "");
	snprintf(job->driver, sizeof(job->driver), "%s", kind == JOB_CAPTURE ? o->driver : "");
	snprintf(job->driver_args, sizeof(job->driver_args), "%s", o->dpdk_args ? o->dpdk_args : "");
	join_arguments(argc, argv, job->command_line, sizeof(job->command_line));
	job->kind = kind;
	job->duration_ns = o->duration_ns;
	job->packets_max = o->packets;
	job->segment_bytes = o->segment_mib << 20;
	job->segment_ns = o->segment_ns;
	job->ring_bytes = o->ring_mib << 20;
	job->keep_bytes = o->keep_bytes;
	job->keep_ns = o->keep_ns;
	job->min_free = min_free_bytes(o, job->recording);
	if (job->keep_bytes && job->keep_bytes < 2 * job->segment_bytes) {
		free(job);
		return error_set(e, -EINVAL,
		        "keep: that is less than two segments of %llu MiB; keep more, or make segments smaller "
		        "(--segment-size MIB)",
		        (unsigned long long)o->segment_mib);
	}
	// Live, the pool is what bridges a stall of the disk; a file waits, and a small pool stays in the processor's
	// cache.
	job->pool_blocks = (uint32_t)(o->pool_mib           ? o->pool_mib
	                              : kind == JOB_CAPTURE ? JOB_POOL_BLOCKS
	                                                    : 2 * o->sealers + 2 + (o->flows ? 4 : 0));
	job->sealers = (uint32_t)o->sealers;
	job->rx_cores = o->rx_cores;
	job->seal_cores = o->seal_cores;
	job->rx_threads = (uint32_t)o->rx_threads;
	job->direction = o->direction;
	job->tap = o->tap;
	job->busy_poll = o->busy_poll;
	job->nic_time = o->nic_time;
	job->flows = kind == JOB_INGEST ? o->flows : !o->no_flows;
	job->flow_threads = (uint32_t)o->flow_threads;
	job->flush_ms = (uint32_t)o->flush_ms;
	job->snaplen = (uint32_t)o->snaplen;
	job->level = o->level;
	job->level_floor = o->level_floor < o->level ? o->level_floor : o->level;
	job->promiscuous = !o->no_promisc;
	job->json = o->json;
	job->owner_uid = sudo_uid ? (uint32_t)strtoul(sudo_uid, NULL, 10) : getuid();
	job->owner_gid = sudo_gid ? (uint32_t)strtoul(sudo_gid, NULL, 10) : getgid();
	job->role_uid[JOB_RECORDER] = role_uid("sealtap-recorder", RECORDER_UID);
	job->role_uid[JOB_KEEPER] = role_uid("sealtap-keeper", KEEPER_UID);
	job->role_uid[JOB_INSPECTOR] = role_uid("sealtap-inspector", INSPECTOR_UID);
	job->role_uid[JOB_FLOWLOG] = role_uid("sealtap-flowlog", FLOWLOG_UID);
	job->role_uid[JOB_EXPORTER] = run_exporter_uid();
	r = export_options_job(&o->export, job->flows, job, e);
	if (r == 0)
		r = cutoff_option_job(&o->cutoff, job, e);
	if (r < 0) {
		free(job);
		return r;
	}
	*ret_job = job;
	return 0;
}

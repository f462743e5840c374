// SPDX-License-Identifier: Apache-2.0
// What one run shall do: made by the command line, sealed in a memfd, mapped read-only by every process of the run.
// Fixed sizes; strings end with NUL (job_map checks). Its SHA-256 stands in the ledger as config_sha256.
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"

#define JOB_MAGIC 0x31626f6a70617473ULL // "stapjob1"
#define JOB_SOURCES_MAX 1024u
#define JOB_PLACES_MAX 8u    // disks that segments lie on
#define JOB_POOL_BLOCKS 256u // of a capture that asks for nothing else

enum job_kind { JOB_CAPTURE = 1, JOB_INGEST = 2 };

enum job_role { JOB_RECORDER, JOB_KEEPER, JOB_INSPECTOR, JOB_FLOWLOG, JOB_EXPORTER, JOB_ROLES };

struct job_source {
	char name[1024]; // interface, path, or "-"
};

#define JOB_EXPORTS_MAX 8u

enum job_export_kind { JOB_EXPORT_IPFIX = 1, JOB_EXPORT_KAFKA };

struct job_export {
	uint32_t kind;    // enum job_export_kind
	char target[316]; // as the exporter takes it
};

struct job {
	uint64_t magic;
	uint32_t kind;
	uint32_t source_count;
	uint64_t duration_ns;   // 0: no limit
	uint64_t packets_max;   // 0: no limit
	uint64_t segment_bytes; // raw bytes after which a segment ends
	uint64_t segment_ns;    // time after which a segment ends
	uint64_t ring_bytes;    // kernel ring per interface; 0: as the driver finds right
	uint64_t keep_bytes;    // retention: at most so many stored bytes, or ...
	uint64_t keep_ns;       // ... segments go at this age; both 0: all are kept
	uint64_t min_free;      // of the file system stays free; 0: no reserve
	uint64_t cutoff_bytes;  // of a flow that are recorded; 0: all
	uint32_t pool_blocks;   // of 1 MiB
	uint32_t sealers;       // threads; 0: as many as suits the cores
	uint32_t flush_ms;
	uint32_t snaplen; // 0: whole frames
	int32_t level_floor;
	int32_t level; // zstd
	uint32_t promiscuous;
	uint32_t json;      // reports on stdout as JSON
	uint32_t owner_uid; // who owns the finished recording
	uint32_t owner_gid;
	uint32_t role_uid[JOB_ROLES]; // UINT32_MAX: keep the present one
	uint32_t rx_threads;          // per interface; 0: what the driver finds right
	uint32_t direction;           // as in the epb_flags word: 1 in, 2 out; 0: both
	uint32_t tap;                 // enum tap of source.h
	uint32_t busy_poll;
	uint32_t nic_time; // the NIC's time stamps
	uint32_t flows;    // are inspected, and logged in the recording
	uint32_t flow_threads;
	uint32_t export_count; // targets of flow records
	uint32_t export_finish_ms;
	uint64_t export_behind; // bytes of flow files that a target may be behind
	struct job_export export[JOB_EXPORTS_MAX];
	char export_ca[1024]; // empty: the system's certificates
	char export_cert[1024];
	char export_key[1024];
	cpu_set_t rx_cores; // none: as the recorder finds right
	cpu_set_t seal_cores;
	uint32_t places;      // disks: segments/ and what segments_on names
	char recording[1024]; // directory to make
	char segments_on[JOB_PLACES_MAX - 1][1024];
	char sensor[256];
	char reference[512];
	char operator_name[256];
	char driver[16]; // of a capture
	char driver_args[2048];
	char filter[4096];
	char cutoff_apps[400]; // whose flows the cutoff is for, with commas between; empty: all flows
	char command_line[2048];
	struct job_source source[];
};

struct job *job_new(unsigned sources); // zeroed; NULL: no memory
size_t job_size(const struct job *job);
int job_seal(const struct job *job, int *ret_fd); // a memfd that nobody can change any more
// How long the pool holds all that links of so many Mbit/s bring while the disk takes nothing. A frame's place in a
// block is up to a tenth more than its time on the wire (92 bytes for the 84 of the smallest Ethernet frame).
static inline uint64_t job_stall_ms(uint64_t pool_blocks, uint64_t mbit)
{
	return pool_blocks * (8u << 20) / (mbit * 1100);
}
// Maps and checks. The mapping lives as long as the process.
int job_map(int fd, const struct job **ret_job, struct error *e);

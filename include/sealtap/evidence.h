// SPDX-License-Identifier: Apache-2.0
// Numbers and names of the evidence format v1 (docs/evidence-format.md). Section numbers are of that page.
#pragma once

#include <stdint.h>

#define EVIDENCE_FORMAT "sealtap/v1"
#define EVIDENCE_RECOVERY_FORMAT "sealtap/recovery/v1"

#define DIGEST_LEN 32
#define ED25519_KEY_LEN 32
#define ED25519_SIG_LEN 64
#define SEGMENT_ID_LEN 16
#define SALT_LEN 16
#define SALTS_KEY_LEN 32

// Section 2.1
#define LEDGER_LINE_MIN 2
#define LEDGER_LINE_MAX 65535
#define LEDGER_GAP_NS 10000000000ULL
#define CLOCK_TOLERANCE_NS 100000000ULL
#define LANES_MAX 4096

// Section 3
#define FRAME_RAW_MAX 1048576u
#define FRAME_WINDOW_MAX (8u << 20)
#define CAPLEN_MAX 262144u

// Section 4
#define TILE_PACKETS 256u
#define COMMIT_PREFIX_LEN 64u
#define COMMIT_FIXED_LEN 112u

#define EPOCH_NS 60000000000ULL
#define EPOCH_MOST_NS 90000000000ULL // of a verifier

enum drop_cause { DROP_POOL, DROP_DISK, DROP_OVERSIZE, DROP_CRASH, DROP_CAUSES };
extern const char *const drop_cause_names[DROP_CAUSES];

// Section 2.3. All counters of a lane; a mask tells which of those that are not ours exist.
#define COUNTERS_DRIVER_RECEIVED 1u
#define COUNTERS_DRIVER_DROPPED 2u
#define COUNTERS_NIC 4u // all of nic, or none
#define COUNTERS_XDP 8u // all of xdp, or none

enum nic_counter { NIC_RECEIVED, NIC_MISSED, NIC_FIFO, NIC_OVER, NIC_ERRORS, NIC_DROPPED, NIC_COUNTERS };
extern const char *const nic_counter_names[NIC_COUNTERS];

// The first XSK_LOSSES are frames, and driver.dropped is their sum; what is behind them is no frame.
enum xsk_counter { XSK_NO_SOCKET, XSK_DROPPED, XSK_RING_FULL, XSK_LOSSES, XSK_FILL_EMPTY = XSK_LOSSES, XSK_COUNTERS };
extern const char *const xsk_counter_names[XSK_COUNTERS];

struct counters {
	uint64_t received;
	uint64_t recorded;
	uint64_t filtered;
	uint64_t out_of_scope;
	uint64_t shunted;
	uint64_t dropped[DROP_CAUSES];
	uint64_t driver_received;
	uint64_t driver_dropped;
	uint64_t nic[NIC_COUNTERS]; // of the interface, in its first lane
	uint64_t xsk[XSK_COUNTERS]; // of the lane's AF_XDP socket
	uint64_t driver_mask;
};
_Static_assert(sizeof(struct counters) == 176, "struct counters crosses process borders");

// SPDX-License-Identifier: Apache-2.0
// One thread of the inspector: goes through all loans in their order, meters the flows of its share, and says how far
// it has come. It writes nothing but its own part of struct loan_reply.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "analyzers/flow_meter.h"
#include "sensor/inspector/teller.h"
#include "sensor/ipc/loan.h"

struct inspection { // what all workers share; none writes to it
	const struct loans *loans;
	struct loan_reply *reply;
	const uint8_t *data; // of the pool's blocks
	uint32_t blocks;
	uint32_t inspector; // which one this is
	uint32_t workers;
	uint64_t seed;       // of tables and shares; 63 bits
	struct app_set apps; // with a cutoff
	int parent;          // process
};

struct worker {
	const struct inspection *inspection;
	uint32_t index;
	pthread_t thread;
	struct flow_meter *meter;
	struct decoded decoded;
	struct teller teller;
	uint32_t next; // number of the loan to come
};

// Of a record that flow_meter ends.
void worker_record(void *worker, const struct flow_record *record);
// Of a flow with a cutoff: false while the recorder has not heard what was said before.
bool worker_claim(void *worker, const struct shunt_key *key, uint64_t ns);
void *worker_main(void *worker);

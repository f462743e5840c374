// SPDX-License-Identifier: Apache-2.0
// Notary thread, one for each disk: makes segments durable and then tells the keeper, so that the writer waits for
// neither. Jobs are done in the order in which the writer gives them; a progress or a seal is sent only after the sync
// that it speaks of. Between jobs it removes what the retention policy gives up, one segment at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/ipc/wire.h"
#include "sensor/recorder/recorder.h"

enum notary_kind { NOTARY_PROGRESS, NOTARY_SEAL, NOTARY_LOSS, NOTARY_SHUNT, NOTARY_ROOM };

struct notary_job {
	enum notary_kind kind;
	unsigned fd_count;
	int fd[WIRE_PROGRESS_SEGMENTS]; // to sync; of a SEAL also to close
	union {
		struct wire_progress progress;
		struct wire_seal seal;
		struct wire_loss loss;
		struct wire_shunt shunt;
	};
};

int notary_new(struct recorder *r, struct place *place, struct notary **ret_notary);
void notary_free(struct notary *n);
void *notary_main(void *notary);

// Writer thread. An empty job to fill, waiting for one if need be; NULL when the recorder fails.
struct notary_job *notary_job_take(struct notary *n);
void notary_job_give(struct notary *n, struct notary_job *job);
// Writer thread, when the disk was full after so many removals: waits until another segment has gone under the
// retention policy. false: none has.
bool notary_make_room(struct notary *n, uint64_t removals);
void notary_finish(struct notary *n);            // no more jobs: the thread ends when it has done all
uint64_t notary_worst_sync_ns(struct notary *n); // since the last call

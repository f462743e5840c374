// SPDX-License-Identifier: Apache-2.0
// The flow files of a recording that is being made, as the records of one outlet: read from its own place on, as far as
// they are written. They are the spool of collectors that are away. What they hold is checked and not believed. One
// thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "analyzers/flow_pack.h"
#include "sensor/evidence/reader/flow_file.h"

struct spool;

// flows_fd is borrowed. 0 or -ENOMEM.
int spool_open(int flows_fd, const struct flow_position *from, struct spool **ret_spool);
void spool_free(struct spool *s);
// 1, the next record, and the place behind it. 0: no more are written yet. -EAGAIN: lines that are no records were
// passed over, there may be more. -EBADMSG: a file was left behind where it is no flow file any more. Else an errno of
// reading, which may be tried again.
int spool_next(struct spool *s, uint8_t packed[FLOW_PACKED_MAX], size_t *ret_len, struct flow_position *ret_after);
uint64_t spool_malformed(const struct spool *s); // lines and files, since the beginning
uint64_t spool_behind(const struct spool *s);    // bytes of files that have not been read

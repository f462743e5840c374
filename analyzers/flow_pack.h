// SPDX-License-Identifier: Apache-2.0
// A flow record as one message between processes of one run: the struct with offsets in place of its pointers, and the
// texts behind it. What unpack takes comes from a process that may lie: it is checked whole. Pure, any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/flow.h"

#define FLOW_PACKED_MAX 49152u

// The length, or -EMSGSIZE.
int flow_pack(const struct flow_record *record, uint8_t out[FLOW_PACKED_MAX]);
// 0, or -EBADMSG. Texts of *ret_record point into data.
int flow_unpack(const uint8_t *data, size_t len, struct flow_record *ret_record);

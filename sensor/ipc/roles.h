// SPDX-License-Identifier: Apache-2.0
// The descriptors with which the supervisor starts each role. Every other descriptor is closed on exec.
#pragma once

#define ROLE_JOB_FD 3 // sealed job (job.h)
#define ROLE_SUPERVISOR_FD 4

#define KEEPER_RECORDER_FD 5
#define KEEPER_SIGNER_FD 6
#define KEEPER_DIR_FD 7     // the recording
#define KEEPER_ORIGINS_FD 8 // directory with a log for each origin key
#define KEEPER_FLOWLOG_FD 9 // where flows are wanted

#define RECORDER_KEEPER_FD 5
#define RECORDER_SEGMENTS_FD 6 // directory segments/
#define RECORDER_EXTRAS_FD 7   // directory sources/
#define RECORDER_POOL_FD 8     // memfd of the block pool
#define RECORDER_LOANS_FD 9    // where flows are wanted: struct loans ...
#define RECORDER_REPLY_FD 10   // ... and struct loan_reply (loan.h)

// Directories of segments on other disks, one descriptor each, behind all others: the number of those that come before
// depends on whether flows are wanted.
#define RECORDER_PLACES_FD(flows) ((flows) ? 11 : 9)
#define KEEPER_PLACES_FD(flows) ((flows) ? 10 : 9) // to look at their free room, for nothing else (O_PATH)

#define INSPECTOR_LOANS_FD 4 // read-only
#define INSPECTOR_REPLY_FD 5
#define INSPECTOR_POOL_FD 6  // read-only
#define INSPECTOR_FLOWS_FD 7 // to the flow log (flow_stream.h)

#define FLOWLOG_KEEPER_FD 4
#define FLOWLOG_STREAM_FD 5 // from the inspector (flow_stream.h); closed by all who hold its other end: the end
#define FLOWLOG_DIR_FD 6    // directory flows/

#define SUPERVISOR_KEY_FD 4     // origin private key: handed to the signer unread
#define SUPERVISOR_ORIGINS_FD 5 // handed to the keeper

#define EXPORTER_RECORDS_FD 3 // of `sealtap flows`: flow records, packed
#define EXPORTER_STATE_FD 4   // of a run: struct export_state (export_state.h)
#define EXPORTER_FLOWS_FD 5   // directory flows/
#define EXPORTER_ORDERS_FD 6  // a pipe; its end: no more flows will be written

#define SIGNER_KEY_FD 3
#define SIGNER_KEEPER_FD 4

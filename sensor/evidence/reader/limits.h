// SPDX-License-Identifier: Apache-2.0
// What a verifier holds in memory at most. A recording beyond these is refused as invalid ("limit-exceeded"): honest
// recordings stay orders of magnitude below, and no input may make the verifier grow without end.
#pragma once

// A frame as stored. Compression of 1 MiB never makes more; hostile frames of empty blocks could.
#define FRAME_STORED_MAX (2u << 20)
// Progress points that wait for their segment's end, of all lanes together: 56 bytes each, 224 MiB.
#define POINTS_WAITING_MAX (4u << 20)
// Segments that began and are not complete, and runs of complete ones between them: of one lane, and of all.
#define LANE_WAITING_MAX 4096u
#define SEGMENTS_WAITING_MAX 65536u
// Segments that `cat` lists before it reads, 104 bytes each; complete ones under a retention policy, 80 bytes each.
#define SEGMENTS_LISTED_MAX (4u << 20)
// Flow files, 64 bytes each.
#define FLOW_FILES_MAX (1u << 20)
// Sources of `open`; a line cannot hold more.
#define SOURCES_MAX 4096u
// Checkpoint files and key files are small.
#define SMALL_FILE_MAX 4096u
// recovery.json, section 6.
#define RECOVERY_MAX (16u << 20)

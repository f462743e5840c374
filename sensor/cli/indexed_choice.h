// SPDX-License-Identifier: Apache-2.0
// A selection as a packet_choice: has the flows found that it asks for by name, reads by index what has one, and makes
// one of what it reads whole. One thread.
#pragma once

#include "sensor/cli/index_maker.h"
#include "sensor/cli/packet_output.h"
#include "sensor/cli/selection.h"

struct indexed_lane {
	struct frame_plan plan; // of the segment under way
	struct planned_frame *frames;
};

struct indexed_choice {
	struct packet_choice choice; // for packet_output
	struct selection *selection;
	const struct packet_output *output; // which recording
	int code;                           // for packet_output
	bool with_index;
	bool reanalyse; // whatever flow records the recording keeps; set after init
	struct index_maker maker;
	struct indexed_lane *lanes;
	size_t lane_count;
};

// All is borrowed. with_index false: no index is used, and none made.
void indexed_choice_init(
        struct indexed_choice *c, struct selection *selection, const struct packet_output *output, bool with_index);
// Before the packets are read, in a process that may still open things: as packet_output's prepare.
int indexed_choice_prepare(struct indexed_choice *c, const struct recording_dir *dir, int *ret_write_dir);
void indexed_choice_release(struct indexed_choice *c);

// SPDX-License-Identifier: Apache-2.0
// Finds the flows that a selection asks for by application or server name: another process, which can only read the
// recording (flow_reading), takes the flow records that the recording keeps, where these are all and hold, else puts
// all packets through the flow meter, and says which flows it chose. What it says is believed no further than that: it
// parses what strangers sent. One thread.
#pragma once

#include "sensor/cli/packet_output.h"
#include "sensor/cli/selection.h"

// In the recording of this output; reanalyse: by the meter in any case. Fills selection->set, and foretells fragments
// to its packet_flows. Returns an enum cli_exit, and has said why when it is not CLI_OK; with CLI_INVALID something in
// the recording does not hold, and the search went on.
int flow_search(const struct packet_output *output, bool reanalyse, struct selection *selection);

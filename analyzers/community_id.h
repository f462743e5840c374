// SPDX-License-Identifier: Apache-2.0
// Community ID version 1, seed 0 (github.com/corelight/community-id-spec). Pure, any thread.
#pragma once

#include "analyzers/flow_key.h"

// Addresses, ports and protocol as they are in the key; VLANs and tunnels have no part in it.
void community_id(const struct flow_key *key, char out[COMMUNITY_ID_MAX]);

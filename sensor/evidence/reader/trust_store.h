// SPDX-License-Identifier: Apache-2.0
// Keys that the person at this machine trusts: DATA_DIR/trusted/<hex of the raw key>.pub, PEM; and this machine's own
// origin.pub beside it. Reading only; `sealtap trust` writes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/evidence.h"

#define TRUST_DIR "trusted"
#define TRUST_OWN_KEY "origin.pub"
// 0 when the key is in the store, -ENOENT, or another errno; -EKEYREJECTED when the file holds another key than its
// name says.
int trust_store_has(const char *data_dir, const uint8_t key[ED25519_KEY_LEN]);
// This machine's own origin key. -ENOENT when it has none.
int trust_store_own(const char *data_dir, uint8_t out[ED25519_KEY_LEN]);

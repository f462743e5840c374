// SPDX-License-Identifier: Apache-2.0
// Origin key files: origin.key (private, PKCS#8 PEM, mode 0600) and origin.pub beside it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/evidence.h"

// Makes both files in dir, which is made too. -EEXIST when either exists: keys are never written over.
int origin_make(const char *dir, char *ret_fingerprint, size_t size, struct error *e);
// Opens the private key's file for the signer: the given path, or the default, which is made when it is absent (and
// said on stderr). The key itself is not read here.
int origin_open(const char *path, int *ret_fd, struct error *e);

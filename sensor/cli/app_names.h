// SPDX-License-Identifier: Apache-2.0
// Whether an application name is one that the library knows, and which it may have been meant for. One thread.
#pragma once

#include <stdbool.h>

#include "analyzers/app_set.h"

#define APP_NAMES_NEAR_LEN 160u

// A protocol, an application, or both as in "TLS.Facebook"; letter case does not count. False: near has names that are
// like it, the nearest first, or is empty.
bool app_names_known(struct dpi *dpi, const char *name, char near[APP_NAMES_NEAR_LEN]);

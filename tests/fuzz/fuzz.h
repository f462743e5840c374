// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: libFuzzer's entry point, and a way to stop at what must never be.
// One process, one thread. With the build option `fuzzers` libFuzzer calls; without, one_file.c runs the corpus.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition);                     \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

// SPDX-License-Identifier: Apache-2.0
// What an index can be asked about a pcap expression: keys of which every packet that the expression accepts has each.
// Only expressions that are plainly a conjunction give any, such as "tcp and host 10.0.0.5 and port 443": of all others
// nothing is known, and everything is read. Pure.
#pragma once

#include <stdint.h>

#define INDEX_TERMS_MAX 8u

struct index_terms {
	uint64_t key[INDEX_TERMS_MAX];
	unsigned count;
};

void index_terms_of_expression(const char *expression, struct index_terms *ret_terms);

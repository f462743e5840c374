// SPDX-License-Identifier: Apache-2.0
// Where flow records go: a collector or a broker. Every call is made by the one thread of its outlet.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/flow.h"

struct sink;

struct sink_ops {
	// Connects. 0 or a negative errno with e; then it is called again after a while.
	int (*open)(struct sink *s, struct error *e);
	// In order; *ret_done are given away for good, also on error. Blocks for seconds at most. After an error:
	// close, open.
	int (*deliver)(
	        struct sink *s, const struct flow_record *records, size_t count, size_t *ret_done, struct error *e);
	// Waits until what was given away has arrived, for timeout_ms at most. *ret_lost: what will not any more.
	int (*flush)(struct sink *s, int timeout_ms, uint64_t *ret_lost, struct error *e);
	void (*close)(struct sink *s); // the connection
	void (*free)(struct sink *s);
};

struct sink {
	const struct sink_ops *ops;
	char name[320]; // as the operator wrote it
};

struct sink_config {
	const char *ca_file, *cert_file, *key_file; // TLS; NULL: the system's certificates, none of our own
	uint32_t domain;                            // IPFIX observation domain
};

// "tcp:HOST:PORT", "udp:HOST:PORT" or "tls:HOST:PORT". Strings of config are borrowed.
int sink_ipfix_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e);
// "BROKER[,BROKER]/TOPIC"
int sink_kafka_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e);

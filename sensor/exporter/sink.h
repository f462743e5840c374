// SPDX-License-Identifier: Apache-2.0
// Where flow records go: a collector or a broker. Every call is made by the one thread of its outlet. A record is given
// first and settled later, when the other side has it as surely as the protocol can tell; what was given and is not
// settled when a connection ends is given again.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sealtap/flow.h"

struct sink;

struct sink_settled {
	size_t delivered;
	size_t refused; // for good: to give it again would not help
};

struct sink_ops {
	// Connects. 0 or a negative errno with e; then it is called again after a while.
	int (*open)(struct sink *s, struct error *e);
	// In order; *ret_given, also on error. -EAGAIN: no room now. After another error: settle, close, open.
	int (*give)(
	        struct sink *s, const struct flow_record *records, size_t count, size_t *ret_given, struct error *e);
	// What has been settled since the last call, the oldest first, also on error. Never waits. -EAGAIN with e: the
	// sink mends by itself what e says. After another error: close, open; nothing more will be settled.
	int (*settle)(struct sink *s, struct sink_settled *ret_settled, struct error *e);
	// No more will be given on this connection: the other side may be asked to say that it has all.
	void (*finish)(struct sink *s);
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

// "tcp:HOST:PORT", "udp:HOST:PORT" or "tls:HOST:PORT". Certificates and keys are read here, and not again.
int sink_ipfix_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e);
// "BROKER[,BROKER]/TOPIC"
int sink_kafka_new(const char *target, const struct sink_config *config, struct sink **ret_sink, struct error *e);

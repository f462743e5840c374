// SPDX-License-Identifier: Apache-2.0
// A connection to a collector: whole messages over TCP, UDP or TLS 1.2 and later (server authenticated; the client too
// when it has a certificate). Calls block at most for the time-outs below. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"

#define TRANSPORT_CONNECT_MS 5000
#define TRANSPORT_SEND_MS 5000

enum transport_kind { TRANSPORT_TCP, TRANSPORT_UDP, TRANSPORT_TLS };

struct transport_config {
	enum transport_kind kind;
	char host[256];
	char port[8];
	const char *ca_file;   // TLS: whom to believe; NULL: the system's store
	const char *cert_file; // TLS: our certificate and
	const char *key_file;  // its key; NULL: none
};

// "tcp:HOST:PORT", "udp:...", "tls:...", with [HOST] for an IPv6 address. 0 or -EINVAL with e.
int transport_config_parse(const char *text, struct transport_config *ret_config, struct error *e);

struct transport;

int transport_open(const struct transport_config *config, struct transport **ret_transport, struct error *e);
void transport_close(struct transport *t);
// All of it, or an error after which the connection is of no use. A collector that has closed its end is noticed before
// anything is given to it.
int transport_send(struct transport *t, const uint8_t *data, size_t len, struct error *e);

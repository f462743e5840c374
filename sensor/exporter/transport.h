// SPDX-License-Identifier: Apache-2.0
// A connection to a collector over TCP, UDP or TLS 1.2 and later (server authenticated; the client too when it has a
// certificate). Only opening waits, at most for TRANSPORT_CONNECT_MS an address. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sealtap/error.h"

#define TRANSPORT_CONNECT_MS 5000
#define TRANSPORT_SILENT_MS 30000 // a collector whose kernel acknowledges nothing for so long is gone

enum transport_kind { TRANSPORT_TCP, TRANSPORT_UDP, TRANSPORT_TLS };

struct ssl_ctx_st;

struct transport_config {
	enum transport_kind kind;
	char host[256];
	char port[8];
	struct ssl_ctx_st *tls;
};

// "tcp:HOST:PORT", "udp:...", "tls:...", with [HOST] for an IPv6 address. 0 or -EINVAL with e.
int transport_config_parse(const char *text, struct transport_config *ret_config, struct error *e);
// Of TLS: reads whom to believe (NULL: the system's store, which is read at each connection), and our certificate and
// its key (NULL: none), once.
int transport_config_tls(struct transport_config *config, const char *ca_file, const char *cert_file,
        const char *key_file, struct error *e);
void transport_config_free(struct transport_config *config);

struct transport;

// What is known of the other end. ENDED: it closed its side, with nothing unread.
enum transport_peer { TRANSPORT_PEER_THERE, TRANSPORT_PEER_ENDED, TRANSPORT_PEER_RESET };

int transport_open(const struct transport_config *config, struct transport **ret_transport, struct error *e);
void transport_close(struct transport *t);
// Bytes taken, at least one; over UDP all, as one datagram. -EAGAIN: no room now; over TLS the same bytes must be given
// next. After another error, with e, the connection is of no use.
int transport_send(struct transport *t, const uint8_t *data, size_t len, struct error *e);
enum transport_peer transport_peer(struct transport *t);
// Not of UDP: bytes that went into the connection, and how many of them the other kernel has acknowledged.
uint64_t transport_sent(const struct transport *t);
uint64_t transport_acknowledged(const struct transport *t);
void transport_finish(struct transport *t); // nothing more will be sent: the other side may close

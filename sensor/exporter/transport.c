// SPDX-License-Identifier: Apache-2.0
#include "sensor/exporter/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEER_READS_MAX 16 // of what it says, at a time

struct transport {
	const struct transport_config *config;
	int fd;
	SSL *ssl;
	uint64_t sent; // not of TLS
	bool finished;
	enum transport_peer peer;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int transport_config_parse(const char *text, struct transport_config *ret_config, struct error *e)
{
	static const char *const kinds[] = {"tcp:", "udp:", "tls:"};
	struct transport_config c = {.kind = TRANSPORT_TCP};
	const char *at = NULL, *port;
	size_t host_len;

	for (int i = 0; i < 3; i++) {
		if (strncmp(text, kinds[i], 4) == 0) {
			c.kind = (enum transport_kind)i;
			at = text + 4;
		}
	}
	port = at ? strrchr(at, ':') : NULL;
	if (!port)
		return error_set(
		        e, -EINVAL, "a collector is tcp:HOST:PORT, udp:HOST:PORT or tls:HOST:PORT, not %s", text);
	host_len = (size_t)(port - at);
	if (host_len >= 2 && at[0] == '[' && port[-1] == ']') {
		at++;
		host_len -= 2;
	}
	if (host_len == 0 || host_len >= sizeof(c.host) || port[1] == '\0' || strlen(port + 1) >= sizeof(c.port) ||
	        strspn(port + 1, "0123456789") != strlen(port + 1))
		return error_set(e, -EINVAL, "%s: no host, or no port number", text);
	memcpy(c.host, at, host_len);
	snprintf(c.port, sizeof(c.port), "%s", port + 1);
	*ret_config = c;
	return 0;
}

static int fail(const struct transport *t, struct error *e, int code, const char *what, const char *why)
{
	return error_set(e, code, "%s port %s: %s: %s", t->config->host, t->config->port, what, why);
}

static int wait_for(int fd, short events, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left;
	int r;

	do {
		left = until_ms - now_ms();
		r = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
}

static int connect_one(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol), error = 0, r;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return fd;
	r = errno == EINPROGRESS ? wait_for(fd, POLLOUT, now_ms() + TRANSPORT_CONNECT_MS) : -errno;
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		r = -errno;
	if (r == 0)
		r = -error;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int connect_any(struct transport *t, struct error *e)
{
	struct addrinfo hints = {.ai_socktype = t->config->kind == TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM},
	                *all = NULL;
	int r = getaddrinfo(t->config->host, t->config->port, &hints, &all);

	if (r != 0)
		return fail(t, e, -EHOSTUNREACH, "the name", gai_strerror(r));
	r = -EHOSTUNREACH;
	for (struct addrinfo *to = all; to && r < 0; to = to->ai_next)
		r = connect_one(to);
	freeaddrinfo(all);
	if (r < 0)
		return fail(t, e, r, "connect", strerror(-r));
	t->fd = r;
	return 0;
}

static const char *tls_reason(void)
{
	unsigned long code = ERR_get_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text ? text : "the connection broke";
}

// Repeats an operation of OpenSSL until it is done or the time is over.
static int tls_wait(struct transport *t, int result, int64_t until_ms)
{
	int reason = SSL_get_error(t->ssl, result);

	if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
		return -EPROTO;
	return wait_for(t->fd, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ms);
}

static bool is_address(const char *host)
{
	unsigned char buffer[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, buffer) == 1 || inet_pton(AF_INET6, host, buffer) == 1;
}

int transport_config_tls(
        struct transport_config *c, const char *ca_file, const char *cert_file, const char *key_file, struct error *e)
{
	const char *bad = NULL;

	c->tls = SSL_CTX_new(TLS_client_method());
	if (!c->tls || SSL_CTX_set_min_proto_version(c->tls, TLS1_2_VERSION) != 1)
		return error_set(e, -ENOMEM, "TLS: %s", tls_reason());
	SSL_CTX_set_verify(c->tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(c->tls, SSL_MODE_ENABLE_PARTIAL_WRITE);
	if (ca_file && SSL_CTX_load_verify_locations(c->tls, ca_file, NULL) != 1)
		bad = ca_file;
	else if (!ca_file && SSL_CTX_set_default_verify_paths(c->tls) != 1)
		bad = "the system's certificates";
	else if (cert_file && SSL_CTX_use_certificate_chain_file(c->tls, cert_file) != 1)
		bad = cert_file;
	else if (cert_file && SSL_CTX_use_PrivateKey_file(c->tls, key_file, SSL_FILETYPE_PEM) != 1)
		bad = key_file;
	return bad ? error_set(e, -EINVAL, "%s cannot be used for TLS: %s", bad, tls_reason()) : 0;
}

void transport_config_free(struct transport_config *c)
{
	SSL_CTX_free(c->tls);
	c->tls = NULL;
}

static int tls_prepare(struct transport *t, struct error *e)
{
	const struct transport_config *c = t->config;

	t->ssl = SSL_new(c->tls);
	if (!t->ssl || SSL_set_fd(t->ssl, t->fd) != 1)
		return fail(t, e, -ENOMEM, "TLS", tls_reason());
	if (is_address(c->host))
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), c->host);
	else if (SSL_set1_host(t->ssl, c->host) != 1 || SSL_set_tlsext_host_name(t->ssl, c->host) != 1)
		return fail(t, e, -ENOMEM, "TLS", tls_reason());
	return 0;
}

static int tls_start(struct transport *t, struct error *e)
{
	int64_t until = now_ms() + TRANSPORT_CONNECT_MS;
	int r = tls_prepare(t, e), done;

	while (r == 0 && (done = SSL_connect(t->ssl)) != 1) {
		r = tls_wait(t, done, until);
		if (r < 0) {
			long verified = SSL_get_verify_result(t->ssl);

			return fail(t, e, r, "TLS",
			        verified != X509_V_OK ? X509_verify_cert_error_string(verified)
			        : r == -ETIMEDOUT     ? strerror(-r)
			                              : tls_reason());
		}
	}
	return r;
}

int transport_open(const struct transport_config *config, struct transport **ret_transport, struct error *e)
{
	struct transport *t = calloc(1, sizeof(*t));
	const int one = 1, silent_ms = TRANSPORT_SILENT_MS;
	int r;

	if (!t)
		return error_set(e, -ENOMEM, "out of memory");
	t->config = config;
	t->fd = -1;
	r = connect_any(t, e);
	if (r == 0 && config->kind != TRANSPORT_UDP) {
		setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(t->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent_ms, sizeof(silent_ms));
	}
	if (r == 0 && config->kind == TRANSPORT_TLS)
		r = tls_start(t, e);
	if (r < 0) {
		transport_close(t);
		return r;
	}
	*ret_transport = t;
	return 0;
}

void transport_close(struct transport *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

// What a collector says means nothing; TLS has its own messages, until we have ended it.
enum transport_peer transport_peer(struct transport *t)
{
	const bool tls = t->ssl && !t->finished;
	char bytes[4096];

	if (t->config->kind == TRANSPORT_UDP)
		return TRANSPORT_PEER_THERE;
	for (int i = 0; i < PEER_READS_MAX && t->peer == TRANSPORT_PEER_THERE; i++) {
		ssize_t n = recv(t->fd, bytes, sizeof(bytes), MSG_DONTWAIT | (tls ? MSG_PEEK : 0));
		int reason;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			t->peer = n == 0 ? TRANSPORT_PEER_ENDED : TRANSPORT_PEER_RESET;
			break;
		}
		if (!tls)
			continue;
		ERR_clear_error();
		n = SSL_read(t->ssl, bytes, sizeof(bytes));
		reason = SSL_get_error(t->ssl, (int)n);
		if (n <= 0 && reason != SSL_ERROR_ZERO_RETURN) {
			if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
				t->peer = TRANSPORT_PEER_RESET;
			break;
		}
	}
	return t->peer;
}

static int send_datagram(struct transport *t, const uint8_t *data, size_t len, struct error *e)
{
	// An error of an earlier datagram, such as that nobody listens, is told here; this one has not been sent then.
	ssize_t n = send(t->fd, data, len, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR))
		return -EAGAIN;
	return n < 0 ? fail(t, e, -errno, "send", strerror(errno)) : (int)len;
}

static int tls_send(struct transport *t, const uint8_t *data, size_t len, struct error *e)
{
	int n, reason;

	ERR_clear_error();
	errno = 0;
	n = SSL_write(t->ssl, data, (int)len);
	if (n > 0)
		return n;
	reason = SSL_get_error(t->ssl, n);
	if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	t->peer = TRANSPORT_PEER_RESET;
	return fail(t, e, -EPROTO, "TLS", errno ? strerror(errno) : tls_reason());
}

int transport_send(struct transport *t, const uint8_t *data, size_t len, struct error *e)
{
	ssize_t n;

	if (t->config->kind == TRANSPORT_UDP)
		return send_datagram(t, data, len, e);
	if (t->ssl)
		return tls_send(t, data, len, e);
	n = send(t->fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0) {
		t->peer = TRANSPORT_PEER_RESET;
		return fail(t, e, -errno, "send", strerror(errno));
	}
	t->sent += (uint64_t)n;
	return (int)n;
}

uint64_t transport_sent(const struct transport *t)
{
	return t->ssl ? BIO_number_written(SSL_get_wbio(t->ssl)) : t->sent;
}

uint64_t transport_acknowledged(const struct transport *t)
{
	uint64_t sent = transport_sent(t);
	int waiting = 0;

	// Not acknowledged, sent or not yet (Linux, tcp(7)); an end of ours counts as one.
	if (ioctl(t->fd, SIOCOUTQ, &waiting) < 0)
		return 0;
	return (uint64_t)waiting < sent ? sent - (uint64_t)waiting : 0;
}

void transport_finish(struct transport *t)
{
	if (t->config->kind == TRANSPORT_UDP)
		return;
	ERR_clear_error();
	if (t->ssl)
		SSL_shutdown(t->ssl);
	shutdown(t->fd, SHUT_WR);
	t->finished = true;
}

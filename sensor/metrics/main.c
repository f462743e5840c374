// SPDX-License-Identifier: Apache-2.0
// sealtap-metrics: what `sealtap status` shows, for Prometheus. It asks the running captures over their control
// sockets, anew for each scrape, in the main thread; the web server has a thread of its own (server.h). It sees no
// packets, keys or recordings, and the sandbox leaves it nothing but its listening socket and control sockets.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/runs.h"
#include "sensor/metrics/page.h"
#include "sensor/metrics/server.h"
#include "sensor/sandbox/sandbox.h"

#define LISTEN_DEFAULT "127.0.0.1:9432"
#define LISTEN_BACKLOG 128
// Prometheus gives up after 10 s: whoever comes while a look is under way waits for two.
#define ANSWER_MS 1000
#define LOOK_MS 3000
#define LOOKS_APART_NS 50000000ULL

static const char help[] =
        "usage: sealtap metrics [--listen ADDRESS:PORT] [--with-reference]\n"
        "\n"
        "Gives what `sealtap status` shows of the running captures to Prometheus: http://127.0.0.1:9432/metrics. Each\n"
        "scrape asks the captures anew and disturbs nothing. Runs until ^C or SIGTERM.\n"
        "\n"
        "      --listen ADDRESS:PORT  where (default " LISTEN_DEFAULT "; [::1]:9432). There is no password and no\n"
        "                             encryption: whoever reaches the address reads what it says\n"
        "      --with-reference       also the reference (warrant, contract) and the operator of each capture\n"
        "\n"
        "Root sees the captures of all users, others those that they started themselves or by sudo.\n"
        "Exit: 0 ended by ^C or SIGTERM, 1 it cannot listen or failed, 2 usage.\n";

static int wake[2] = {-1, -1};
static volatile sig_atomic_t ending;

static void end(int signal)
{
	int kept = errno;

	ending = 1;
	if (write(wake[1], "", 1) < 0) // full: it wakes as well
		errno = kept;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool loopback(const struct sockaddr_storage *at)
{
	if (at->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)at)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)at)->sin_addr.s_addr) >> 24 == 127;
}

// ADDRESS:PORT or [ADDRESS]:PORT, numbers only: a name may mean another place tomorrow.
static int address(const char *text, struct sockaddr_storage *ret_at, socklen_t *ret_len)
{
	const struct addrinfo hints = {
	        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[64], *end_of;
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';

	if (len == 0 || len >= sizeof(host) || (!brackets && memchr(text, ':', len)) || colon[1] < '0' ||
	        colon[1] > '9' || strtoul(colon + 1, &end_of, 10) > 65535 || *end_of)
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(brackets ? len - 2 : len), text + brackets);
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -EINVAL;
	memcpy(ret_at, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int listen_at(const struct sockaddr_storage *at, socklen_t len)
{
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)at, len) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static void say_where(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	char host[64], port[8];

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0 ||
	        getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	fprintf(stderr,
	        at.ss_family == AF_INET6 ? "listening on http://[%s]:%s/metrics\n"
	                                 : "listening on http://%s:%s/metrics\n",
	        host, port);
	if (!loopback(&at))
		fprintf(stderr,
		        "sealtap metrics: warning: %s is not loopback: whoever reaches it reads names of recordings, "
		        "sensors "
		        "and interfaces, without a password and unencrypted\n",
		        host);
}

// One look at the captures, for those who wait.
static void look(struct server *s, bool confidential)
{
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	struct runs_seen seen = {0};
	char *text = NULL;
	size_t len = 0;

	if (runs_look_within(&seen, ANSWER_MS, LOOK_MS) == 0 && !ending)
		page_new(&seen, confidential, clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_MONOTONIC) - began, &text, &len);
	runs_free(&seen);
	server_give(s, text, len);
}

static void serve(struct server *s, bool confidential)
{
	const struct timespec rest = {.tv_nsec = LOOKS_APART_NS};
	struct pollfd p = {.fd = wake[0], .events = POLLIN};
	char bytes[256];

	while (!ending) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return;
		while (read(wake[0], bytes, sizeof(bytes)) > 0)
			;
		if (server_begin(s) == 0)
			continue;
		look(s, confidential);
		nanosleep(&rest, NULL); // a client that asks without end costs the captures little
	}
}

static int run(int listen_fd, bool confidential)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	const struct sandbox sandbox = {.role = SANDBOX_METRICS,
	        .uid = UINT32_MAX,
	        .list_dirs = {"/run", xdg && xdg[0] == '/' && access(xdg, F_OK) == 0 ? xdg : NULL}};
	const struct sigaction on_end = {.sa_handler = end};
	struct server *s;
	struct error e;
	sigset_t signals;
	int r;

	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0)
		return cli_fail(CLI_INVALID, "metrics", "cannot make a pipe: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaction(SIGINT, &on_end, NULL);
	sigaction(SIGTERM, &on_end, NULL);
	tzset(); // libc reads /etc/localtime for the header Date; now it may
	if (sandbox_enter(&sandbox, &e) < 0)
		return cli_fail(CLI_INVALID, "metrics", "%s", e.text);
	sigprocmask(SIG_BLOCK, &signals, NULL); // in the server's thread
	r = server_start(listen_fd, wake[1], &s);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	if (r < 0)
		return cli_fail(CLI_INVALID, "metrics", "cannot start the web server: %s", strerror(-r));
	say_where(listen_fd);
	serve(s, confidential);
	server_stop(s);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
	        {"with-reference", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *where = LISTEN_DEFAULT;
	struct sockaddr_storage at = {0};
	bool confidential = false;
	socklen_t len;
	int c, fd;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c == 'l')
			where = optarg;
		else if (c == 'r')
			confidential = true;
		else
			return fputs(help, stderr), CLI_USAGE;
	}
	if (optind < argc)
		return cli_fail(CLI_USAGE, "metrics", "unexpected argument: %s", argv[optind]);
	if (address(where, &at, &len) < 0)
		return cli_fail(CLI_USAGE, "metrics",
		        "\"%s\" is no address and port, such as " LISTEN_DEFAULT " or [::1]:9432", where);
	fd = listen_at(&at, len);
	if (fd < 0)
		return cli_fail(CLI_INVALID, "metrics", "cannot listen on %s: %s; --listen names another place", where,
		        strerror(-fd));
	return run(fd, confidential);
}

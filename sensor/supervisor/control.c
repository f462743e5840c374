// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sensor/evidence/ledger_line.h"
#include "sensor/supervisor/run_state.h"

#define SECOND_NS 1000000000ULL
#define SILENT_NS (2 * SECOND_NS)  // to ask
#define READING_NS (5 * SECOND_NS) // to take the answer
#define MARK_NS (30 * SECOND_NS)   // of a disk that stands still
#define MARKS_APART_NS 50000000ULL
#define BUSY_MS 50

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

// Only root and the owner ever get through, so both names are looked up once: a directory service may take its time.
static void user_name(uint32_t uid, char *out, size_t size)
{
	const struct passwd *pw = getpwuid(uid);

	if (pw && text_plain(pw->pw_name))
		snprintf(out, size, "%s", pw->pw_name);
	else
		snprintf(out, size, "uid %u", uid);
}

// Listens under a name with a dot first: whoever meets a socket that does not listen takes it for a dead run's.
static int listen_at(struct control *c, const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char hidden[CONTROL_NAME_MAX + 1];
	mode_t mask;
	int r = 0;

	snprintf(hidden, sizeof(hidden), ".%s", c->name);
	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s/%s", path, hidden) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return -errno;
	mask = umask(0177);
	if (bind(c->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		r = -errno;
	umask(mask);
	if (r < 0)
		return r;
	if ((c->owner != geteuid() && fchownat(c->dir_fd, hidden, c->owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0) ||
	        listen(c->fd, CONTROL_CLIENTS) < 0 || renameat(c->dir_fd, hidden, c->dir_fd, c->name) < 0) {
		r = -errno;
		unlinkat(c->dir_fd, hidden, 0);
	}
	return r;
}

int control_open(struct control *c, uint32_t owner_uid, struct error *e)
{
	char path[PATH_MAX];
	uint32_t random;
	int r;

	*c = (struct control){.fd = -1, .dir_fd = -1, .owner = owner_uid};
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i].fd = -1;
	user_name(owner_uid, c->owner_name, sizeof(c->owner_name));
	c->dir_fd = control_dir_make(path, sizeof(path), e);
	if (c->dir_fd < 0)
		return c->dir_fd;
	control_dir_clean(c->dir_fd);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)now_ns();
	snprintf(c->name, sizeof(c->name), "%d-%08x.sock", getpid(), random);
	r = listen_at(c, path);
	if (r == 0)
		return 0;
	if (c->fd >= 0)
		close(c->fd);
	close(c->dir_fd);
	c->fd = c->dir_fd = -1;
	return error_set(e, r, "cannot make a socket in %s: %s", path, strerror(-r));
}

static void client_end(struct control_client *cl)
{
	close(cl->fd);
	*cl = (struct control_client){.fd = -1};
}

// 0 when it went, or the client is gone; -EAGAIN when it does not read.
static int client_send(struct control_client *cl, enum control_type type, void *message, size_t len)
{
	struct control_header *h = message;
	ssize_t n;

	*h = (struct control_header){.magic = CONTROL_MAGIC, .type = type, .len = (uint32_t)len};
	n = send(cl->fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return 0;
	return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -EPIPE;
}

static void refuse(struct control_client *cl, enum control_refusal reason)
{
	struct control_refused m = {.reason = reason};

	client_send(cl, CONTROL_REFUSED, &m, sizeof(m)); // if it does not go, it does not
	client_end(cl);
}

static void give_status(struct control_client *cl, const struct run *run)
{
	int r = 0;

	if (!cl->began) {
		struct control_run m;

		run_describe(run, &m);
		cl->lanes = m.lanes;
		r = client_send(cl, CONTROL_RUN, &m, sizeof(m));
		cl->began = r == 0;
	}
	while (r == 0 && cl->next_lane < cl->lanes) {
		struct control_lane m;

		run_describe_lane(run, cl->next_lane, &m);
		r = client_send(cl, CONTROL_LANE, &m, sizeof(m));
		cl->next_lane += r == 0;
	}
	if (r != -EAGAIN)
		client_end(cl);
}

static void client_asked(struct control_client *cl, const struct run *run)
{
	union control_request m;
	ssize_t n = recv(cl->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC); // descriptors that come along are closed

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_end(cl);
		return;
	}
	switch (control_request_check(&m, (size_t)n <= sizeof(m) ? (size_t)n : 0)) {
	case CONTROL_STATUS:
		cl->state = CLIENT_READING;
		cl->until_ns = now_ns() + READING_NS;
		give_status(cl, run);
		break;
	case CONTROL_MARK:
		cl->state = CLIENT_QUEUED;
		cl->since_ns = now_ns();
		cl->until_ns = cl->since_ns + MARK_NS;
		memcpy(cl->text, m.mark.text, sizeof(cl->text));
		break;
	default:
		refuse(cl, CONTROL_MALFORMED);
	}
}

// A place for one more: a free one, else that of the client which has been silent for longest, so that silence keeps
// nobody out. NULL: all are being served.
static struct control_client *place(struct control *c)
{
	struct control_client *found = NULL;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->state == CLIENT_NONE)
			return cl;
		if (cl->state == CLIENT_SILENT && (!found || cl->since_ns < found->since_ns))
			found = cl;
	}
	return found;
}

static void welcome(struct control *c, const struct run *run)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS;
	        i++) { // as many as may wait in the kernel: then others have their turn
		struct control_client *cl = place(c);
		struct ucred peer;
		socklen_t len = sizeof(peer);
		int fd = cl ? accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

		if (!cl)
			return;
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				c->rest_until_ns = now_ns() + SECOND_NS;
			return;
		}
		if (cl->state != CLIENT_NONE)
			client_end(cl);
		cl->state = CLIENT_SILENT;
		cl->fd = fd;
		cl->since_ns = now_ns();
		cl->until_ns = cl->since_ns + SILENT_NS;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		        (peer.uid != 0 && peer.uid != c->owner)) {
			refuse(cl, CONTROL_NOT_YOURS);
			continue;
		}
		cl->uid = peer.uid;
		client_asked(cl, run); // nearly always it has
	}
}

unsigned control_poll(struct control *c, struct pollfd fds[CONTROL_POLL_MAX])
{
	bool open = c->fd >= 0 && now_ns() >= c->rest_until_ns && place(c) != NULL;

	fds[0] = (struct pollfd){.fd = open ? c->fd : -1, .events = POLLIN};
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		const struct control_client *cl = &c->client[i];

		fds[1 + i] = (struct pollfd){.fd = cl->fd};
		if (cl->state == CLIENT_SILENT)
			fds[1 + i].events = POLLIN;
		else if (cl->state == CLIENT_READING)
			fds[1 + i].events = POLLOUT;
	}
	return CONTROL_POLL_MAX;
}

int control_timeout_ms(const struct control *c)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].state == CLIENT_QUEUED && !c->marking)
			return BUSY_MS;
	return 1000;
}

// The next mark to the keeper: the oldest, one at a time, and at most twenty a second, for each costs a sync of the
// disk.
static void next_mark(struct control *c, struct run *run, uint64_t now)
{
	struct control_client *first = NULL;
	struct wire_mark m = {0};

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->state == CLIENT_QUEUED && (!first || cl->since_ns < first->since_ns))
			first = cl;
	}
	if (!first)
		return;
	if (!run->opened || run->closing || run->broken || run->keeper_fd < 0) {
		refuse(first, CONTROL_NOT_RECORDING);
		return;
	}
	if (c->marking || now < c->mark_after_ns)
		return;
	m.number = ++c->mark;
	snprintf(m.by, sizeof(m.by), "%s", first->uid == c->owner ? c->owner_name : "root");
	memcpy(m.text, first->text, sizeof(m.text));
	if (wire_try_send(run->keeper_fd, WIRE_MARK, &m, sizeof(m)) < 0)
		return; // it is tried again until the client's time is over
	c->marking = true;
	c->mark_after_ns = now + MARKS_APART_NS;
	first->state = CLIENT_MARKING;
}

void control_marked(struct control *c, struct run *run, const struct wire_mark_answer *answer)
{
	struct control_marked m = {.answer = *answer};

	if (!c->marking || answer->number != c->mark)
		return;
	c->marking = false;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->state != CLIENT_MARKING)
			continue;
		snprintf(m.by, sizeof(m.by), "%s", cl->uid == c->owner ? c->owner_name : "root");
		if (answer->result == 0)
			report_line(run, "mark by %s: %s", m.by, cl->text);
		client_send(cl, CONTROL_MARKED, &m, sizeof(m));
		client_end(cl);
	}
}

// Time is over: what its mark has become depends on whether the keeper has it.
static void dismiss(struct control_client *cl)
{
	if (cl->state == CLIENT_QUEUED)
		refuse(cl, CONTROL_NOT_RECORDING);
	else if (cl->state == CLIENT_MARKING)
		refuse(cl, CONTROL_NO_ANSWER);
	else
		client_end(cl);
}

void control_turn(struct control *c, struct run *run, const struct pollfd *fds)
{
	uint64_t now = now_ns();

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->state == CLIENT_NONE || cl->fd != fds[1 + i].fd)
			continue;
		if (cl->state == CLIENT_SILENT && fds[1 + i].revents)
			client_asked(cl, run);
		else if (fds[1 + i].revents & (POLLHUP | POLLERR))
			client_end(cl); // a mark that the keeper has stands all the same
		else if (cl->state == CLIENT_READING && (fds[1 + i].revents & POLLOUT))
			give_status(cl, run);
		if (cl->state != CLIENT_NONE && now >= cl->until_ns)
			dismiss(cl);
	}
	if (fds[0].revents)
		welcome(c, run);
	next_mark(c, run, now);
}

void control_close(struct control *c)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].state != CLIENT_NONE)
			dismiss(&c->client[i]);
	if (c->fd < 0)
		return;
	unlinkat(c->dir_fd, c->name, 0);
	close(c->fd);
	close(c->dir_fd);
	c->fd = -1;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/ipc/job.h"

#define ANSWER_MS 3000
#define LOOK_MS 20000
#define ALL_LANES_MAX 16384u // of all runs together
#define MARK_MS 40000        // longer than the supervisor's own limit
#define USERS_MAX 1024u
#define USER_DIRS "/run/user"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int answer_read(int fd, union control_answer *m)
{
	ssize_t n = recv(fd, m, sizeof(*m), MSG_TRUNC);

	// Linux says first that the other end closed without having read all, and then what it had sent before.
	if (n < 0 && errno == ECONNRESET)
		n = recv(fd, m, sizeof(*m), MSG_TRUNC);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	return control_answer_check(m, (size_t)n <= sizeof(*m) ? (size_t)n : 0);
}

static int ask(int fd, enum control_type type, void *message, size_t len)
{
	struct control_header *h = message;

	*h = (struct control_header){.magic = CONTROL_MAGIC, .type = type, .len = (uint32_t)len};
	// One that was refused before it asked finds the other end closed, and why it was.
	if (send(fd, message, len, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

// Connected to one that runs under the owner of the directory, or a negative errno.
static int reach(int dir_fd, const char *name, uint32_t owner, unsigned timeout_ms)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = control_connect(dir_fd, name, timeout_ms);

	if (fd < 0)
		return fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != owner) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

static int by_number(const void *left, const void *right)
{
	uint32_t l = ((const struct control_lane *)left)->lane.lane,
	         r = ((const struct control_lane *)right)->lane.lane;

	return l < r ? -1 : l > r;
}

// One run and its lanes: 0, or a negative errno and nothing to be freed.
static int run_read(int fd, const struct runs_seen *seen, struct run_seen *run)
{
	struct control_status request;
	union control_answer m;
	int r = ask(fd, CONTROL_STATUS, &request, sizeof(request));

	if (r == 0)
		r = answer_read(fd, &m);
	if (r != CONTROL_RUN)
		return r < 0                                                                  ? r
		       : m.h.type == CONTROL_REFUSED && m.refused.reason == CONTROL_NOT_YOURS ? -EACCES
		                                                                              : -EBADMSG;
	run->is = m.run;
	if (run->is.lanes > ALL_LANES_MAX - seen->lanes)
		return -ENOBUFS;
	run->lane = calloc(run->is.lanes + 1, sizeof(*run->lane));
	if (!run->lane)
		return -ENOMEM;
	for (uint32_t i = 0; i < run->is.lanes; i++) {
		r = now_ns() < seen->until_ns ? answer_read(fd, &m) : -ETIMEDOUT;
		if (r != CONTROL_LANE) {
			free(run->lane);
			return r < 0 ? r : -EBADMSG;
		}
		run->lane[i] = m.lane;
	}
	qsort(run->lane, run->is.lanes, sizeof(*run->lane), by_number);
	return 0;
}

static int see(struct runs_seen *seen, const char *dir, int dir_fd, uint32_t owner, const char *name)
{
	uint64_t now = now_ns(), left_ms = now < seen->until_ns ? (seen->until_ns - now) / 1000000 + 1 : 0;
	struct run_seen *more, run = {0};
	int fd, r;

	if (!control_name_ok(name))
		return 0;
	if (seen->count == RUNS_MAX || left_ms == 0) {
		seen->unanswered++;
		return 0;
	}
	snprintf(run.dir, sizeof(run.dir), "%s", dir);
	snprintf(run.name, sizeof(run.name), "%s", name);
	r = fd = reach(dir_fd, name, owner, left_ms < seen->answer_ms ? (unsigned)left_ms : seen->answer_ms);
	if (fd >= 0) {
		r = run_read(fd, seen, &run);
		close(fd);
	}
	if (r == -ECONNREFUSED || r == -ENOENT)
		return unlinkat(dir_fd, name, 0), 0; // where that is ours to do
	if (r == -ENOMEM)
		return r;
	if (r == -EPIPE && faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; // ended meanwhile
	if (r < 0) {
		seen->hidden += r == -EACCES || r == -EPERM;
		seen->unanswered += r != -EACCES && r != -EPERM;
		return 0;
	}
	more = realloc(seen->run, (seen->count + 1) * sizeof(*more));
	if (!more) {
		free(run.lane);
		return -ENOMEM;
	}
	seen->run = more;
	more[seen->count++] = run;
	seen->lanes += run.is.lanes;
	return 0;
}

static int see_dir(struct runs_seen *seen, const char *path)
{
	uint32_t owner;
	int fd = control_dir_look(path, &owner), r = 0;
	struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir)))
		r = see(seen, path, fd, owner, entry->d_name);
	closedir(dir);
	return r;
}

static int see_users(struct runs_seen *seen)
{
	DIR *dir = opendir(USER_DIRS);
	struct dirent *entry;
	char path[256];
	int r = 0;

	for (unsigned i = 0; dir && r == 0 && i < USERS_MAX && (entry = readdir(dir)); i++) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || strlen(entry->d_name) > 10)
			continue;
		snprintf(path, sizeof(path), USER_DIRS "/%s/sealtap", entry->d_name);
		r = see_dir(seen, path);
	}
	if (dir)
		closedir(dir);
	return r;
}

int runs_look_within(struct runs_seen *ret_seen, unsigned answer_ms, unsigned look_ms)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	struct runs_seen seen = {.answer_ms = answer_ms, .until_ns = now_ns() + (uint64_t)look_ms * 1000000};
	char path[256];
	int r = see_dir(&seen, CONTROL_ROOT_DIR);

	if (r == 0 && geteuid() == 0)
		r = see_users(&seen);
	// Where it is one of those it has been seen.
	else if (r == 0 && xdg && xdg[0] == '/' && snprintf(path, sizeof(path), "%s/sealtap", xdg) < (int)sizeof(path))
		r = see_dir(&seen, path);
	if (r < 0) {
		runs_free(&seen);
		return r;
	}
	*ret_seen = seen;
	return 0;
}

int runs_look(struct runs_seen *ret_seen)
{
	return runs_look_within(ret_seen, ANSWER_MS, LOOK_MS);
}

void runs_free(struct runs_seen *seen)
{
	for (unsigned i = 0; i < seen->count; i++)
		free(seen->run[i].lane);
	free(seen->run);
	*seen = (struct runs_seen){0};
}

const char *run_state_name(const struct control_run *r)
{
	switch ((enum control_state)r->state) {
	case CONTROL_STARTING:
		return "starting";
	case CONTROL_RESTARTING:
		return "restarting";
	case CONTROL_ENDING:
		return "ending";
	case CONTROL_CAPTURING:
		break;
	}
	return r->kind == JOB_INGEST ? "sealing" : "capturing";
}

bool run_is_named(const struct run_seen *run, const char *name)
{
	const char *last = strrchr(run->is.recording, '/');
	struct stat st;

	if (strcmp(name, run->is.recording) == 0 || (last && strcmp(name, last + 1) == 0) ||
	        strcmp(name, run->is.sensor) == 0)
		return true;
	return stat(name, &st) == 0 && st.st_dev == run->is.dir_device && st.st_ino == run->is.dir_inode;
}

int runs_say_none(const struct runs_seen *seen, const char *verb, const char *name)
{
	if (seen->unanswered)
		fprintf(stderr, "sealtap %s: %u run%s of another version or stopped, and did not answer\n", verb,
		        seen->unanswered, seen->unanswered == 1 ? " is" : "s are");
	if (seen->hidden)
		fprintf(stderr, "sealtap %s: %u run%s to other users: ask as that user, or as root (sudo sealtap %s)\n",
		        verb, seen->hidden, seen->hidden == 1 ? " belongs" : "s belong", verb);
	if (geteuid() != 0 && !getenv("XDG_RUNTIME_DIR"))
		fprintf(stderr,
		        "sealtap %s: XDG_RUNTIME_DIR is not set, so captures that you started yourself cannot be "
		        "found\n",
		        verb);
	if (seen->count == 0 && !seen->hidden && !seen->unanswered)
		return cli_fail(CLI_UNREADABLE, verb,
		        "no capture is running; start one with `sealtap capture`. A recording that has ended: sealtap "
		        "verify RECORDING");
	if (!name)
		return CLI_UNREADABLE;
	cli_fail(CLI_UNREADABLE, verb, "nothing that runs is called \"%s\"; a recording that has ended: sealtap verify",
	        name);
	for (unsigned i = 0; i < seen->count; i++)
		fprintf(stderr, "  running: %s\n", seen->run[i].is.recording);
	return CLI_UNREADABLE;
}

int run_mark(const struct run_seen *run, const char *text, union control_answer *ret_answer)
{
	struct control_mark request = {0};
	uint32_t owner;
	int fd, r, dir_fd = control_dir_look(run->dir, &owner);

	if (dir_fd < 0)
		return dir_fd;
	r = fd = reach(dir_fd, run->name, owner, MARK_MS);
	close(dir_fd);
	if (fd < 0)
		return r;
	snprintf(request.text, sizeof(request.text), "%s", text);
	r = ask(fd, CONTROL_MARK, &request, sizeof(request));
	if (r == 0)
		r = answer_read(fd, ret_answer);
	close(fd);
	return r;
}

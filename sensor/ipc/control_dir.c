// SPDX-License-Identifier: Apache-2.0
// Where control sockets lie, who may make them there, and which of them are left over from dead runs.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "sensor/ipc/control.h"

#define ENTRIES_MAX 4096u // looked at in a directory

static int own_path(char *out, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (geteuid() == 0)
		n = snprintf(out, size, CONTROL_ROOT_DIR);
	else if (xdg && xdg[0] == '/')
		n = snprintf(out, size, "%s/sealtap", xdg);
	else
		return -ENOENT;
	return n < 0 || (size_t)n + 1 + CONTROL_NAME_MAX > size ? -ENAMETOOLONG : 0;
}

int control_dir_make(char *ret_path, size_t size, struct error *e)
{
	struct stat st;
	int fd, r = own_path(ret_path, size);

	if (r == -ENOENT)
		return error_set(e, r, "XDG_RUNTIME_DIR is not set");
	if (r < 0)
		return error_set(e, r, "the path of XDG_RUNTIME_DIR is too long for a socket");
	if (mkdir(ret_path, 0700) == 0 && geteuid() == 0)
		chmod(ret_path, 0755); // whatever the umask: the owner of a run started by sudo has to get through
	fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return error_set(e, r, "cannot make the directory %s: %s", ret_path, strerror(-r));
	}
	if (st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return error_set(e, -EPERM, "others can write into %s", ret_path);
	}
	return fd;
}

int control_dir_look(const char *path, uint32_t *ret_owner)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (st.st_mode & 022)) {
		close(fd);
		return -EPERM;
	}
	*ret_owner = st.st_uid;
	return fd;
}

// <pid>-<8 hex>.sock
static long name_pid(const char *name)
{
	char *end;
	long pid;

	if (name[0] < '1' || name[0] > '9' || strlen(name) >= CONTROL_NAME_MAX)
		return -1;
	pid = strtol(name, &end, 10);
	if (*end != '-' || strspn(end + 1, "0123456789abcdef") != 8 || strcmp(end + 9, ".sock") != 0)
		return -1;
	return pid;
}

bool control_name_ok(const char *name)
{
	return name_pid(name) > 0;
}

int control_connect(int dir_fd, const char *name, unsigned timeout_ms)
{
	struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;
	int fd, r;

	if (!control_name_ok(name) || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	// By the descriptor: short enough for any directory, and it is the one that was looked at.
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (timeout_ms ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -errno;
	if (timeout_ms && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	                          setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)) {
		r = -errno;
		close(fd);
		return r;
	}
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

// A socket under its own name listens for as long as its run lives; one that is being made has a dot in front and is
// left over when its process is dead.
static bool left_over(int dir_fd, const char *name)
{
	int fd;

	if (name[0] == '.')
		return name_pid(name + 1) > 0 && kill((pid_t)name_pid(name + 1), 0) < 0 && errno == ESRCH;
	fd = control_connect(dir_fd, name, 0);
	if (fd >= 0)
		close(fd);
	return fd == -ECONNREFUSED;
}

void control_dir_clean(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (unsigned i = 0; i < ENTRIES_MAX && (entry = readdir(dir)); i++)
		if (left_over(dir_fd, entry->d_name))
			unlinkat(dir_fd, entry->d_name, 0);
	closedir(dir);
}

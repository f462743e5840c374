// SPDX-License-Identifier: Apache-2.0
#include "sensor/ipc/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int wire_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

static int send_message(int fd, enum wire_type type, void *message, size_t len, int pass_fd, int flags)
{
	struct wire_header *header = message;
	struct iovec iov = {message, len};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	header->type = type;
	header->len = (uint32_t)len;
	if (pass_fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int wire_send(int fd, enum wire_type type, void *message, size_t len, int pass_fd)
{
	return send_message(fd, type, message, len, pass_fd, 0);
}

int wire_try_send(int fd, enum wire_type type, void *message, size_t len)
{
	return send_message(fd, type, message, len, -1, MSG_DONTWAIT);
}

int wire_send_plain(int fd, enum wire_type type, int result, unsigned number, const char *text)
{
	struct wire_plain plain = {.result = result, .number = number};

	if (text)
		snprintf(plain.text, sizeof(plain.text), "%s", text);
	return wire_send(fd, type, &plain, sizeof(plain), -1);
}

int wire_recv(int fd, union wire_message *message, int *ret_fd)
{
	struct iovec iov = {message, sizeof(*message)};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
	        .msg_iov = &iov,
	        .msg_iovlen = 1,
	        .msg_control = control.space,
	        .msg_controllen = sizeof(control.space),
	};
	int passed = -1;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&passed, CMSG_DATA(c), sizeof(int));
	if (ret_fd)
		*ret_fd = passed;
	else if (passed >= 0)
		close(passed);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(struct wire_header) || message->h.len != (size_t)n || (msg.msg_flags & MSG_TRUNC) ||
	        message->h.type == 0 || message->h.type > WIRE_SIGNATURE)
		return -EBADMSG;
	return (int)message->h.type;
}

int wire_expect(int fd, enum wire_type type, size_t len, union wire_message *message)
{
	int r = wire_recv(fd, message, NULL);

	if (r == 0)
		return -EPIPE;
	if (r < 0)
		return r;
	return r == (int)type && message->h.len == len ? 0 : -EBADMSG;
}

bool wire_text_ok(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

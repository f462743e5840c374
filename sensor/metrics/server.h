// SPDX-License-Identifier: Apache-2.0
// The web server of `sealtap metrics`: answers GET and HEAD for /metrics and /, and nothing else. Its one thread never
// waits for a capture: whoever asks for /metrics is set aside until the main thread has looked at the captures, and all
// who waited when a look began get its page. Connections, their memory and the pages that wait to be sent are bounded.
#pragma once

#include <stddef.h>

struct server;

// Takes the listening socket. wake_fd: gets a byte when somebody waits for a page. 0, or a negative errno.
int server_start(int listen_fd, int wake_fd, struct server **ret_server);
// How many wait for the look that begins now.
unsigned server_begin(struct server *s);
// Gives them the page, which is taken over; NULL: none could be made.
void server_give(struct server *s, char *text, size_t len);
// Whoever still waits is told that this ends. Frees s.
void server_stop(struct server *s);

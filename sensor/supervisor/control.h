// SPDX-License-Identifier: Apache-2.0
// The control socket of a run: answers `sealtap status` and brings the marks of `sealtap mark` to the keeper.
// Supervisor, its one thread. A client is hostile until proven otherwise: nothing here waits for one, their number and
// the time of each are bounded, and marks go to the keeper one at a time.
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "sealtap/error.h"
#include "sensor/ipc/control.h"

#define CONTROL_CLIENTS 16u
#define CONTROL_POLL_MAX (1 + CONTROL_CLIENTS)

struct run;

enum control_client_state { CLIENT_NONE, CLIENT_SILENT, CLIENT_READING, CLIENT_QUEUED, CLIENT_MARKING };

struct control_client {
	enum control_client_state state; // nobody; has not asked; takes its answer; its mark waits; the keeper has it
	int fd;
	uint32_t uid;
	uint32_t next_lane; // of a status, after the run itself
	bool began;         // the run itself has been sent
	uint32_t lanes;     // promised
	uint64_t since_ns;
	uint64_t until_ns;
	char text[MARK_TEXT_MAX];
};

struct control {
	int fd; // -1: there is no socket
	int dir_fd;
	char name[CONTROL_NAME_MAX];
	uint32_t owner;
	char owner_name[MARK_BY_MAX];
	uint64_t rest_until_ns; // no new client before: descriptors are short
	uint32_t mark;          // number of the newest one given to the keeper
	bool marking;           // and it has not been answered
	uint64_t mark_after_ns; // the next one not before
	struct control_client client[CONTROL_CLIENTS];
};

// Makes the socket, and removes those of dead runs beside it. Without one the run goes on: -errno with e.
int control_open(struct control *c, uint32_t owner_uid, struct error *e);
unsigned control_poll(struct control *c, struct pollfd fds[CONTROL_POLL_MAX]);   // what to wait for
int control_timeout_ms(const struct control *c);                                 // and at most how long
void control_turn(struct control *c, struct run *run, const struct pollfd *fds); // serves what is ready
void control_marked(struct control *c, struct run *run, const struct wire_mark_answer *answer);
// No mark can be answered any more. Whoever waits is told so, the socket is removed.
void control_close(struct control *c);

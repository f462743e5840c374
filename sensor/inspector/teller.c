// SPDX-License-Identifier: Apache-2.0
#include "sensor/inspector/teller.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

void teller_init(struct teller *t, int fd, int patience_ms)
{
	*t = (struct teller){.fd = fd, .patience_ms = patience_ms};
	t->record.header = (struct flow_stream_header){FLOW_STREAM_RECORD, 1};
	t->order.header = (struct flow_stream_header){FLOW_STREAM_ORDER, 0};
}

static bool tell(struct teller *t, const void *message, size_t len)
{
	struct pollfd room = {.fd = t->fd, .events = POLLOUT};
	ssize_t n = send(t->fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN && !t->stuck && poll(&room, 1, t->patience_ms) > 0)
		n = send(t->fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	t->stuck = n < 0;
	return n >= 0;
}

void teller_record(struct teller *t, const struct flow_record *record)
{
	int len = flow_pack(record, t->record.packed);

	if (len >= 0 && tell(t, &t->record, offsetof(typeof(t->record), packed) + (size_t)len))
		t->records++;
	else
		t->lost++;
}

static void put(struct teller *t, const struct inspected *entry)
{
	if (t->order.header.count == FLOW_STREAM_ORDER_MAX)
		teller_flush(t);
	if (t->order.header.count == FLOW_STREAM_ORDER_MAX)
		t->order.header.count = 0; // not taken either: a repetition will find frames that are not named
	t->order.entry[t->order.header.count++] = *entry;
}

void teller_order(struct teller *t, const struct inspected *entry)
{
	put(t, entry);
}

void teller_flush(struct teller *t)
{
	if (t->lost != t->lost_told && t->order.header.count < FLOW_STREAM_ORDER_MAX) {
		put(t, &(struct inspected){.kind = INSPECTED_LOST, .ns = t->lost - t->lost_told});
		t->lost_told = t->lost;
	}
	if (t->order.header.count > 0 &&
	        tell(t, &t->order,
	                offsetof(typeof(t->order), entry) + t->order.header.count * sizeof(t->order.entry[0])))
		t->order.header.count = 0;
}

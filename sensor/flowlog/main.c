// SPDX-License-Identifier: Apache-2.0
// sealtap-flowlog: writes what the inspector tells into the recording's flow files, and has the keeper put their
// digests into the ledger. Started by the supervisor with the descriptors of sensor/ipc/roles.h. One thread. It sees no
// packets and no keys and has no network; what it reads comes from a process that parses hostile bytes.
//
// The end of the stream ends it, when the file under way is sealed. Exit: 0 all is sealed, 1 our own failure or the
// keeper's, 3 the disk took no more: the flow files end there, and the recording goes on.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "analyzers/flow_format.h"
#include "analyzers/flow_pack.h"
#include "analyzers/flow_parse.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/flowlog/flow_order.h"
#include "sensor/flowlog/flow_writer.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/roles.h"
#include "sensor/sandbox/sandbox.h"

#define FLUSH_NS 1000000000ull
#define FILE_NS 600000000000ull
#define FILE_RAW_BYTES (64ull << 20)
#define MESSAGES_AT_ONCE 256u // before clock and keeper are looked at again
#define EXIT_DISK 3

#define MESSAGE_MAX                                                                                                    \
	(sizeof(struct flow_stream_header) + (FLOW_PACKED_MAX > FLOW_STREAM_ORDER_MAX * sizeof(struct inspected)       \
	                                                     ? FLOW_PACKED_MAX                                         \
	                                                     : FLOW_STREAM_ORDER_MAX * sizeof(struct inspected)))

struct flowlog {
	const struct job *job;
	char recording[2 * DIGEST_LEN + 1];
	struct flow_writer *writer;
	uint64_t gathering_since; // when the oldest line came that is not written; 0: none is waiting
	uint64_t file_since;      // and the oldest of the file
	unsigned unanswered;      // of the keeper's answers
	uint32_t gone;            // files below this number have been removed
	bool empty;               // the newest read gave no byte: an empty message, or the end
};

static const struct flow_writer_counts one_malformed = {.malformed = 1};

static int fail(const struct error *e)
{
	fprintf(stderr, "sealtap-flowlog: %s\n", e->text);
	return EXIT_FAILURE;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int write_line(struct flowlog *f, json_t *line, const struct flow_writer_counts *counts)
{
	int r = line ? flow_writer_line(f->writer, line, counts) : -EMSGSIZE;

	json_decref(line);
	if (r == -EMSGSIZE) {
		flow_writer_count(f->writer, &one_malformed);
		return 0;
	}
	return r;
}

static int take_record(struct flowlog *f, const uint8_t *data, size_t len)
{
	static _Alignas(struct flow_record) uint8_t aligned[FLOW_PACKED_MAX];
	struct flow_record record;

	if (len > sizeof(aligned))
		return -EBADMSG;
	memcpy(aligned, data, len);
	if (flow_unpack(aligned, len, &record) < 0 || !flow_texts_safe(&record))
		return -EBADMSG;
	record.recording = f->recording;
	record.sensor = f->job->sensor;
	record.complete = NULL; // who reads a finished recording knows
	return write_line(f, flow_json(&record), &(struct flow_writer_counts){.records = 1});
}

static int take_order(struct flowlog *f, const uint8_t *data, size_t len, uint32_t count)
{
	static struct inspected entries[FLOW_STREAM_ORDER_MAX];
	struct flow_writer_counts counts = {0};

	if (count == 0 || count > FLOW_STREAM_ORDER_MAX || len != count * sizeof(*entries))
		return -EBADMSG;
	memcpy(entries, data, len);
	for (uint32_t i = 0; i < count; i++) {
		counts.inspected += entries[i].kind == INSPECTED_FRAME;
		if (entries[i].kind == INSPECTED_LOST &&
		        __builtin_add_overflow(counts.lost, entries[i].ns, &counts.lost))
			return -EBADMSG;
	}
	return write_line(f, flow_order_json(entries, count), &counts);
}

// One message. 0, or the negative errno of the disk.
static int take(struct flowlog *f, const uint8_t *message, size_t len)
{
	struct flow_stream_header h;
	int r = -EBADMSG;

	if (len >= sizeof(h) && len <= MESSAGE_MAX) {
		memcpy(&h, message, sizeof(h));
		message += sizeof(h);
		len -= sizeof(h);
		if (h.type == FLOW_STREAM_RECORD && h.count == 1)
			r = take_record(f, message, len);
		else if (h.type == FLOW_STREAM_ORDER)
			r = take_order(f, message, len, h.count);
	}
	if (r == -EBADMSG) {
		flow_writer_count(f->writer, &one_malformed);
		r = 0;
	}
	return r;
}

// What has come. 1: and it was the last; 0; or the negative errno of the disk.
static int receive(struct flowlog *f, bool hung_up)
{
	static uint8_t message[MESSAGE_MAX + 1];

	for (unsigned i = 0; i < MESSAGES_AT_ONCE; i++) {
		ssize_t n = recv(FLOWLOG_STREAM_FD, message, sizeof(message), MSG_DONTWAIT);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 && !hung_up) {
			f->empty = true; // what comes next tells
			return 0;
		}
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
			return 1;
		if (f->empty) // it was not the end
			flow_writer_count(f->writer, &one_malformed);
		f->empty = false;
		if (n < 0)
			return 0;
		r = take(f, message, (size_t)n);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_sealed(struct flowlog *f, struct wire_flows *sealed)
{
	int r = wire_send(FLOWLOG_KEEPER_FD, WIRE_FLOWS, sealed, sizeof(*sealed), -1);

	f->unanswered += r == 0;
	return r;
}

// What the ledger says was given up. A file that is not there was removed, or never made.
static void remove_below(struct flowlog *f, uint32_t number)
{
	char name[FLOW_FILE_NAME_MAX];

	for (; f->gone < number; f->gone++) {
		flow_file_name(f->gone, name);
		if (unlinkat(FLOWLOG_DIR_FD, name, 0) < 0 && errno != ENOENT)
			fprintf(stderr, "sealtap-flowlog: cannot remove %s, which the ledger gives up: %s\n", name,
			        strerror(errno));
	}
}

static int take_answer(struct flowlog *f)
{
	union wire_message m;
	int r = wire_recv(FLOWLOG_KEEPER_FD, &m, NULL);

	if (r != WIRE_FLOWS || m.h.len != sizeof(m.plain) || m.plain.result != 0 || f->unanswered == 0)
		return -EPIPE;
	f->unanswered--;
	remove_below(f, m.plain.number);
	return 0;
}

// Writes and seals what is due. 0, -EPIPE: the keeper is gone; else the negative errno of the disk.
static int turn(struct flowlog *f, uint64_t now, bool end)
{
	const bool waiting = flow_writer_gathered(f->writer) > 0;
	struct wire_flows sealed;
	int r = 0;

	// What was not understood is said, even if nothing else is.
	if (end && flow_writer_raw_bytes(f->writer) == 0 && flow_writer_counted(f->writer))
		r = write_line(f, flow_order_json(NULL, 0), &(struct flow_writer_counts){0});
	if (r < 0)
		return r;
	if (waiting && f->gathering_since == 0)
		f->gathering_since = now;
	if (flow_writer_raw_bytes(f->writer) > 0 && f->file_since == 0)
		f->file_since = now;
	if (end || flow_writer_raw_bytes(f->writer) >= FILE_RAW_BYTES ||
	        (f->file_since != 0 && now - f->file_since >= FILE_NS)) {
		r = flow_writer_seal(f->writer, &sealed);
		if (r == 1)
			r = send_sealed(f, &sealed);
		f->file_since = 0;
	} else if (waiting && now - f->gathering_since >= FLUSH_NS) {
		r = flow_writer_flush(f->writer);
	}
	if (flow_writer_gathered(f->writer) == 0)
		f->gathering_since = 0;
	return r;
}

static int until_next_turn_ms(const struct flowlog *f, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	if (f->gathering_since != 0)
		due = f->gathering_since + FLUSH_NS;
	if (f->file_since != 0 && f->file_since + FILE_NS < due)
		due = f->file_since + FILE_NS;
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / 1000000 + 1);
}

// Until the end of the stream. 0, -EPIPE: the keeper is gone; else the negative errno of the disk.
static int loop(struct flowlog *f)
{
	for (;;) {
		struct pollfd fds[2] = {
		        {.fd = FLOWLOG_STREAM_FD, .events = POLLIN}, {.fd = FLOWLOG_KEEPER_FD, .events = POLLIN}};
		int r = 0, last = 0;

		if (poll(fds, 2, until_next_turn_ms(f, now_ns())) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			r = take_answer(f);
		if (r == 0 && fds[0].revents)
			last = receive(f, fds[0].revents & (POLLHUP | POLLERR));
		if (r == 0)
			r = last < 0 ? last : turn(f, now_ns(), last == 1);
		if (r < 0 || last == 1)
			return r;
	}
}

static int await_answers(struct flowlog *f)
{
	int r = 0;

	while (f->unanswered > 0 && r == 0)
		r = take_answer(f);
	return r;
}

// The disk takes no more: what is whole is sealed, the rest is given up, and the ledger says so.
static int give_up(struct flowlog *f, int error)
{
	struct wire_incident incident = {.kind = "flows-ended"};
	struct wire_flows sealed;
	union wire_message m;
	int r = flow_writer_abandon(f->writer, &sealed);

	snprintf(incident.detail, sizeof(incident.detail), "flow files end here: %s", strerror(-error));
	fprintf(stderr, "sealtap-flowlog: flow files cannot be written any more: %s; recording goes on without them\n",
	        strerror(-error));
	if (r == 1 && (r = send_sealed(f, &sealed)) < 0)
		return EXIT_FAILURE;
	if (await_answers(f) < 0 || wire_send(FLOWLOG_KEEPER_FD, WIRE_INCIDENT, &incident, sizeof(incident), -1) < 0 ||
	        wire_expect(FLOWLOG_KEEPER_FD, WIRE_INCIDENT, sizeof(m.plain), &m) < 0)
		return EXIT_FAILURE;
	return EXIT_DISK;
}

static int begin(struct flowlog *f, struct error *e)
{
	union wire_message m;
	int r = wire_send_plain(FLOWLOG_KEEPER_FD, WIRE_FLOWS_START, 0, 0, NULL);

	if (r == 0)
		r = wire_expect(FLOWLOG_KEEPER_FD, WIRE_FLOWS_START, sizeof(m.flows_answer), &m);
	if (r < 0)
		return error_set(e, r, "the keeper does not answer");
	hex_encode(m.flows_answer.recording_id, DIGEST_LEN, f->recording);
	r = flow_writer_new(FLOWLOG_DIR_FD, m.flows_answer.next_number, &f->writer);
	return r < 0 ? error_set(e, r, "out of memory") : 0;
}

int main(void)
{
	struct flowlog f = {0};
	struct error e = {0};
	int r;

	signal(SIGPIPE, SIG_IGN);
	json_object_seed(0); // opens /dev/urandom
	if (job_map(ROLE_JOB_FD, &f.job, &e) < 0)
		return fail(&e);
	if (digest_init() < 0)
		return fail((error_set(&e, -ENOTSUP, "this OpenSSL has no SHA-256"), &e));
	if (sandbox_enter(&(struct sandbox){.role = SANDBOX_FLOWLOG,
	                          .uid = f.job->role_uid[JOB_FLOWLOG],
	                          .write_dirs = {FLOWLOG_DIR_FD},
	                          .write_dir_count = 1},
	            &e) < 0 ||
	        begin(&f, &e) < 0)
		return fail(&e);
	r = loop(&f);
	if (r < 0 && r != -EPIPE) {
		r = give_up(&f, r);
	} else {
		if (r == 0)
			r = await_answers(&f);
		if (r < 0) {
			flow_writer_flush(f.writer);
			fail((error_set(&e, r, "the keeper is gone: the file under way is not sealed"), &e));
		}
		r = r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	flow_writer_free(f.writer);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
// sealtap-keeper: holds the epoch key and writes the ledger. Started by the supervisor with the descriptors of
// supervisor/roles.h. One thread. It never sees a packet and has no network.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/ipc/roles.h"
#include "sensor/keeper/keeper.h"
#include "sensor/sandbox/sandbox.h"

#define HEARTBEAT_NS 5000000000ULL
#define FAREWELL_MS 30000 // how long a recorder may go on sealing once the supervisor is gone

static uint64_t boot_ns(void)
{
	struct clock_now now;

	clock_read(&now);
	return now.boot_ns;
}

// OpenSSL locks the keys themselves; with privilege everything is locked. Without it MCL_FUTURE would make allocations
// fail at the limit of RLIMIT_MEMLOCK.
static void lock_memory(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &all) == 0)
		mlockall(MCL_CURRENT | MCL_FUTURE);
}

static int fail(const struct error *e)
{
	fprintf(stderr, "sealtap-keeper: %s\n", e->text);
	return EXIT_FAILURE;
}

static int finish(struct keeper *k, const char *reason, struct error *e)
{
	int r = 0;

	k->closed = true;
	if (k->opened) {
		r = keeper_record_close(k, reason);
		if (r == 0)
			r = keeper_checkpoint(k, true);
		keeper_tell(k, true);
		ledger_writer_close(&k->ledger);
		ballast_free(&k->ballast);
	}
	return r < 0 ? error_set(e, r, "cannot close the ledger: %s", strerror(-r)) : 0;
}

static int died(struct keeper *k, const union wire_message *m, const char *kind)
{
	int r;

	if (!k->opened || !wire_text_ok(m->plain.text, sizeof(m->plain.text)))
		return 0;
	r = keeper_record_incident(k, kind, m->plain.text);
	return r < 0 ? r : keeper_checkpoint(k, true);
}

// What the supervisor has seen of those who record nothing.
static bool known_incident(const struct wire_incident *m)
{
	static const char *const kinds[] = {"inspector-died", "inspection-shed", "flowlog-died", "exporter-died"};

	if (!wire_text_ok(m->kind, sizeof(m->kind)) || !wire_text_ok(m->detail, sizeof(m->detail)))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i], m->kind) == 0)
			return true;
	return false;
}

static bool known_reason(const char *reason)
{
	static const char *const reasons[] = {"end-of-input", "input-damaged", "duration", "packets", "signal",
	        "disk-full", "disk-error", "source-failed", "supervisor-died", "recorder-failed"};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i], reason) == 0)
			return true;
	return false;
}

// The supervisor's requests. 0 to go on, 1 when the recording is closed, negative: the keeper must end.
static int supervisor_request(struct keeper *k, int sup_fd, int *rec_fd, int *flow_fd, struct error *e)
{
	union wire_message m;
	int passed = -1, r = wire_recv(sup_fd, &m, &passed);

	if ((r == WIRE_RECORDER_DIED || r == WIRE_FLOWLOG_DIED) && m.h.len == sizeof(m.plain)) {
		int *fd = r == WIRE_RECORDER_DIED ? rec_fd : flow_fd;

		if (*fd >= 0)
			close(*fd);
		*fd = passed;
		k->finished = k->finished && r != WIRE_RECORDER_DIED;
		r = died(k, &m, r == WIRE_RECORDER_DIED ? "recorder-died" : "flowlog-died");
		return r < 0 ? error_set(e, r, "cannot write the ledger: %s", strerror(-r)) : 0;
	}
	if (passed >= 0)
		close(passed);
	if (r == WIRE_MARK && m.h.len == sizeof(m.mark)) {
		r = keeper_mark(k, &m.mark);
		return r < 0 ? error_set(e, r, "cannot write the ledger: %s", strerror(-r)) : 0;
	}
	if (r == WIRE_INCIDENT && m.h.len == sizeof(m.incident) && known_incident(&m.incident)) {
		r = k->opened ? keeper_record_incident(k, m.incident.kind, m.incident.detail) : 0;
		if (r == 0 && k->opened)
			r = keeper_checkpoint(k, false);
		return r < 0 ? error_set(e, r, "cannot write the ledger: %s", strerror(-r)) : 0;
	}
	if (r == WIRE_CLOSE && m.h.len == sizeof(m.plain) && wire_text_ok(m.plain.text, sizeof(m.plain.text)) &&
	        known_reason(m.plain.text)) {
		r = finish(k, m.plain.text, e);
		wire_send_plain(sup_fd, WIRE_CLOSED, r, 0, NULL);
		return r < 0 ? r : 1;
	}
	if (r == 0)
		return -EPIPE;
	return error_set(e, -EPROTO, "the supervisor sent a request that is not permitted");
}

static int tell_opened(struct keeper *k, int sup_fd)
{
	struct wire_begin_answer opened = {0};

	memcpy(opened.recording_id, k->recording_id, DIGEST_LEN);
	return wire_send(sup_fd, WIRE_OPENED, &opened, sizeof(opened), -1);
}

// One request of a process that may have been taken over. When it is at fault it goes, and the ledger stays.
static int peer_request(struct keeper *k, int *fd, struct error *e,
        int (*handle)(struct keeper *k, int fd, const union wire_message *m, struct error *e))
{
	union wire_message m;
	int r = wire_recv(*fd, &m, NULL);

	if (r > 0) {
		r = handle(k, *fd, &m, e);
		if (r != -EPROTO)
			return r == -EPIPE ? 0 : r;
		fprintf(stderr, "sealtap-keeper: %s; its connection is closed\n", e->text);
	} // else it died, or sent what is no message: the supervisor will say more
	close(*fd);
	*fd = -1;
	return 0;
}

static int loop(struct keeper *k, int sup_fd, int rec_fd, int flow_fd, struct error *e)
{
	bool told = false;
	uint64_t alone_since = 0;

	for (;;) {
		// The flow log waits until there is a ledger.
		struct pollfd fds[3] = {{.fd = sup_fd, .events = POLLIN}, {.fd = rec_fd, .events = POLLIN},
		        {.fd = k->opened ? flow_fd : -1, .events = POLLIN}};
		int r;

		if (poll(fds, 3, 500) < 0 && errno != EINTR)
			return error_set(e, -errno, "poll: %s", strerror(errno));
		// Before the requests and not after: the disk may hold them up, and the key grows older.
		r = k->opened ? keeper_rotate_if_due(k) : 0;
		if (r < 0)
			return error_set(e, r, "cannot write the ledger: %s", strerror(-r));
		if (fds[1].revents) {
			r = peer_request(k, &rec_fd, e, keeper_recorder_request);
			if (r < 0)
				return r;
		}
		if (fds[2].revents) {
			r = peer_request(k, &flow_fd, e, keeper_flowlog_request);
			if (r < 0)
				return r;
		}
		if (k->opened && !told && sup_fd >= 0) {
			tell_opened(k, sup_fd);
			told = true;
		}
		if (fds[0].revents && sup_fd >= 0) {
			r = supervisor_request(k, sup_fd, &rec_fd, &flow_fd, e);
			if (r == 1)
				return 0;
			if (r == -EPIPE) { // the recorder notices too and seals what it has
				sup_fd = k->tell_fd = -1;
				alone_since = boot_ns();
				if (k->opened &&
				        (keeper_record_incident(k, "supervisor-died", "its socket closed") < 0 ||
				                keeper_checkpoint(k, true) < 0))
					return error_set(e, -EIO, "cannot write the ledger");
			} else if (r < 0) {
				return r;
			}
		}
		if (sup_fd < 0 && (((rec_fd < 0 || k->finished) && (flow_fd < 0 || !k->opened)) ||
		                          boot_ns() - alone_since > FAREWELL_MS * 1000000ULL))
			return finish(k, "supervisor-died", e);
		if (!k->opened)
			continue;
		keeper_tell(k, false);
		if (boot_ns() - k->clock.last_boot_ns < HEARTBEAT_NS)
			continue;
		r = keeper_append(k, "heartbeat", json_object());
		if (r == 0)
			r = keeper_checkpoint(k, true);
		if (r < 0)
			return error_set(e, r, "cannot write the ledger: %s", strerror(-r));
	}
}

// The flow log's socket, where flows are wanted.
static int flowlog_socket(const struct job *job)
{
	struct stat st;

	return job->flows && fstat(KEEPER_FLOWLOG_FD, &st) == 0 && S_ISSOCK(st.st_mode) ? KEEPER_FLOWLOG_FD : -1;
}

int main(void)
{
	int flow_fd;

	struct keeper k = {
	        .dir_fd = KEEPER_DIR_FD, .origin_fd = -1, .signer_fd = KEEPER_SIGNER_FD, .tell_fd = ROLE_SUPERVISOR_FD};
	struct error e = {0};

	signal(SIGPIPE, SIG_IGN);
	if (job_map(ROLE_JOB_FD, &k.job, &e) < 0)
		return fail(&e);
	flow_fd = flowlog_socket(k.job);
	if (digest_init() < 0)
		return fail((error_set(&e, -ENOTSUP, "this OpenSSL has no SHA-256"), &e));
	k.details = calloc(k.job->source_count, sizeof(*k.details));
	k.stated = calloc(k.job->source_count, sizeof(*k.stated));
	if (!k.details || !k.stated)
		return fail((error_set(&e, -ENOMEM, "out of memory"), &e));
	clock_read_boot_id(k.boot_id);
	if (keeper_meet_signer(&k, KEEPER_ORIGINS_FD, &e) < 0)
		return fail(&e);
	close(KEEPER_ORIGINS_FD);
	secret_keys_init();
	lock_memory();
	if (sandbox_enter(&(struct sandbox){.role = SANDBOX_KEEPER,
	                          .uid = k.job->role_uid[JOB_KEEPER],
	                          .write_dirs = {KEEPER_DIR_FD},
	                          .write_dir_count = 1},
	            &e) < 0)
		return fail(&e);
	if (loop(&k, ROLE_SUPERVISOR_FD, KEEPER_RECORDER_FD, flow_fd, &e) < 0)
		return fail(&e);
	secret_key_free(k.key);
	free(k.lanes);
	keeper_retention_free(&k);
	free(k.details);
	free(k.stated);
	return EXIT_SUCCESS;
}

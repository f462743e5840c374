// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/run_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"
#include "sensor/recorder/pool.h"

#define FAILED_STARTS_MAX 3 // recorders in a row that died before they captured
#define RESTARTS_MAX 100

static int start_recorder(struct run *run, int keeper_end, struct error *e)
{
	// Of its own, so that nobody else carries DPDK.
	const bool dpdk = strcmp(run->job->driver, "dpdk") == 0;
	const char *program = dpdk ? "sealtap-recorder-dpdk" : "sealtap-recorder";
	int pair[2], r = wire_pair(pair);

	if (r < 0)
		return error_set(e, r, "cannot make a socket: %s", strerror(-r));
	int fds[SPAWN_FDS_MAX] = {run->job_fd, pair[1], keeper_end, run->recording.segments_fd,
	        run->recording.sources_fd, run->pool_fd, run->inspector.loans_fd, run->inspector.reply_fd};
	unsigned count = run->job->flows ? 8 : 6;

	for (unsigned i = 0; i < run->recording.place_count; i++) // at RECORDER_PLACES_FD
		fds[count++] = run->recording.place[i].fd;

	run->capturing = false;
	r = spawn_role(program, fds, count, ROLE_JOB_FD, run->job->kind == JOB_INGEST, &run->recorder, e);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		if (dpdk && r == -ENOENT)
			return error_set(e, r,
			        "the dpdk driver is not in this build (there is no %s); install libdpdk-dev "
			        "and build again, or choose another --driver",
			        program);
		return r;
	}
	run->recorder_fd = pair[0];
	return 0;
}

static int start_roles(struct run *run, int key_fd, int origins_fd, struct error *e)
{
	int sup[2] = {-1, -1}, rec[2] = {-1, -1}, sign[2] = {-1, -1}, flow[2] = {-1, -1}, r = 0;
	const bool flows = run->job->flows;

	if (wire_pair(sup) < 0 || wire_pair(rec) < 0 || wire_pair(sign) < 0 || (flows && wire_pair(flow) < 0))
		return error_set(e, -errno, "cannot make sockets: %s", strerror(errno));
	const int signer_fds[] = {key_fd, sign[1]};
	int keeper_fds[SPAWN_FDS_MAX] = {
	        run->job_fd, sup[1], rec[1], sign[0], run->recording.dir_fd, origins_fd, flow[1]};
	unsigned keeper_count = flows ? 7 : 6;

	for (unsigned i = 0; i < run->recording.place_count; i++) // at KEEPER_PLACES_FD
		keeper_fds[keeper_count++] = run->recording.place[i].look_fd;

	r = spawn_role("sealtap-signer", signer_fds, 2, SIGNER_KEY_FD, false, &run->signer, e);
	if (r == 0)
		r = spawn_role("sealtap-keeper", keeper_fds, keeper_count, ROLE_JOB_FD, false, &run->keeper, e);
	if (r == 0 && flows)
		r = flow_log_start(run, flow[0], e);
	if (r == 0)
		r = start_recorder(run, rec[0], e);
	run->keeper_fd = sup[0];
	close(sup[1]);
	close(rec[0]);
	close(rec[1]);
	close(sign[0]);
	close(sign[1]);
	if (flows) {
		close(flow[0]);
		close(flow[1]);
	}
	close(key_fd);
	close(origins_fd);
	return r;
}

int run_start(struct run *run, int job_fd, int key_fd, int origins_fd, struct error *e)
{
	int r;

	memset(run, 0, sizeof(*run));
	run->job_fd = job_fd;
	run->pool_fd = run->keeper_fd = run->recorder_fd = -1;
	run->recording = (struct recording){.dir_fd = -1, .segments_fd = -1, .sources_fd = -1, .flows_fd = -1};
	run->control.fd = -1;
	r = job_map(job_fd, &run->job, e);
	if (r < 0)
		return r;
	// Huge pages are dear: a file waits, and DPDK's ports need them more.
	r = pool_create(run->job->pool_blocks, run->job->kind == JOB_CAPTURE && strcmp(run->job->driver, "dpdk") != 0,
	        &run->pool_fd, e);
	if (r < 0)
		return r;
	if (run->job->flows) {
		r = inspector_open(run, &run->flow_log.stream_fd, e);
		if (r < 0)
			return r;
	}
	r = recording_make(run->job, &run->recording, e);
	if (r < 0)
		return r;
	if (run->job->flows)
		r = inspector_start(run, e);
	if (r == 0)
		r = start_roles(run, key_fd, origins_fd, e);
	if (r < 0) {
		if (run->keeper > 0)
			kill(run->keeper, SIGKILL);
		recording_unmake(run->job, &run->recording);
	}
	return r;
}

// No more packets: what they leave behind is finished, and then the recording closes.
static void end_recording(struct run *run, const char *reason)
{
	if (run->ended)
		return;
	run->ended = true;
	if (reason != run->reason)
		snprintf(run->reason, sizeof(run->reason), "%s", reason);
	inspector_finish(run);
	run_turn(run);
}

static void close_recording(struct run *run)
{
	if (!run->ended || run->closing || run->keeper_fd < 0 || run->inspector.pid > 0 || run->flow_log.pid > 0)
		return;
	run->closing = true;
	if (wire_send_plain(run->keeper_fd, WIRE_CLOSE, 0, 0, run->reason) < 0)
		run->broken = true;
}

void run_turn(struct run *run)
{
	inspector_turn(run);
	flow_log_turn(run);
	exporter_turn(run);
	close_recording(run);
}

int run_timeout_ms(const struct run *run)
{
	return inspector_timeout_ms(run);
}

void run_incident(struct run *run, const char *kind, const char *detail)
{
	struct wire_incident m = {0};

	snprintf(m.kind, sizeof(m.kind), "%s", kind);
	snprintf(m.detail, sizeof(m.detail), "%s", detail);
	if (run->keeper_fd >= 0 && run->opened && !run->closing)
		wire_send(run->keeper_fd, WIRE_INCIDENT, &m, sizeof(m), -1);
	report_line(run, "%s: %s", kind, detail);
}

void run_stop(struct run *run)
{
	run->stopping = true;
	inspector_hurry(run);
	exporter_hurry(run);
	if (run->recorder_fd >= 0)
		wire_send_plain(run->recorder_fd, WIRE_STOP, 0, 0, NULL);
}

void run_recorder_says(struct run *run)
{
	union wire_message m;
	int type = wire_recv(run->recorder_fd, &m, NULL);

	switch (type) {
	case WIRE_CAPTURING:
		run->capturing = true;
		run->failed_starts = 0;
		tally_capturing(&run->tally);
		report_capturing(run);
		if (run->stopping)
			run_stop(run);
		break;
	case WIRE_LANES:
		tally_lanes(&run->tally, run->job, &m.lanes);
		break;
	case WIRE_STATUS:
		if (tally_status(&run->tally, &m.status)) {
			events_status(run);
			report_progress(run);
		}
		break;
	case WIRE_DONE:
		run->done = true;
		if (m.h.len != sizeof(m.plain))
			break;
		run->damaged = m.plain.number;
		if (wire_text_ok(m.plain.text, sizeof(m.plain.text)))
			snprintf(run->reason, sizeof(run->reason), "%.60s", m.plain.text);
		break;
	case WIRE_FAILED: // it has said why; its death follows
		break;
	default:
		close(run->recorder_fd);
		run->recorder_fd = -1;
	}
}

void run_keeper_says(struct run *run)
{
	union wire_message m;
	int type = wire_recv(run->keeper_fd, &m, NULL);

	switch (type) {
	case WIRE_OPENED:
		run->opened = true;
		memcpy(run->recording_id, m.begin_answer.recording_id, DIGEST_LEN);
		recording_named(run->job, &run->recording, run->recording_id);
		break;
	case WIRE_LEDGER:
		run->tally.ledger = m.ledger;
		break;
	case WIRE_INCIDENT:
		if (tally_incident(&run->tally, &m.incident))
			events_incident(run, &m.incident);
		break;
	case WIRE_MARK:
		control_marked(&run->control, run, &m.mark_answer);
		break;
	case WIRE_CLOSED:
		run->closed = m.plain.result == 0;
		run->broken = m.plain.result != 0;
		break;
	default:
		close(run->keeper_fd);
		run->keeper_fd = -1;
	}
}

static void describe(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

// The recorder is gone without having said that it was done.
static void recorder_died(struct run *run, int status)
{
	struct wire_plain died = {0};
	struct error e = {0};
	int pair[2] = {-1, -1};
	bool again = run->opened && run->job->kind == JOB_CAPTURE && !run->stopping && !run->broken &&
	             run->restarts < RESTARTS_MAX && (run->capturing || ++run->failed_starts < FAILED_STARTS_MAX);

	describe(status, died.text, sizeof(died.text));
	tally_recorder_died(&run->tally);
	inspector_recorder_died(run);
	if (!run->opened)
		return; // nothing was recorded: run_finish takes the directory away
	fprintf(stderr, "%ssealtap: the recorder %s; %s\n", run->shown ? "\n" : "", died.text,
	        again ? "another one goes on with new segments" : "the recording ends");
	if (again && wire_pair(pair) < 0)
		again = false;
	if (wire_send(run->keeper_fd, WIRE_RECORDER_DIED, &died, sizeof(died), again ? pair[1] : -1) < 0)
		again = false;
	if (again) {
		run->restarts++;
		if (start_recorder(run, pair[0], &e) < 0) {
			fprintf(stderr, "sealtap: %s\n", e.text);
			again = false;
		}
	}
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	if (!again)
		end_recording(run, "recorder-failed");
}

// Whatever a role said before it died is read first.
static void drain(struct run *run)
{
	while (run->recorder_fd >= 0 && run->recorder == 0)
		run_recorder_says(run);
}

void run_reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == run->signer) {
			run->signer = 0;
		} else if (pid == run->recorder) {
			run->recorder = 0;
			drain(run);
			if (run->done && WIFEXITED(status) && WEXITSTATUS(status) == 0)
				end_recording(run, run->reason);
			else
				recorder_died(run, status);
		} else if (pid == run->inspector.pid) {
			inspector_died(run, status);
		} else if (pid == run->flow_log.pid) {
			flow_log_died(run, status);
		} else if (pid == run->exporter.pid) {
			exporter_died(run, status);
		} else if (pid == run->keeper) {
			run->keeper = 0;
			while (run->keeper_fd >= 0)
				run_keeper_says(run);
			if (run->closed)
				continue;
			run->broken = true;
			if (run->opened)
				fprintf(stderr,
				        "%ssealtap: THE KEEPER DIED: nothing can be signed any more and recording "
				        "stops now. "
				        "`sealtap recover %s` states what there is\n",
				        run->shown ? "\n" : "", run->job->recording);
			if (run->recorder > 0)
				kill(run->recorder, SIGKILL);
		}
	}
}

bool run_over(const struct run *run)
{
	if (run->recorder > 0 || (run->opened && run->flow_log.pid > 0) || exporter_busy(run))
		return false;
	return run->keeper == 0 || !run->opened;
}

static int exit_code(const struct run *run)
{
	static const char *const good[] = {"end-of-input", "duration", "packets", "signal"};

	if (run->broken || !run->closed)
		return 1;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strcmp(good[i], run->reason) == 0)
			return run->damaged ? 3 : exporter_delivered_all(run) ? 0 : 4;
	return strcmp(run->reason, "recorder-failed") == 0 ? 1 : 3;
}

int run_finish(struct run *run)
{
	int code;

	if (!run->opened) {
		if (run->keeper_fd >= 0)
			close(run->keeper_fd); // it ends by itself
		if (run->inspector.pid > 0)
			kill(run->inspector.pid, SIGKILL);
		if (run->flow_log.pid > 0)
			kill(run->flow_log.pid, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			;
		recording_unmake(run->job, &run->recording);
		return 3;
	}
	while (run->signer > 0 && waitpid(run->signer, NULL, 0) < 0 && errno == EINTR)
		;
	recording_hand_over(run->job, &run->recording);
	code = exit_code(run);
	events_end(run);
	report_end(run, code);
	tally_free(&run->tally);
	return code;
}

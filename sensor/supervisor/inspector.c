// SPDX-License-Identifier: Apache-2.0
#include "sensor/supervisor/inspector.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"
#include "sensor/supervisor/run_state.h"

#define LOOK_MS 250
#define STREAM_BYTES (32 << 20)
#define SECOND_NS 1000000000ULL
#define STUCK_NS (2 * SECOND_NS) // with a block on loan and without headway
#define STUCK_FILE_NS (60 * SECOND_NS)
#define START_NS (30 * SECOND_NS)
#define ENDING_NS (60 * SECOND_NS)       // to end its flows, and have them logged ...
#define ENDING_FILE_NS (600 * SECOND_NS) // (nobody waits for a file)
#define ENDING_STUCK_NS (10 * SECOND_NS) // ... as long as there is headway
#define ENDING_TOLD_NS (2 * SECOND_NS)   // after which the operator is told what is waited for
#define STEADY_NS (60 * SECOND_NS)       // after which a death is not one of a row
#define BACKOFF_MAX_NS (60 * SECOND_NS)
#define FILE_DEATHS_MAX 8u // a file waits for the inspector, but not for ever
#define SHED_OVER_NS (5 * SECOND_NS)

int inspector_open(struct run *run, int *ret_flows_fd, struct error *e)
{
	struct inspector *i = &run->inspector;
	int pair[2], r;

	r = loans_create(&i->loans_fd, &i->loans_readonly_fd, &i->reply_fd, e);
	if (r == 0)
		r = loans_map(i->loans_fd, true, &i->loans, e);
	if (r == 0)
		r = loan_reply_map(i->reply_fd, true, &i->reply, e);
	if (r < 0)
		return r;
	i->pool_readonly_fd = memory_readonly(run->pool_fd);
	if (i->pool_readonly_fd < 0)
		return error_set(e, i->pool_readonly_fd, "cannot open the block pool for reading: %s",
		        strerror(-i->pool_readonly_fd));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(e, -errno, "cannot make a socket: %s", strerror(errno));
	// Room for as long as the flow log waits for the disk. Without privilege it is the system's default.
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &(int){STREAM_BYTES}, sizeof(int));
	i->flows_fd = pair[0];
	*ret_flows_fd = pair[1];
	i->wanted = true;
	return 0;
}

int inspector_start(struct run *run, struct error *e)
{
	struct inspector *i = &run->inspector;
	const int fds[] = {run->job_fd, i->loans_readonly_fd, i->reply_fd, i->pool_readonly_fd, i->flows_fd};
	int r;

	// Nobody else writes there now: the one before is dead.
	memset(i->reply, 0, sizeof(*i->reply));
	atomic_store(&i->reply->inspector, ++i->number);
	r = spawn_role("sealtap-inspector", fds, 5, ROLE_JOB_FD, false, &i->pid, e);
	if (r < 0)
		return r;
	i->started_ns = i->moved_ns = tally_clock_ns();
	i->headway = 0;
	i->again_ns = 0;
	i->killed[0] = '\0';
	atomic_store(&i->loans->inspector, i->number);
	return 0;
}

static void end_it(struct inspector *i, const char *why)
{
	if (i->killed[0] != '\0')
		return;
	snprintf(i->killed, sizeof(i->killed), "%s", why);
	kill(i->pid, SIGKILL);
}

void inspector_recorder_died(struct run *run)
{
	struct inspector *i = &run->inspector;

	if (!i->wanted || i->pid == 0)
		return;
	// The blocks that it reads will be written over. What it has found so far stays.
	atomic_store(&i->loans->inspector, LOAN_NOBODY);
	atomic_store(&i->loans->ending, LOAN_ENDS_NOW);
	loans_ring(i->loans);
	if (atomic_load(&i->loans->attached) != i->number)
		end_it(i, "the recorder died");
}

void inspector_finish(struct run *run)
{
	struct inspector *i = &run->inspector;

	if (!i->wanted || i->ending_ns)
		return;
	i->ending_ns = tally_clock_ns();
	i->again_ns = 0;
	if (i->pid == 0) {
		close(i->flows_fd);
		i->flows_fd = -1;
	} else if (atomic_load(&i->loans->attached) != i->number) { // it was never lent anything, nor will be
		kill(i->pid, SIGKILL);
	} else if (atomic_load(&i->loans->ending) == LOAN_GOES_ON) { // the recorder did not come to it
		atomic_store(&i->loans->ending, LOAN_ENDS_NOW);
		loans_ring(i->loans);
	}
}

// What each worker had before it: one of these may be what it died of.
static size_t describe_loans(const struct inspector *i, uint32_t workers, char *out, size_t size)
{
	uint32_t tail = atomic_load(&i->loans->tail), first = atomic_load(&i->loans->first);
	size_t used = 0;

	for (uint32_t w = 0; w < workers && atomic_load(&i->loans->attached) == i->number; w++) {
		uint32_t done = atomic_load(&i->reply->worker[w].done), number = done == 0 ? first : done;
		const struct loan *loan = &i->loans->ring[number & (LOANS_MAX - 1)];

		if (tail - number == 0 || tail - number > LOANS_MAX || loan->kind != LOAN_BLOCK || used >= size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s lane %u segment %u frame %u (block %u)",
		        used ? "," : "; it was at", loan->lane, loan->segment, loan->frame, loan->block);
	}
	return used;
}

static void plan_next(struct run *run)
{
	struct inspector *i = &run->inspector;
	uint64_t now = tally_clock_ns(), wait = SECOND_NS;

	i->deaths_in_a_row = now - i->started_ns > STEADY_NS ? 1 : i->deaths_in_a_row + 1;
	if (run->job->kind == JOB_INGEST && i->deaths >= FILE_DEATHS_MAX) {
		run_incident(run, "inspector-died", "too often: the rest of the input is sealed without flows");
		atomic_store(&i->loans->inspector, LOAN_NEVER);
		return;
	}
	for (unsigned n = 1; n < i->deaths_in_a_row && wait < BACKOFF_MAX_NS; n++)
		wait *= 2;
	i->again_ns = now + (i->deaths_in_a_row == 1 ? 0 : wait);
}

static void add_up(const struct inspector *i, uint32_t workers, struct control_inspection *s)
{
	for (uint32_t w = 0; w < workers; w++) {
		const struct loan_worker *worker = &i->reply->worker[w];

		s->packets += atomic_load(&worker->packets);
		s->records += atomic_load(&worker->records);
		s->records_lost += atomic_load(&worker->records_lost);
		s->flows_forced += atomic_load(&worker->flows_forced);
		s->acked_bytes += atomic_load(&worker->acked_bytes);
		s->missed_bytes += atomic_load(&worker->missed_bytes);
	}
}

void inspector_died(struct run *run, int status)
{
	struct inspector *i = &run->inspector;
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char detail[400], at[256] = "";

	i->pid = 0;
	add_up(i, run->job->flow_threads, &i->before);
	if (!well && (!i->ending_ns || atomic_load(&i->loans->attached) == i->number)) {
		describe_loans(i, run->job->flow_threads, at, sizeof(at));
		if (WIFSIGNALED(status))
			snprintf(detail, sizeof(detail), "%s%signal %d (%s)%s", i->killed, i->killed[0] ? ": s" : "s",
			        WTERMSIG(status), strsignal(WTERMSIG(status)), at);
		else
			snprintf(detail, sizeof(detail), "exit status %d%s", WEXITSTATUS(status), at);
		i->deaths++;
		run_incident(run, "inspector-died", detail);
	}
	atomic_store(&i->loans->inspector, LOAN_NOBODY);
	if (i->ending_ns) {
		close(i->flows_fd);
		i->flows_fd = -1;
	} else {
		plan_next(run);
	}
}

static uint64_t headway(const struct inspector *i, uint32_t workers)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < workers; w++)
		sum += atomic_load(&i->reply->worker[w].done) + atomic_load(&i->reply->worker[w].records) +
		       atomic_load(&i->reply->worker[w].records_lost);
	return sum;
}

static bool has_loans(const struct inspector *i, uint32_t workers)
{
	uint32_t tail = atomic_load(&i->loans->tail);

	if (atomic_load(&i->loans->attached) != i->number)
		return false;
	for (uint32_t w = 0; w < workers; w++) {
		uint32_t done = atomic_load(&i->reply->worker[w].done);

		if (done != tail && !(done == 0 && atomic_load(&i->loans->first) == tail))
			return true;
	}
	return false;
}

static void watch(struct run *run, uint64_t now)
{
	struct inspector *i = &run->inspector;
	const bool file = run->job->kind == JOB_INGEST;
	uint64_t moved = headway(i, run->job->flow_threads);
	bool ready = atomic_load(&i->reply->ready) == i->number;

	if (i->ending_ns && now - i->ending_ns > ENDING_TOLD_NS && !i->ending_told) {
		report_line(run, "all packets are recorded; the flows that were still open are being written: ^C "
		                 "leaves them out");
		i->ending_told = true;
	}
	if (moved != i->headway || (ready && !i->ending_ns && !has_loans(i, run->job->flow_threads)))
		i->moved_ns = now;
	i->headway = moved;
	if (atomic_load(&i->loans->refused) == i->number)
		end_it(i, "it gave back what it was not lent, or claimed more than it could");
	else if (!ready && now - i->started_ns > START_NS)
		end_it(i, "it did not begin");
	else if (i->ending_ns && (now - i->ending_ns > (file ? ENDING_FILE_NS : ENDING_NS) ||
	                                 (now - i->ending_ns > ENDING_STUCK_NS && now - i->moved_ns > ENDING_STUCK_NS)))
		end_it(i, "it did not come to an end");
	else if (ready && !i->ending_ns && now - i->moved_ns > (file ? STUCK_FILE_NS : STUCK_NS))
		end_it(i, "it held a block without headway");
}

static void watch_shedding(struct run *run, uint64_t now)
{
	struct inspector *i = &run->inspector;
	uint64_t shed = atomic_load(&i->loans->shed_packets);
	char detail[200];

	if (shed != i->shed_packets) {
		if (!i->shedding)
			run_incident(run, "inspection-shed",
			        "packets are recorded without being inspected: the inspector is behind, or not there");
		i->shedding = true;
		i->shed_packets = shed;
		i->shed_ns = now;
	} else if (i->shedding && (now - i->shed_ns > SHED_OVER_NS || i->ending_ns)) {
		snprintf(detail, sizeof(detail), "over: %" PRIu64 " packets were recorded without being inspected",
		        shed - i->shed_told);
		run_incident(run, "inspection-shed", detail);
		i->shed_told = shed;
		i->shedding = false;
	}
}

void inspector_turn(struct run *run)
{
	struct inspector *i = &run->inspector;
	struct error e = {0};
	uint64_t now = tally_clock_ns();

	if (!i->wanted)
		return;
	if (i->pid > 0)
		watch(run, now);
	else if (i->again_ns && now >= i->again_ns && run->recorder > 0 && inspector_start(run, &e) < 0) {
		run_incident(run, "inspector-died", e.text);
		plan_next(run);
	}
	watch_shedding(run, now);
}

void inspector_hurry(struct run *run)
{
	if (run->inspector.ending_ns && run->inspector.pid > 0)
		end_it(&run->inspector, "the operator did not wait");
}

int inspector_timeout_ms(const struct run *run)
{
	return run->inspector.wanted ? LOOK_MS : -1;
}

void inspector_status(const struct run *run, struct control_inspection *ret_status)
{
	const struct inspector *i = &run->inspector;
	struct control_inspection s = i->before;

	s.deaths = i->deaths;
	if (i->wanted) {
		s.state = i->pid > 0                                        ? INSPECTION_RUNNING
		          : atomic_load(&i->loans->inspector) == LOAN_NEVER ? INSPECTION_GIVEN_UP
		                                                            : INSPECTION_RESTARTING;
		s.lent_packets = atomic_load(&i->loans->lent_packets);
		s.shed_packets = atomic_load(&i->loans->shed_packets);
	}
	if (i->pid > 0) {
		add_up(i, run->job->flow_threads, &s);
		for (uint32_t w = 0; w < run->job->flow_threads; w++)
			s.flows += atomic_load(&i->reply->worker[w].flows);
	}
	*ret_status = s;
}

// SPDX-License-Identifier: Apache-2.0
// Starts the real signer, keeper and flow log with the descriptors of sensor/ipc/roles.h and plays supervisor, recorder
// and inspector: a recording without packets, with flow records that are known to the number. Usage:
// flowlog_player BIN KEY RECORDING ORIGINS CASE
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "analyzers/flow_pack.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/reader/flow_file.h"
#include "sensor/ipc/flow_stream.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/wire.h"

#define FILE_LIMIT 4096

static const char *which, *bin;
static int supervisor_fd, recorder_fd, job_fd, flows_fd, stream[2];
static union wire_message answer;

static void die(const char *what)
{
	fprintf(stderr, "flowlog_player: %s: %s\n", which, what);
	exit(1);
}

static bool is(const char *name)
{
	return strcmp(which, name) == 0;
}

static pid_t start(const char *name, const int *fds, int count, int first_fd)
{
	char path[4096];
	pid_t pid = fork();
	int up[8];

	if (pid != 0)
		return pid;
	snprintf(path, sizeof(path), "%s/%s", bin, name);
	for (int i = 0; i < count; i++)
		up[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
	for (int i = 0; i < count; i++)
		dup2(up[i], first_fd + i);
	for (int fd = first_fd + count; fd < 64; fd++)
		close(fd);
	if (is("disk full") && strcmp(name, "sealtap-flowlog") == 0) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){FILE_LIMIT, FILE_LIMIT});
	}
	execl(path, name, (char *)NULL);
	_exit(127);
}

static void ask_plain(enum wire_type type)
{
	struct wire_plain plain = {0};

	if (wire_send(recorder_fd, type, &plain, sizeof(plain), -1) < 0 ||
	        wire_recv(recorder_fd, &answer, NULL) != (int)type)
		die("a lawful request was refused");
}

static void ask(enum wire_type type, void *request, size_t len)
{
	if (wire_send(recorder_fd, type, request, len, -1) < 0 || wire_recv(recorder_fd, &answer, NULL) != (int)type)
		die("a lawful request was refused");
}

// A complete segment without packets: its file is never made, for it is given up.
static void seal_segment(void)
{
	struct wire_begin b = {.linktype = 1};
	struct wire_seal s = {.state = {.frames = 2, .bytes = 100}};

	ask(WIRE_BEGIN, &b, sizeof(b));
	ask(WIRE_SEAL, &s, sizeof(s));
}

static void retire_segment(void)
{
	struct wire_retire r = {.what = WIRE_RETIRE_NOTHING};

	ask(WIRE_RETIRE, &r, sizeof(r));
	if (answer.retire.what != WIRE_RETIRE_REMOVE || answer.retire.number != 0)
		die("the keeper gives up no segment");
	r.what = WIRE_RETIRE_REMOVE;
	ask(WIRE_RETIRE, &r, sizeof(r));
}

static bool supervisor_hears(enum wire_type type)
{
	int r;

	do
		r = wire_recv(supervisor_fd, &answer, NULL);
	while (r == WIRE_LEDGER || r == WIRE_INCIDENT);
	return r == (int)type;
}

static void make_job(const char *recording)
{
	struct job *job = job_new(1);

	job->kind = JOB_INGEST;
	strcpy(job->source[0].name, "none");
	strcpy(job->sensor, "player");
	snprintf(job->recording, sizeof(job->recording), "%s", recording);
	job->pool_blocks = 4;
	job->sealers = 1;
	job->flush_ms = 1000;
	job->flows = 1;
	job->flow_threads = 1;
	job->keep_bytes = is("keep") ? 1 : 0;
	for (unsigned i = 0; i < JOB_ROLES; i++)
		job->role_uid[i] = UINT32_MAX;
	if (job_seal(job, &job_fd) < 0)
		die("cannot seal a job");
	free(job);
}

static int make_recording(const char *recording)
{
	static const char *const subs[] = {"", "/segments", "/sources", "/keys", "/checkpoints", "/flows"};
	char path[4096];

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", recording, subs[i]);
		if (mkdir(path, 0755) < 0)
			die("cannot make the recording");
	}
	flows_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return open(recording, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void tell(const void *message, size_t len)
{
	if (send(stream[0], message, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("the flow log takes nothing");
}

static void tell_record(uint16_t port, const char *host)
{
	static struct {
		struct flow_stream_header h;
		uint8_t packed[FLOW_PACKED_MAX];
	} m = {.h = {FLOW_STREAM_RECORD, 1}};
	struct flow_record r = {.start_ns = 1700000000000000000ull,
	        .end_ns = 1700000001000000000ull,
	        .age_s = 1,
	        .pkts = {port, 1},
	        .ip_version = 4,
	        .proto = 17,
	        .src = {10, 0, 0, 1},
	        .dest = {10, 0, 0, 2},
	        .src_port = port,
	        .dest_port = 53,
	        .groups = FLOW_GROUP_PORTS | FLOW_GROUP_DNS,
	        .complete = "yes",
	        .recording = "somebody else's"};
	int len;

	r.text[FLOW_TEXT_HOST] = host;
	len = flow_pack(&r, m.packed);
	if (len < 0)
		die("cannot pack");
	tell(&m, sizeof(m.h) + (size_t)len);
}

static void tell_order(const struct inspected *entries, uint32_t count)
{
	static struct {
		struct flow_stream_header h;
		struct inspected entries[FLOW_STREAM_ORDER_MAX];
	} m;

	m.h = (struct flow_stream_header){FLOW_STREAM_ORDER, count};
	memcpy(m.entries, entries, count * sizeof(*entries));
	tell(&m, sizeof(m.h) + count * sizeof(*entries));
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void await_taken(void)
{
	int bytes = 1;

	for (int tries = 0; tries < 1000 && ioctl(stream[0], SIOCOUTQ, &bytes) == 0 && bytes > 0; tries++)
		pause_ms(10);
	if (bytes > 0)
		die("the flow log does not take what it is told");
}

// Eleven messages that are none.
static void tell_nonsense(void)
{
	static uint8_t long_one[FLOW_PACKED_MAX + 100];
	struct flow_stream_header h[2] = {{FLOW_STREAM_RECORD, 1}};
	struct inspected bad = {.kind = INSPECTED_KINDS};

	tell(h, 0);
	await_taken(); // at the end of all, it could not be told from the end
	tell(h, 3);
	tell(h, sizeof(h[0])); // a record of no byte
	tell(h, sizeof(h));    // of a few bytes
	h[0] = (struct flow_stream_header){FLOW_STREAM_ORDER, 0};
	tell(h, sizeof(h[0]));
	h[0].count = 1;
	tell(h, sizeof(h));
	h[0].count = FLOW_STREAM_ORDER_MAX + 1;
	tell(h, sizeof(h[0]));
	h[0].type = 77;
	tell(h, sizeof(h[0]));
	memcpy(long_one, &(struct flow_stream_header){FLOW_STREAM_RECORD, 1}, sizeof(h[0]));
	tell(long_one, sizeof(long_one));
	tell_order(&bad, 1);
	tell_record(9, "clears\x1b[2Jthe screen");
}

// A line is to be read while the file grows, long before its end.
static void follow(void)
{
	struct flow_file *file;
	const char *line;
	size_t len;
	int tries = 0, r;

	if (flow_file_new(flows_fd, true, &file) < 0)
		die("out of memory");
	while ((r = flow_file_next(file, &line, &len)) == 0 && tries++ < 100)
		pause_ms(100);
	if (r != 1 || tries > 40)
		die("no line within four seconds");
	flow_file_free(file);
}

// Records of one port each, hard to compress, until the file is full and the flow log has said so.
static void fill(pid_t flowlog)
{
	char host[300];
	unsigned seed = 7;

	siginfo_t gone = {0};

	for (unsigned n = 0; n < 400 && gone.si_pid == 0; n++) {
		for (size_t i = 0; i < sizeof(host) - 1; i++)
			host[i] = (char)('!' + (seed = seed * 1103515245 + 12345) / 65536 % 90);
		host[sizeof(host) - 1] = '\0';
		for (char *at = host; *at; at++)
			*at = *at == '\\' ? '/' : *at;
		tell_record((uint16_t)(1 + n), host);
		if (n % 5 == 4)
			pause_ms(n < 20 ? 1100 : 1);
		waitid(P_PID, (id_t)flowlog, &gone, WEXITED | WNOHANG | WNOWAIT);
	}
}

static int exit_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t start_flowlog(int keeper_end)
{
	const int fds[] = {job_fd, keeper_end, stream[1], flows_fd};

	return start("sealtap-flowlog", fds, 4, ROLE_JOB_FD);
}

int main(int argc, char **argv)
{
	static const struct inspected order[] = {{.kind = INSPECTED_START, .lane = 2, .ns = INT64_MAX},
	        {.kind = INSPECTED_FRAME, .lane = 1, .segment = 2, .frame = 3},
	        {.kind = INSPECTED_TICK, .ns = 1700000000000000001ull}, {.kind = INSPECTED_LOST, .ns = 5},
	        {.kind = INSPECTED_FRAME, .lane = 4095, .segment = UINT32_MAX}, {.kind = INSPECTED_END}};
	int sup[2], rec[2], sign[2], flow[2], expected = 0;
	pid_t signer, keeper, flowlog;

	if (argc != 6)
		return 2;
	bin = argv[1];
	which = argv[5];
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	if (wire_pair(sup) < 0 || wire_pair(rec) < 0 || wire_pair(sign) < 0 || wire_pair(flow) < 0 ||
	        wire_pair(stream) < 0 || digest_init() < 0)
		die("cannot begin");
	supervisor_fd = sup[0];
	recorder_fd = rec[0];
	make_job(argv[3]);
	const int signer_fds[] = {open(argv[2], O_RDONLY | O_CLOEXEC), sign[1]};
	const int keeper_fds[] = {job_fd, sup[1], rec[1], sign[0], make_recording(argv[3]),
	        open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC), flow[1]};

	signer = start("sealtap-signer", signer_fds, 2, SIGNER_KEY_FD);
	keeper = start("sealtap-keeper", keeper_fds, 7, ROLE_JOB_FD);
	flowlog = start_flowlog(flow[0]);
	close(sup[1]);
	close(rec[1]);
	close(sign[0]);
	close(sign[1]);
	close(flow[0]);
	close(flow[1]);

	ask_plain(WIRE_DETAIL);
	ask_plain(WIRE_START);
	if (!supervisor_hears(WIRE_OPENED))
		die("the keeper did not open");
	if (is("keep"))
		seal_segment();
	if (is("lies")) { // from the flow log's place: what its state does not permit ends it
		struct wire_flows f = {.number = 0, .bytes = 1, .frames = 2, .raw_bytes = 1};
		struct wire_plain died = {.text = "taken over"};

		kill(flowlog, SIGKILL);
		waitpid(flowlog, NULL, 0);
		if (wire_pair(flow) < 0 ||
		        wire_send(supervisor_fd, WIRE_FLOWLOG_DIED, &died, sizeof(died), flow[1]) < 0)
			die("cannot go on");
		close(flow[1]);
		if (wire_send(flow[0], WIRE_FLOWS, &f, sizeof(f), -1) < 0 || wire_recv(flow[0], &answer, NULL) != 0)
			die("the keeper took it");
		flowlog = 0;
	} else if (!is("nothing")) {
		tell_record(1, "a.example");
	}
	if (is("grows"))
		follow();
	if (is("nonsense"))
		tell_nonsense();
	if (is("disk full")) {
		fill(flowlog);
		expected = 3;
	}
	if (is("dies")) {
		struct wire_plain died = {.text = "signal 9 (Killed)"};

		follow();
		kill(flowlog, SIGKILL);
		waitpid(flowlog, NULL, 0);
		if (wire_pair(flow) < 0 ||
		        wire_send(supervisor_fd, WIRE_FLOWLOG_DIED, &died, sizeof(died), flow[1]) < 0)
			die("cannot go on");
		flowlog = start_flowlog(flow[0]);
		close(flow[0]);
		close(flow[1]);
		tell_record(2, "b.example");
	}
	if (is("keep")) { // file 0; when the segment before it has gone, 1 and 2
		struct wire_plain died = {.text = "none of this: it came to its end"};

		for (uint16_t n = 2; n <= 4; n++) {
			if (n == 3)
				retire_segment();
			close(stream[0]);
			close(stream[1]);
			if (exit_of(flowlog) != 0 || wire_pair(stream) < 0 || wire_pair(flow) < 0)
				die("the flow log did not end well");
			if (n == 4)
				break;
			wire_send(supervisor_fd, WIRE_FLOWLOG_DIED, &died, sizeof(died), flow[1]);
			flowlog = start_flowlog(flow[0]);
			close(flow[0]);
			close(flow[1]);
			tell_record(n, "b.example");
		}
		flowlog = 0;
	}
	if (is("plain")) {
		tell_order(order, sizeof(order) / sizeof(*order));
		for (uint16_t port = 2; port <= 20000; port++)
			tell_record(port, "a.example");
	}
	close(stream[0]);
	close(stream[1]);
	if (flowlog > 0 && exit_of(flowlog) != expected)
		die("the flow log's exit status is another one");
	ask_plain(WIRE_FINISHED);
	if (wire_send_plain(supervisor_fd, WIRE_CLOSE, 0, 0, "end-of-input") < 0 || !supervisor_hears(WIRE_CLOSED) ||
	        answer.plain.result != 0)
		die("the keeper did not close the ledger");
	if (exit_of(keeper) != 0 || exit_of(signer) != 0)
		die("a process did not end well");
	return 0;
}

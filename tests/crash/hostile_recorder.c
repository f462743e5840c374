// SPDX-License-Identifier: Apache-2.0
// Starts the real signer and keeper with the descriptors of sensor/ipc/roles.h, plays supervisor and a recorder that
// has been taken over: after a lawful beginning it sends one request that its state does not permit. The keeper must
// end the connection and go on to close the ledger for the supervisor. Usage: hostile_recorder BIN KEY RECORDING
// ORIGINS CASE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/merkle.h"
#include "sensor/ipc/job.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/wire.h"
#include "sensor/recorder/segment_frames.h"

static int supervisor_fd, recorder_fd;
static union wire_message answer;
static struct wire_progress first; // what the lawful part has signed
static const char *which;

static void die(const char *what)
{
	fprintf(stderr, "hostile_recorder: %s: %s\n", which, what);
	exit(1);
}

static bool is(const char *name)
{
	return strcmp(which, name) == 0;
}

static pid_t start(const char *bin, const char *name, const int *fds, int count, int first_fd)
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
	execl(path, name, (char *)NULL);
	_exit(127);
}

// The supervisor's next message but those that tell how the ledger stands.
static bool supervisor_hears(enum wire_type type)
{
	int r;

	do
		r = wire_recv(supervisor_fd, &answer, NULL);
	while (r == WIRE_LEDGER || r == WIRE_INCIDENT);
	return r == (int)type;
}

static void ask(enum wire_type type, void *request, size_t len)
{
	int r = wire_send(recorder_fd, type, request, len, -1);

	if (r < 0 || wire_recv(recorder_fd, &answer, NULL) != (int)type)
		die("a lawful request was refused");
}

static void ask_plain(enum wire_type type)
{
	struct wire_plain plain = {0};

	ask(type, &plain, sizeof(plain));
}

static struct wire_begin lane_zero(uint32_t number)
{
	return (struct wire_begin){.lane = 0, .number = number, .linktype = 1, .interface = "h0"};
}

// A segment's file with frame 0, and the progress that is true of it.
static void write_segment(const char *recording)
{
	const struct segment_info info = {.linktype = 1, .snaplen = 0, .interface = "h0"};
	uint8_t frame[SMALL_FRAME_MAX], nothing[DIGEST_LEN];
	struct merkle roots;
	char path[4096];
	int fd, len = segment_frame_first(&info, frame);

	snprintf(path, sizeof(path), "%s/segments/0", recording);
	mkdir(path, 0755);
	strcat(path, "/00000000.pcapng.zst");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (len < 0 || fd < 0 || write(fd, frame, (size_t)len) != len)
		die("cannot write a segment");
	close(fd);
	digest_once("", 0, nothing);
	merkle_init(&roots);
	merkle_append(&roots, nothing, DIGEST_LEN);
	first = (struct wire_progress){.count = 1};
	first.segment[0] = (struct wire_segment_state){.frames = 1, .bytes = (uint64_t)len};
	first.segment[0].counters = (struct counters){.received = 5, .filtered = 5};
	merkle_root(&roots, first.segment[0].root);
}

static void send_raw(uint32_t type, uint32_t stated, size_t len)
{
	struct wire_progress m = {.h = {type, stated}};

	if (write(recorder_fd, &m, len) != (ssize_t)len)
		die("cannot write");
}

static void send_begin(struct wire_begin b)
{
	wire_send(recorder_fd, WIRE_BEGIN, &b, sizeof(b), -1);
}

static void send_progress(struct counters c, uint64_t frames, int64_t bytes_more)
{
	struct wire_progress p = first;

	p.segment[0].frames = frames;
	p.segment[0].bytes += (uint64_t)bytes_more;
	p.segment[0].counters = c;
	wire_send(recorder_fd, WIRE_PROGRESS, &p, sizeof(p), -1);
}

static void send_seal(uint32_t lane, uint32_t number, uint64_t frames, uint64_t packets, uint32_t adopted)
{
	struct wire_seal s = {.state = first.segment[0], .adopted = adopted};

	s.state.lane = lane;
	s.state.number = number;
	s.state.frames = frames;
	s.state.bytes += 100;
	s.state.packets = packets;
	wire_send(recorder_fd, WIRE_SEAL, &s, sizeof(s), -1);
}

static void send_loss(uint32_t lane, uint32_t cause, uint64_t frames)
{
	struct wire_loss l = {.lane = lane, .cause = cause, .frames = frames};

	wire_send(recorder_fd, WIRE_LOSS, &l, sizeof(l), -1);
}

static void send_shunt(uint64_t frames)
{
	struct wire_shunt s = {.frames = frames};

	wire_send(recorder_fd, WIRE_SHUNT, &s, sizeof(s), -1);
}

static void send_incident(const char *kind, bool endless)
{
	struct wire_incident i = {0};

	snprintf(i.kind, sizeof(i.kind), "%s", kind);
	if (endless)
		memset(i.detail, 'x', sizeof(i.detail));
	wire_send(recorder_fd, WIRE_INCIDENT, &i, sizeof(i), -1);
}

static void send_source(uint32_t index)
{
	struct wire_source s = {.index = index, .format = "pcap us le"};

	wire_send(recorder_fd, WIRE_SOURCE, &s, sizeof(s), -1);
}

static void send_retire(uint32_t what)
{
	struct wire_retire m = {.what = what};

	wire_send(recorder_fd, WIRE_RETIRE, &m, sizeof(m), -1);
}

// The one request out of turn. False: no such case.
static bool attack(void)
{
	const struct counters five = {.received = 5, .filtered = 5};
	struct wire_begin b = lane_zero(1);

	if (is("type of the supervisor"))
		wire_send_plain(recorder_fd, WIRE_CLOSE, 0, 0, "signal");
	else if (is("mark, which is the supervisor's to bring")) {
		struct wire_mark mark = {.by = "root", .text = "a lie"};

		wire_send(recorder_fd, WIRE_MARK, &mark, sizeof(mark), -1);
	} else if (is("type of the signer"))
		wire_send_plain(recorder_fd, WIRE_SIGNATURE, 0, 0, NULL);
	else if (is("unknown type"))
		send_raw(99, sizeof(struct wire_plain), sizeof(struct wire_plain));
	else if (is("type zero"))
		send_raw(0, sizeof(struct wire_plain), sizeof(struct wire_plain));
	else if (is("too short"))
		send_raw(WIRE_PROGRESS, sizeof(struct wire_plain), sizeof(struct wire_plain));
	else if (is("a lie about the length"))
		send_raw(WIRE_PROGRESS, sizeof(struct wire_progress), sizeof(struct wire_plain));
	else if (is("less than a header"))
		send_raw(WIRE_PROGRESS, 4, 4);
	else if (is("begin of lane 7"))
		b.lane = 7, b.number = 0, send_begin(b);
	else if (is("begin that skips a number"))
		b.number = 2, send_begin(b);
	else if (is("begin again"))
		b.number = 0, send_begin(b);
	else if (is("begin with another link type"))
		b.linktype = 101, send_begin(b);
	else if (is("begin with another interface"))
		strcpy(b.interface, "h1"), send_begin(b);
	else if (is("begin of a source that is not there"))
		b.lane = 1, b.number = 0, b.source = 1, send_begin(b);
	else if (is("begin with an endless name"))
		memset(b.interface, 'x', sizeof(b.interface)), b.lane = 1, b.number = 0, send_begin(b);
	else if (is("progress that goes back"))
		send_progress((struct counters){.received = 4, .filtered = 4}, 2, 100);
	else if (is("progress of fewer frames"))
		send_progress(five, 0, 0);
	else if (is("progress of fewer bytes"))
		send_progress(five, 2, -1);
	else if (is("progress of the same frames in more bytes"))
		send_progress(five, 1, 1);
	else if (is("driver counters that go back"))
		send_progress(
		        (struct counters){.received = 5, .filtered = 5, .driver_received = 8, .driver_mask = 1}, 2, 9);
	else if (is("counters of the interface that go back"))
		send_progress(
		        (struct counters){
		                .received = 5, .filtered = 5, .nic = {[NIC_MISSED] = 8}, .driver_mask = COUNTERS_NIC},
		        2, 9);
	else if (is("counters that break the law"))
		send_progress((struct counters){.received = 9, .filtered = 5}, 2, 100);
	else if (is("counters whose sum overflows"))
		send_progress(
		        (struct counters){.received = 5, .recorded = 1ULL << 63, .filtered = (1ULL << 63) + 5}, 2, 100);
	else if (is("counters of a later format"))
		send_progress((struct counters){.received = 6, .filtered = 5, .out_of_scope = 1}, 2, 100);
	else if (is("progress of nothing"))
		first.count = 0, send_progress(five, 2, 100);
	else if (is("progress of too many"))
		first.count = WIRE_PROGRESS_SEGMENTS + 1, send_progress(five, 2, 100);
	else if (is("progress of a segment never begun"))
		first.segment[0].number = 1, send_progress(five, 2, 100);
	else if (is("seal of a segment never begun"))
		send_seal(0, 1, 2, 0, 0);
	else if (is("seal of a lane never begun"))
		send_seal(1, 0, 2, 0, 0);
	else if (is("seal without a last frame"))
		send_seal(0, 0, 1, 0, 0);
	else if (is("seal of packets that no counter has"))
		send_seal(0, 0, 2, 3, 0);
	else if (is("seal adopted by nobody"))
		send_seal(0, 0, 2, 0, 2);
	else if (is("loss of a lane never begun"))
		send_loss(1, 0, 1);
	else if (is("loss of an unknown cause"))
		send_loss(0, DROP_CAUSES, 1);
	else if (is("loss of nothing"))
		send_loss(0, 0, 0);
	else if (is("shunted without a cutoff"))
		send_shunt(1);
	else if (is("incident that only others may state"))
		send_incident("recorder-died", false);
	else if (is("incident of an unknown kind"))
		send_incident("coffee", false);
	else if (is("incident with an endless text"))
		send_incident("disk-full", true);
	else if (is("a segment gone that was not to go"))
		send_retire(WIRE_RETIRE_REMOVE);
	else if (is("retirement of an unknown kind"))
		send_retire(99);
	else if (is("source of a capture"))
		send_source(0);
	else if (is("ingest: source that is not there"))
		send_source(1);
	else if (is("ingest: source twice"))
		send_source(0), wire_recv(recorder_fd, &answer, NULL), send_source(0);
	else if (is("after it had finished"))
		ask_plain(WIRE_FINISHED), send_begin(b);
	else if (is("a fifth segment under way")) {
		for (uint32_t number = 1; number < 4; number++)
			b.number = number, ask(WIRE_BEGIN, &b, sizeof(b));
		b.number = 4, send_begin(b);
	} else
		return false;
	return true;
}

static int make_job(const char *recording)
{
	struct job *job = job_new(1);
	int fd;

	job->kind = strncmp(which, "ingest", 6) == 0 ? JOB_INGEST : JOB_CAPTURE;
	strcpy(job->driver, "afpacket");
	strcpy(job->source[0].name, "h0");
	snprintf(job->recording, sizeof(job->recording), "%s", recording);
	job->pool_blocks = 4;
	job->sealers = 1;
	job->flush_ms = 1000;
	job->role_uid[0] = job->role_uid[1] = UINT32_MAX;
	if (job_seal(job, &fd) < 0)
		die("cannot seal a job");
	free(job);
	return fd;
}

static int make_recording(const char *recording)
{
	static const char *const subs[] = {"", "/segments", "/sources", "/keys", "/checkpoints"};
	char path[4096];

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", recording, subs[i]);
		if (mkdir(path, 0755) < 0)
			die("cannot make the recording");
	}
	return open(recording, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	struct wire_begin b = lane_zero(0);
	int sup[2], rec[2], sign[2], r;
	pid_t signer, keeper;

	if (argc != 6)
		return 2;
	which = argv[5];
	alarm(20);
	if (wire_pair(sup) < 0 || wire_pair(rec) < 0 || wire_pair(sign) < 0 || digest_init() < 0)
		die("cannot begin");
	supervisor_fd = sup[0];
	recorder_fd = rec[0];
	const int signer_fds[] = {open(argv[2], O_RDONLY | O_CLOEXEC), sign[1]};
	const int keeper_fds[] = {make_job(argv[3]), sup[1], rec[1], sign[0], make_recording(argv[3]),
	        open(argv[4], O_RDONLY | O_DIRECTORY | O_CLOEXEC)};

	signer = start(argv[1], "sealtap-signer", signer_fds, 2, SIGNER_KEY_FD);
	keeper = start(argv[1], "sealtap-keeper", keeper_fds, 6, ROLE_JOB_FD);
	close(sup[1]);
	close(rec[1]);
	close(sign[0]);
	close(sign[1]);

	ask_plain(WIRE_DETAIL);
	ask_plain(WIRE_START);
	if (!supervisor_hears(WIRE_OPENED))
		die("the keeper did not open");
	ask(WIRE_BEGIN, &b, sizeof(b));
	write_segment(argv[3]);
	if (is("driver counters that go back")) {
		first.segment[0].counters.driver_received = 9;
		first.segment[0].counters.driver_mask = 1;
	}
	if (is("counters of the interface that go back")) {
		first.segment[0].counters.nic[NIC_MISSED] = 9;
		first.segment[0].counters.driver_mask = COUNTERS_NIC;
	}
	struct wire_progress p = first;

	ask(WIRE_PROGRESS, &p, sizeof(p));
	if (!attack())
		die("no such case");
	r = wire_recv(recorder_fd, &answer, NULL);
	if (r > 0)
		die("the keeper answered");

	struct wire_plain died = {.text = "taken over"};

	if (wire_send(supervisor_fd, WIRE_RECORDER_DIED, &died, sizeof(died), -1) < 0 ||
	        wire_send_plain(supervisor_fd, WIRE_CLOSE, 0, 0, "recorder-failed") < 0 ||
	        !supervisor_hears(WIRE_CLOSED) || answer.plain.result != 0)
		die("the keeper did not close the ledger");
	if (!ended_well(keeper) || !ended_well(signer))
		die("a process did not end well");
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The real recorder's threads, fed by sources in memory and answered by a keeper that holds them to the protocol, with
// pools so small that blocks, result slots and segments run out all the time. The files are read back with libzstd and
// a parser of this file. Also: a disk that fills up, a disk that does not sync, a keeper that goes away. No privileges.
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "sensor/evidence/digest.h"
#include "sensor/ipc/roles.h"
#include "sensor/recorder/run.h"

#define LANES_EACH 3u // of a source
#define SOURCES_MAX 4u
#define LANES_ALL (LANES_EACH * SOURCES_MAX)
#define BATCH_MAX 64u
#define PACKET_MAX 9000u
#define SEGMENTS_MAX 4096u

// The disk of this test: from the n-th call on (0: never) the calls that the recorder makes fail.
static _Atomic long fallocates_left, syncs_left;
static char directory[64]; // empty: there is none
// With several disks: only for files of the second, which may also stand still at a sync.
static _Atomic bool only_second, second_stands;

static bool concerned(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return !atomic_load(&only_second) || strstr(path, "/disk1/");
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	// Room for an empty segment is left, as on a disk where the segment before gave its reserve back.
	if (len > 10000 && atomic_load(&fallocates_left) && concerned(fd) &&
	        atomic_fetch_sub(&fallocates_left, 1) == 1) {
		atomic_store(&fallocates_left, 1);
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int fdatasync(int fd)
{
	while (atomic_load(&second_stands) && concerned(fd))
		poll(NULL, 0, 1);
	if (atomic_load(&syncs_left) && concerned(fd) && atomic_fetch_sub(&syncs_left, 1) == 1) {
		atomic_store(&syncs_left, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15ULL;
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
	x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
	return x ^ x >> 31;
}

// A packet is a function of source, lane and number.
static uint32_t packet_make(uint32_t source, uint32_t lane, uint64_t number, uint8_t *out)
{
	uint64_t r = mix(mix(source * 100 + lane) ^ number);
	uint32_t len = 60 + (uint32_t)(r % (r % 7 == 0 ? PACKET_MAX - 60 : 1000));

	for (uint32_t at = 0; at < len; at += 8) {
		r = mix(r);
		memcpy(out + at, &r, len - at < 8 ? len - at : 8);
	}
	return len;
}

// --- sources in memory

struct memory_plan {
	uint64_t packets; // of each lane; 0: without end
	bool live;
	unsigned queues; // sources of each interface; set by run
	bool single;     // one lane each; set by run
};
static struct memory_plan plan;

struct memory {
	struct source source;
	uint32_t index;
	uint64_t next[LANES_EACH];
	uint64_t turn;
	atomic_bool interrupted;
	struct source_lane lanes[LANES_EACH];
	uint8_t data[BATCH_MAX][PACKET_MAX];
};

static int memory_recv(struct source *s, struct packet *batch, unsigned max, int timeout_ms)
{
	struct memory *m = (struct memory *)s;
	unsigned n = 0;

	if (atomic_load(&m->interrupted))
		return -ENODATA;
	s->lane_count = m->turn > 2 && !plan.single ? LANES_EACH : 1; // the others are found later
	while (n < max && n < BATCH_MAX) {
		uint32_t lane = (uint32_t)(mix(m->turn++) % s->lane_count);
		unsigned tried;

		for (tried = 0; tried < s->lane_count && plan.packets && m->next[lane] == plan.packets; tried++)
			lane = (lane + 1) % s->lane_count;
		if (tried == s->lane_count)
			break;
		batch[n] = (struct packet){.data = m->data[n], .ts_ns = 1 + m->next[lane], .lane = lane};
		batch[n].caplen = batch[n].origlen = packet_make(m->index, lane, m->next[lane]++, m->data[n]);
		n++;
	}
	return n > 0 ? (int)n : -ENODATA;
}

static void memory_release(struct source *s)
{
	memset(((struct memory *)s)->data, 0xEE, sizeof(((struct memory *)s)->data)); // who keeps a pointer will see it
}

static void memory_interrupt(struct source *s)
{
	atomic_store(&((struct memory *)s)->interrupted, true);
}

static void memory_close(struct source *s)
{
	free(s);
}

static int memory_new(uint32_t index, struct source **ret_source)
{
	static const struct source_ops waits = {.recv = memory_recv,
	        .release = memory_release,
	        .interrupt = memory_interrupt,
	        .close = memory_close,
	        .kind = "memory"};
	static struct source_ops live;
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	live = waits;
	live.live = true;
	m->source.ops = plan.live ? &live : &waits;
	m->source.lanes = m->lanes;
	m->source.lane_count = 1;
	m->index = index;
	for (uint32_t i = 0; i < LANES_EACH; i++) {
		snprintf(m->lanes[i].interface, sizeof(m->lanes[i].interface), "%u.%u", index, i);
		m->lanes[i].linktype = 1;
	}
	*ret_source = &m->source;
	return 0;
}

// Instead of the driver's: recorder_open asks for interfaces called "0", "1", ...
int source_afpacket_open(const struct source_live_config *config, struct source **ret_sources, struct error *e)
{
	for (unsigned queue = 0; queue < plan.queues; queue++)
		assert_int_equal(
		        memory_new((uint32_t)atoi(config->interface) * plan.queues + queue, &ret_sources[queue]), 0);
	return (int)plan.queues;
}

// --- a keeper that notes what it is told

struct told_segment {
	struct wire_seal seal;
	struct wire_segment_state progress;
	bool sealed;
};

struct told_lane {
	struct wire_begin is;
	uint32_t begun;
	uint32_t sealed;
	uint64_t losses[DROP_CAUSES];
	struct told_segment segment[SEGMENTS_MAX];
};

static struct told {
	int fd;
	pthread_t thread;
	unsigned requests_max; // then it goes away
	unsigned requests;
	unsigned lane_count;
	unsigned incidents;
	char incident[32];
	const char *wrong;
	bool keep; // under a retention policy: when the disk is full the segment sealed first goes
	unsigned sealed, retired;
	uint32_t order[SEGMENTS_MAX][2]; // lanes and numbers of the sealed ones
	struct wire_retire removing;
	struct told_lane lane[LANES_ALL];
} told;

static bool lawful(const struct counters *c)
{
	return c->received == c->recorded + c->filtered + c->dropped[DROP_POOL] + c->dropped[DROP_DISK] +
	                              c->dropped[DROP_OVERSIZE] + c->dropped[DROP_CRASH];
}

static const char *tell_begin(const struct wire_begin *b)
{
	struct told_lane *lane = &told.lane[b->lane];

	if (b->lane > told.lane_count || b->lane >= LANES_ALL)
		return "begin: a lane was left out";
	if (b->lane == told.lane_count) {
		told.lane_count++;
		lane->is = *b;
	}
	if (b->number != lane->begun || b->number >= SEGMENTS_MAX)
		return "begin: not the lane's next segment";
	if (lane->begun - lane->sealed >= 4)
		return "begin: too many segments under way";
	lane->begun++;
	return NULL;
}

static const char *tell_progress(const struct wire_progress *p)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct wire_segment_state *s = &p->segment[i];
		struct told_segment *old = &told.lane[s->lane].segment[s->number];

		if (s->lane >= told.lane_count || s->number >= told.lane[s->lane].begun || old->sealed)
			return "progress: of a segment that is not under way";
		if (s->frames <= old->progress.frames || s->bytes <= old->progress.bytes ||
		        s->packets < old->progress.packets || !lawful(&s->counters))
			return "progress: does not go forward";
		old->progress = *s;
	}
	return NULL;
}

static const char *tell_seal(const struct wire_seal *s)
{
	struct told_lane *lane = &told.lane[s->state.lane];
	struct told_segment *segment = &lane->segment[s->state.number];
	uint64_t before = s->state.number ? lane->segment[s->state.number - 1].seal.state.counters.recorded : 0;

	if (s->state.lane >= told.lane_count || s->state.number != lane->sealed || s->state.number >= lane->begun)
		return "seal: not the oldest segment under way";
	if (s->state.frames <= segment->progress.frames || s->state.packets < segment->progress.packets ||
	        !lawful(&s->state.counters) || s->state.counters.recorded - before != s->state.packets)
		return "seal: does not fit what was said before";
	segment->seal = *s;
	segment->sealed = true;
	lane->sealed++;
	told.order[told.sealed % SEGMENTS_MAX][0] = s->state.lane;
	told.order[told.sealed++ % SEGMENTS_MAX][1] = s->state.number;
	return NULL;
}

static const char *tell_retire(const struct wire_retire *request)
{
	struct wire_retire *answer = &told.removing;
	bool gone = request->what == WIRE_RETIRE_REMOVE;
	const char *wrong = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/%u/%08u.pcapng.zst", directory, answer->lane, answer->number);
	if (gone != (answer->what == WIRE_RETIRE_REMOVE))
		wrong = "retire: does not say what became of the segment";
	else if (gone && (request->lane != answer->lane || request->number != answer->number))
		wrong = "retire: speaks of another segment";
	else if (gone && access(path, F_OK) == 0)
		wrong = "retire: says that a file is gone which is there";
	*answer = (struct wire_retire){.what = WIRE_RETIRE_NOTHING};
	if (told.keep && atomic_load(&fallocates_left) == 1 && told.retired < told.sealed) {
		const uint32_t *oldest = told.order[told.retired++ % SEGMENTS_MAX];

		*answer = (struct wire_retire){.what = WIRE_RETIRE_REMOVE, .lane = oldest[0], .number = oldest[1]};
		atomic_store(&fallocates_left, 4);
	}
	wire_send(told.fd, WIRE_RETIRE, answer, sizeof(*answer), -1);
	return wrong;
}

static void *keeper_main(void *arg)
{
	static union wire_message m;
	int type;

	while ((type = wire_recv(told.fd, &m, NULL)) > 0) {
		const char *wrong = NULL;

		if (told.requests_max && ++told.requests > told.requests_max)
			break;
		if (type == WIRE_BEGIN)
			wrong = tell_begin(&m.begin);
		else if (type == WIRE_PROGRESS)
			wrong = tell_progress(&m.progress);
		else if (type == WIRE_SEAL)
			wrong = tell_seal(&m.seal);
		else if (type == WIRE_RETIRE)
			wrong = tell_retire(&m.retire);
		else if (type == WIRE_LOSS)
			told.lane[m.loss.lane].losses[m.loss.cause] += m.loss.frames;
		else if (type == WIRE_INCIDENT && told.incidents++ == 0)
			memcpy(told.incident, m.incident.kind, sizeof(told.incident));
		if (wrong && !told.wrong)
			told.wrong = wrong;
		if (type == WIRE_BEGIN) {
			struct wire_begin_answer answer = {.recording_id = {1}, .salt_key = {2}};

			wire_send(told.fd, WIRE_BEGIN, &answer, sizeof(answer), -1);
		} else if (type != WIRE_RETIRE) {
			wire_send_plain(told.fd, (enum wire_type)type, 0, 0, NULL);
		}
	}
	close(told.fd);
	return NULL;
}

// --- a run

struct shape {
	unsigned interfaces;
	unsigned queues;
	unsigned sealers;
	unsigned blocks;
	uint64_t segment_bytes;
	unsigned flush_ms;
	bool keep;
	unsigned disks; // each source then has one lane
};

static void place(int from, int to)
{
	assert_true(dup2(from, to) == to);
	close(from);
}

static unsigned disks; // of the run; 0 is 1

static struct job *prepare(const struct shape *shape)
{
	struct job *job = job_new(shape->interfaces);
	struct error e = {0};
	int pair[2], pool;

	assert_non_null(job);
	memset(&told, 0, offsetof(struct told, lane));
	memset(told.lane, 0, sizeof(told.lane));
	strcpy(directory, "/tmp/sealtap-pipeline.XXXXXX");
	assert_non_null(mkdtemp(directory));
	job->kind = JOB_CAPTURE;
	job->sealers = shape->sealers;
	job->pool_blocks = shape->blocks;
	job->segment_bytes = shape->segment_bytes;
	job->segment_ns = 3600 * 1000000000ULL;
	strcpy(job->driver, "afpacket");
	job->flush_ms = shape->flush_ms;
	job->keep_bytes = shape->keep;
	told.keep = shape->keep;
	job->level = -5;
	strcpy(job->driver, "afpacket"); // its open is ours
	for (unsigned i = 0; i < shape->interfaces; i++)
		snprintf(job->source[i].name, sizeof(job->source[i].name), "%u", i);
	// Out of the way of the places, which are low.
	for (int fd = 3; fd < RECORDER_PLACES_FD(false) + (int)JOB_PLACES_MAX; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			assert_true(dup2(STDERR_FILENO, fd) == fd);
	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(pool_create(shape->blocks, false, &pool, &e), 0);
	place(pair[1], RECORDER_KEEPER_FD);
	place(pool, RECORDER_POOL_FD);
	place(open(directory, O_RDONLY | O_DIRECTORY), RECORDER_SEGMENTS_FD);
	job->places = shape->disks;
	for (unsigned i = 1; i < shape->disks; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s/disk%u", directory, i);
		assert_int_equal(mkdir(path, 0700), 0);
		place(open(path, O_RDONLY | O_DIRECTORY), RECORDER_PLACES_FD(false) + (int)i - 1);
	}
	disks = shape->disks;
	plan.single = disks > 1;
	told.fd = pair[0];
	return job;
}

static void tick(struct recorder *r, void *context)
{
	uint64_t *stop_at = context, recorded = 0;
	struct wire_lane lane;

	for (uint32_t i = 0; i < LANES_ALL; i++) // as the main program does
		if (writer_lane(place_of(r, i)->writer, i, &lane)) {
			assert_true(lawful(&lane.counters));
			recorded += lane.counters.recorded;
		}
	if (stop_at && recorded >= *stop_at)
		recorder_stop(r, STOP_SIGNAL);
	poll(NULL, 0, 1);
}

static void (*turn)(struct recorder *r, void *context) = tick;

// Runs and returns what recorder_run gave; *ret_stop is the reason for which it ended.
static int run(const struct shape *shape, unsigned requests_max, uint64_t *stop_at, int *ret_stop)
{
	struct job *job = prepare(shape);
	static struct recorder r;
	struct error e = {0};
	int result;

	told.requests_max = requests_max;
	plan.queues = shape->queues;
	assert_int_equal(pthread_create(&told.thread, NULL, keeper_main, NULL), 0);
	result = recorder_open(&r, job, &e);
	if (result < 0)
		fail_msg("%s", e.text);
	result = recorder_run(&r, turn, stop_at, &e);
	*ret_stop = atomic_load(&r.stop);
	recorder_free(&r);
	close(RECORDER_KEEPER_FD);
	pthread_join(told.thread, NULL);
	close(RECORDER_POOL_FD);
	free(job);
	return result;
}

static void clean(void)
{
	char command[128];

	if (!directory[0])
		return;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	assert_int_equal(system(command), 0);
	directory[0] = '\0';
	close(RECORDER_SEGMENTS_FD);
	for (unsigned i = 1; i < disks; i++)
		close(RECORDER_PLACES_FD(false) + (int)i - 1);
}

// After a test that failed too.
static int teardown(void **state)
{
	atomic_store(&fallocates_left, 0);
	atomic_store(&syncs_left, 0);
	atomic_store(&only_second, false);
	atomic_store(&second_stands, false);
	clean();
	return 0;
}

// --- reading back

struct read_lane {
	uint32_t source;
	uint32_t lane;
	uint64_t next; // number of the packet expected, or the least that may come when there are holes
	uint64_t packets;
};

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

// One EPB; with holes, numbers may be left out, but not come back.
static void read_packet(struct read_lane *lane, const uint8_t *block, bool holes)
{
	static uint8_t expected[PACKET_MAX];
	uint64_t number = (uint64_t)word(block + 12) << 32 | word(block + 16);

	number -= 1; // ts_ns
	assert_true(holes ? number >= lane->next : number == lane->next);
	assert_int_equal(word(block + 20), packet_make(lane->source, lane->lane, number, expected));
	assert_int_equal(word(block + 24), word(block + 20));
	assert_memory_equal(block + 28, expected, word(block + 20));
	lane->next = number + 1;
	lane->packets++;
}

static void read_segment(uint32_t id, uint32_t number, struct read_lane *lane, bool holes)
{
	const struct told_segment *was = &told.lane[id].segment[number];
	static uint8_t raw[FRAME_RAW_MAX];
	uint8_t hash[SHA256_DIGEST_LENGTH], *data;
	uint64_t frames = 0, before = lane->packets;
	char path[128];
	struct stat st;
	int fd;

	if (disks > 1 && id % disks)
		snprintf(path, sizeof(path), "%s/disk%u/%u/%08u.pcapng.zst", directory, id % disks, id, number);
	else
		snprintf(path, sizeof(path), "%s/%u/%08u.pcapng.zst", directory, id, number);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_true(was->sealed);
	assert_int_equal(st.st_size, was->seal.state.bytes);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	SHA256(data, (size_t)st.st_size, hash);
	assert_memory_equal(hash, was->seal.sha256, sizeof(hash));
	for (size_t at = 0; at < (size_t)st.st_size; frames++) {
		size_t stored = ZSTD_findFrameCompressedSize(data + at, (size_t)st.st_size - at), n;

		assert_false(ZSTD_isError(stored));
		n = ZSTD_decompress(raw, sizeof(raw), data + at, stored);
		assert_false(ZSTD_isError(n));
		for (size_t block = 0; block < n; block += word(raw + block + 4))
			if (word(raw + block) == 6)
				read_packet(lane, raw + block, holes);
		at += stored;
	}
	assert_int_equal(frames, was->seal.state.frames);
	assert_int_equal(lane->packets - before, was->seal.state.packets);
	free(data);
}

// All segments of all lanes; returns the packets.
static uint64_t read_back(bool holes)
{
	uint64_t packets = 0;

	for (uint32_t id = 0; id < told.lane_count; id++) {
		const struct told_lane *was = &told.lane[id];
		const struct counters *end = &was->segment[was->sealed - 1].seal.state.counters;
		struct read_lane lane = {0};

		assert_int_equal(sscanf(was->is.interface, "%u.%u", &lane.source, &lane.lane), 2);
		assert_int_equal(was->sealed, was->begun);
		for (uint32_t number = 0; number < was->sealed; number++)
			read_segment(id, number, &lane, holes);
		assert_int_equal(lane.packets, end->recorded);
		for (int cause = 0; cause < DROP_CAUSES; cause++)
			assert_int_equal(was->losses[cause], end->dropped[cause]);
		packets += lane.packets;
	}
	return packets;
}

static void every_packet_is_there_in_order(void **state)
{
	static const struct shape shapes[] = {
	        {1, 1, 1, 4, 1u << 20, 10},
	        {1, 1, 2, 4, 1u << 18, 10},
	        {1, 1, 4, 4, 1u << 30, 1000},
	        {1, 2, 3, 8, 1u << 20, 10},
	        {3, 1, 4, 12, 1u << 19, 50},
	        {2, 2, 1, 8, 1u << 20, 20},
	        {2, 1, 1, 4, 1u << 18, 10, .disks = 2},
	        {4, 1, 3, 16, 1u << 19, 10, .disks = 3},
	        {3, 2, 2, 24, 1u << 20, 10, .disks = 2},
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint64_t lanes = shapes[i].interfaces * shapes[i].queues * (shapes[i].disks ? 1 : LANES_EACH);
		int stop;

		plan = (struct memory_plan){.packets = 3000};
		assert_int_equal(run(&shapes[i], 0, NULL, &stop), 0);
		assert_null(told.wrong);
		assert_int_equal(stop, STOP_NONE);
		assert_int_equal(told.lane_count, lanes);
		assert_int_equal(read_back(false), lanes * plan.packets);
		for (uint32_t id = 0; id < lanes; id++)
			assert_int_equal(told.lane[id].segment[told.lane[id].sealed - 1].seal.state.counters.received,
			        plan.packets);
		clean();
	}
}

// A live source does not wait: what met an empty pool is counted, and the rest is in order.
static void a_live_source_loses_and_counts(void **state)
{
	const struct shape shape = {2, 1, 2, 4, 1u << 20, 10};
	uint64_t received = 0, pool = 0;
	int stop;

	plan = (struct memory_plan){.packets = 20000, .live = true};
	assert_int_equal(run(&shape, 0, NULL, &stop), 0);
	assert_null(told.wrong);
	for (uint32_t id = 0; id < told.lane_count; id++) {
		received += told.lane[id].segment[told.lane[id].sealed - 1].seal.state.counters.received;
		pool += told.lane[id].losses[DROP_POOL];
	}
	assert_int_equal(received, 2 * LANES_EACH * plan.packets);
	assert_true(pool > 0);
	assert_int_equal(read_back(true), received - pool);
	clean();
}

static void a_stop_keeps_all_that_was_received(void **state)
{
	const struct shape shape = {1, 2, 2, 8, 1u << 20, 10};
	uint64_t stop_at = 5000;
	int stop;

	plan = (struct memory_plan){0};
	assert_int_equal(run(&shape, 0, &stop_at, &stop), 0);
	assert_int_equal(stop, STOP_SIGNAL);
	assert_null(told.wrong);
	assert_true(read_back(false) >= stop_at);
	clean();
}

// Whichever allocation is the first to fail: all that began is sealed, no hole, the loss is counted and stated.
static void a_full_disk_ends_every_segment(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10}, {2, 1, 3, 12, 1u << 30, 10},
	        {1, 2, 4, 16, 1u << 20, 10}, {2, 1, 1, 4, 1u << 18, 10}};

	for (long nth = 2; nth < 22; nth++) {
		uint64_t disk = 0;
		int stop;

		plan = (struct memory_plan){0};
		atomic_store(&fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 4], 0, NULL, &stop), 0);
		atomic_store(&fallocates_left, 0);
		assert_int_equal(stop, STOP_DISK_FULL);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-full");
		assert_int_equal(told.incidents, 1);
		read_back(false);
		for (uint32_t id = 0; id < told.lane_count; id++)
			disk += told.lane[id].losses[DROP_DISK];
		assert_true(disk > 0);
		clean();
	}
}

// Under a retention policy the segment sealed first goes, and no packet is lost.
static void a_full_disk_makes_room_under_a_policy(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10, true}, {2, 1, 3, 24, 1u << 19, 10, true},
	        {1, 2, 1, 16, 1u << 18, 10, true}};

	for (long nth = 10; nth < 19; nth++) {
		uint64_t recorded = 0;
		int stop;

		plan = (struct memory_plan){.packets = 10000};
		atomic_store(&fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 3], 0, NULL, &stop), 0);
		atomic_store(&fallocates_left, 0);
		assert_int_not_equal(stop, STOP_DISK_FULL);
		assert_null(told.wrong);
		assert_int_equal(told.incidents, 0);
		assert_true(told.retired > 2 && told.sealed > told.retired);
		for (uint32_t id = 0; id < told.lane_count; id++) {
			const struct told_lane *lane = &told.lane[id];

			assert_int_equal(lane->losses[DROP_DISK], 0);
			recorded += lane->segment[lane->sealed - 1].seal.state.counters.recorded;
		}
		assert_int_equal(recorded, told.lane_count * plan.packets);
		clean();
	}
}

// What could not be synced is not claimed, nothing hangs, and the reason is told once.
static void a_disk_that_does_not_sync_ends_the_run(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 64, 1u << 18, 10}, {2, 1, 3, 12, 1u << 20, 10}};

	for (long nth = 1; nth < 9; nth++) {
		int stop;

		plan = (struct memory_plan){0};
		atomic_store(&syncs_left, nth);
		assert_int_equal(run(&shapes[nth % 2], 0, NULL, &stop), 0);
		atomic_store(&syncs_left, 0);
		assert_int_equal(stop, STOP_DISK_ERROR);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-error");
		assert_int_equal(told.incidents, 1);
		for (uint32_t id = 0; id < told.lane_count; id++) {
			struct read_lane lane = {0};

			assert_int_equal(sscanf(told.lane[id].is.interface, "%u.%u", &lane.source, &lane.lane), 2);
			for (uint32_t number = 0; number < told.lane[id].sealed; number++)
				read_segment(id, number, &lane, false);
		}
		clean();
	}
}

static const struct counters *end_of(uint32_t id)
{
	return &told.lane[id].segment[told.lane[id].sealed - 1].seal.state.counters;
}

// Its lanes lose what comes from then on, and everything is sealed; the others lose nothing.
static void a_full_disk_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shapes[] = {
	        {2, 1, 1, 8, 1u << 18, 10, .disks = 2}, {4, 1, 2, 16, 1u << 20, 10, .disks = 2}};

	for (long nth = 2; nth < 12; nth++) {
		int stop;

		plan = (struct memory_plan){.packets = 16000};
		atomic_store(&only_second, true);
		atomic_store(&fallocates_left, nth);
		assert_int_equal(run(&shapes[nth % 2], 0, NULL, &stop), 0);
		atomic_store(&fallocates_left, 0);
		assert_int_equal(stop, STOP_NONE);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-full");
		assert_int_equal(told.incidents, 1);
		read_back(false);
		for (uint32_t id = 0; id < told.lane_count; id++) {
			assert_int_equal(end_of(id)->received, plan.packets);
			if (id % 2 == 0)
				assert_int_equal(end_of(id)->recorded, plan.packets);
		}
		assert_true(end_of(1)->dropped[DROP_DISK] > 0);
		clean();
	}
}

static void a_disk_that_does_not_sync_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shape = {4, 1, 2, 16, 1u << 18, 10, .disks = 2};

	for (long nth = 1; nth < 6; nth++) {
		int stop;

		plan = (struct memory_plan){.packets = 4000};
		atomic_store(&only_second, true);
		atomic_store(&syncs_left, nth);
		assert_int_equal(run(&shape, 0, NULL, &stop), 0);
		atomic_store(&syncs_left, 0);
		assert_int_equal(stop, STOP_NONE);
		assert_null(told.wrong);
		assert_string_equal(told.incident, "disk-error");
		assert_int_equal(told.incidents, 1);
		for (uint32_t id = 0; id < told.lane_count; id += 2) {
			assert_int_equal(told.lane[id].sealed, told.lane[id].begun);
			assert_int_equal(end_of(id)->recorded, plan.packets);
		}
		clean();
	}
}

// It stands until the other lanes are through: they wait neither for its syncs nor, at the one sealer, for a segment of
// its lanes to begin.
static void release_second(struct recorder *r, void *context)
{
	struct wire_lane lane;
	bool through = true;

	for (uint32_t i = 0; i < 4; i += 2)
		through = through && writer_lane(place_of(r, i)->writer, i, &lane) &&
		          lane.counters.recorded == plan.packets;
	if (through)
		atomic_store(&second_stands, false);
	poll(NULL, 0, 1);
}

static void a_disk_that_stands_still_is_in_the_way_of_its_lanes_only(void **state)
{
	static const struct shape shape = {4, 1, 1, 64, 1u << 18, 10, .disks = 2};
	int stop;

	plan = (struct memory_plan){.packets = 20000};
	atomic_store(&only_second, true);
	atomic_store(&second_stands, true);
	turn = release_second;
	assert_int_equal(run(&shape, 0, NULL, &stop), 0);
	turn = tick;
	assert_int_equal(stop, STOP_NONE);
	assert_null(told.wrong);
	assert_int_equal(read_back(false), 4 * plan.packets);
	clean();
}

static void a_keeper_that_goes_away_ends_the_run(void **state)
{
	static const struct shape shapes[] = {{1, 1, 2, 4, 1u << 18, 10}, {3, 1, 4, 12, 1u << 20, 10}};

	for (unsigned after = 1; after < 40; after += 3) {
		int stop;

		plan = (struct memory_plan){0};
		assert_true(run(&shapes[after % 2], after, NULL, &stop) < 0);
		assert_int_equal(stop, STOP_FAILED);
		assert_null(told.wrong);
		clean();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_teardown(every_packet_is_there_in_order, teardown),
	        cmocka_unit_test_teardown(a_live_source_loses_and_counts, teardown),
	        cmocka_unit_test_teardown(a_stop_keeps_all_that_was_received, teardown),
	        cmocka_unit_test_teardown(a_full_disk_ends_every_segment, teardown),
	        cmocka_unit_test_teardown(a_full_disk_makes_room_under_a_policy, teardown),
	        cmocka_unit_test_teardown(a_disk_that_does_not_sync_ends_the_run, teardown),
	        cmocka_unit_test_teardown(a_full_disk_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_disk_that_does_not_sync_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_disk_that_stands_still_is_in_the_way_of_its_lanes_only, teardown),
	        cmocka_unit_test_teardown(a_keeper_that_goes_away_ends_the_run, teardown),
	};

	alarm(280); // a hang is a failure
	return digest_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Any messages of a recorder to the keeper, over a socket as they come: whatever it says, each line of the ledger fits
// section 2, and numbers, counters and lanes follow each other as a verifier demands.
// Input: messages of (type, le16 length, bytes of the body from its start; the rest is zero). A type above 127 sends
// just these bytes and no more.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/evidence/digest.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/ledger_schema.h"
#include "sensor/keeper/keeper.h"
#include "tests/fuzz/fuzz.h"

#define SOURCES 2
#define MESSAGES_MAX 64

static int dir_fd = -1;
static struct job *job;
static struct secret_key *key;
static char directory[] = "/dev/shm/sealtap-fuzz-XXXXXX";

static void remove_directory(void)
{
	static const char *const names[] = {"ledger.jsonl", "checkpoint", "checkpoint.tmp"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir_fd, names[i], 0);
	rmdir(directory);
}

static void set_up(void)
{
	MUST(digest_init() == 0 && mkdtemp(directory));
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(dir_fd >= 0);
	atexit(remove_directory);
	job = job_new(SOURCES);
	MUST(job && secret_key_generate(&key) == 0);
	job->kind = JOB_INGEST;
	job->keep_bytes = 1000;
	job->cutoff_bytes = 1000;
	strcpy(job->source[0].name, "a.pcapng");
	strcpy(job->source[1].name, "b \xff\x7f.pcap");
}

// As after keeper_open, with an `incident` where `open`, `key` and `clock` would stand.
static void keeper_make(struct keeper *k)
{
	struct error e;

	*k = (struct keeper){.job = job,
	        .dir_fd = dir_fd,
	        .origin_fd = memfd_create("origins", MFD_CLOEXEC),
	        .signer_fd = -1,
	        .tell_fd = -1};
	unlinkat(dir_fd, "ledger.jsonl", 0);
	k->details = calloc(SOURCES, sizeof(*k->details));
	k->stated = calloc(SOURCES, sizeof(*k->stated));
	MUST(k->details && k->stated && k->origin_fd >= 0 && ledger_writer_open(&k->ledger, dir_fd, &e) == 0);
	k->key = key;
	k->epoch = 1;
	k->opened = true;
	strcpy(k->boot_id, "7d1c3e02-1f55-4a11-9d3c-0a1b2c3d4e5f");
	MUST(keeper_record_incident(k, "supervisor-died", "") == 0);
}

static void keeper_release(struct keeper *k)
{
	ledger_writer_close(&k->ledger);
	close(k->origin_fd);
	free(k->details);
	free(k->stated);
	free(k->lanes);
	keeper_retention_free(k);
}

static size_t size_of(unsigned type)
{
	switch (type) {
	case WIRE_BEGIN:
		return sizeof(struct wire_begin);
	case WIRE_PROGRESS:
		return sizeof(struct wire_progress);
	case WIRE_SEAL:
		return sizeof(struct wire_seal);
	case WIRE_LOSS:
		return sizeof(struct wire_loss);
	case WIRE_SHUNT:
		return sizeof(struct wire_shunt);
	case WIRE_SOURCE:
		return sizeof(struct wire_source);
	case WIRE_INCIDENT:
		return sizeof(struct wire_incident);
	case WIRE_RETIRE:
		return sizeof(struct wire_retire);
	default:
		return sizeof(struct wire_plain);
	}
}

// What the lines before say about a lane.
struct told {
	uint64_t lanes, begun[8], sealed[8], recorded[8];
	bool source[SOURCES];
	unsigned retired;
	struct {
		uint64_t lane, number, packets;
	} complete[MESSAGES_MAX]; // in order
	unsigned complete_count;
};

// A segment once, or the second entry could go back behind the first.
static void check_progress(const struct ledger_line *line)
{
	struct ledger_progress_entry a, b;
	struct field_fault fault;
	json_t *list = line->progress.segments;

	for (size_t i = 0; i < json_array_size(list); i++) {
		MUST(fields_parse(json_array_get(list, i), progress_entry_fields, &a, &fault) == 0);
		for (size_t k = 0; k < i; k++) {
			MUST(fields_parse(json_array_get(list, k), progress_entry_fields, &b, &fault) == 0);
			MUST(a.lane != b.lane || a.number != b.number);
		}
	}
}

static void check_line(struct told *t, const struct ledger_line *line)
{
	const struct ledger_segment *s = &line->segment;

	if (line->type == LINE_BEGIN) {
		MUST(line->begin.lane <= t->lanes && line->begin.source < SOURCES);
		t->lanes += line->begin.lane == t->lanes;
		if (line->begin.lane < 8)
			MUST(line->begin.number == t->begun[line->begin.lane]++);
	} else if (line->type == LINE_SEGMENT) {
		MUST(s->lane < t->lanes && t->complete_count < MESSAGES_MAX);
		t->complete[t->complete_count].lane = s->lane;
		t->complete[t->complete_count].number = s->number;
		t->complete[t->complete_count++].packets = s->packets;
		if (s->lane < 8) {
			MUST(s->number == t->sealed[s->lane]++ && s->number < t->begun[s->lane]);
			MUST(s->counters_begin.recorded == t->recorded[s->lane]);
			MUST(s->counters_end.recorded - s->counters_begin.recorded == s->packets);
			MUST(s->counters_end.received >= s->counters_begin.received);
			t->recorded[s->lane] = s->counters_end.recorded;
		}
	} else if (line->type == LINE_PROGRESS) {
		check_progress(line);
	} else if (line->type == LINE_RETIRE) {
		MUST(t->retired < t->complete_count && line->retire.reason == RETIRE_KEEP_SIZE);
		MUST(line->retire.lane == t->complete[t->retired].lane);
		MUST(line->retire.number == t->complete[t->retired].number);
		MUST(line->retire.packets == t->complete[t->retired++].packets);
	} else if (line->type == LINE_LOSS) {
		MUST(line->loss.lane < t->lanes && line->loss.frames > 0);
	} else if (line->type == LINE_SHUNT) {
		MUST(line->shunt.lane < t->lanes && line->shunt.frames > 0);
	} else if (line->type == LINE_SOURCE) {
		MUST(line->source.index < SOURCES && !t->source[line->source.index]);
		t->source[line->source.index] = true;
	}
}

static void check_ledger(const struct keeper *k)
{
	struct told told = {0};
	char *text = malloc(k->ledger.bytes + 1), *at = text;
	int fd = openat(dir_fd, "ledger.jsonl", O_RDONLY | O_CLOEXEC);

	MUST(text && fd >= 0 && read(fd, text, k->ledger.bytes) == (ssize_t)k->ledger.bytes);
	close(fd);
	for (uint64_t n = 0; n < k->ledger.tree.size; n++) {
		char *end = memchr(at, '\n', (size_t)(text + k->ledger.bytes - at));
		struct field_fault fault = {0};
		struct ledger_line line;
		json_t *object;

		MUST(end && ledger_line_parse(at, (size_t)(end - at), LEDGER_LINE_MAX, &object) == 0);
		if (ledger_line_take(object, &line, &fault) < 0) {
			fprintf(stderr, "key \"%s\": expected %s\n%.*s\n", fault.key, fault.expected, (int)(end - at),
			        at);
			abort();
		}
		MUST(line.seq == n);
		check_line(&told, &line);
		json_decref(object);
		at = end + 1;
	}
	MUST(at == text + k->ledger.bytes);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union wire_message m, answer;
	struct keeper k;
	int pair[2];

	if (dir_fd < 0)
		set_up();
	keeper_make(&k);
	MUST(wire_pair(pair) == 0);
	for (unsigned i = 0; i < MESSAGES_MAX && size >= 3; i++) {
		unsigned type = data[0] & 0x7f;
		size_t body = (size_t)data[1] | (size_t)data[2] << 8, len = size_of(type);
		struct error e = {0};
		int r;

		if (body > size - 3)
			body = size - 3;
		if (body > sizeof(m) - sizeof(m.h))
			body = sizeof(m) - sizeof(m.h);
		memset(&m, 0, sizeof(m));
		memcpy((uint8_t *)&m + sizeof(m.h), data + 3, body);
		if (data[0] & 0x80)
			len = sizeof(m.h) + body;
		data += 3 + body;
		size -= 3 + body;
		m.h = (struct wire_header){type, (uint32_t)len};
		MUST(send(pair[0], &m, len, 0) == (ssize_t)len);
		r = wire_recv(pair[1], &m, NULL);
		if (r == -EBADMSG)
			break;
		MUST(r > 0);
		r = keeper_recorder_request(&k, pair[1], &m, &e);
		MUST(r == 0 || e.text[0] != '\0');
		if (r < 0) {
			MUST(r == -EPROTO); // anything else would end the keeper, for what a recorder said
			break;
		}
		MUST(wire_recv(pair[0], &answer, NULL) == (int)type);
	}
	check_ledger(&k);
	close(pair[0]);
	close(pair[1]);
	keeper_release(&k);
	return 0;
}

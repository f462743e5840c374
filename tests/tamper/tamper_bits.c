// SPDX-License-Identifier: Apache-2.0
// tamper_bits RECORDING ORIGIN.pub [STEP]: flips every bit of every file of a recording (with STEP, of every STEP-th
// byte), verifies each time in this process, and prints every flip that is not found as what it is. Exit 1 when there
// is one. One process per core, each with its own copy of the recording in memory (/dev/shm).
//
// What may pass is listed below (struct region), with bounds that this file reads from the ledger itself, by text
// search and not with the verifier's code. A flip outside these must make the recording invalid, with the finding of
// its file.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "sensor/evidence/keys.h"
#include "sensor/evidence/reader/verify.h"

#define FILES_MAX 256
#define PASSES_PRINTED 50
#define TAIL_STEP 8 // of frames that nobody signed only one byte in so many: there is nothing to be found

// Bytes of which a flip need not make the recording invalid. The reason is printed with the counts.
enum region {
	SIGNED,        // must be found
	ENCODING,      // of a segment that nobody completed, up to the newest signed progress
	UNSIGNED_TAIL, // of such a segment, beyond it
	UNSIGNED_LINE, // of the ledger, beyond the newest checkpoint
	UNSIGNED_STATEMENT,
	UNSIGNED_FILE,
	REGIONS
};

static const char *const region_reasons[REGIONS] = {
        [ENCODING] =
                "signed frames of a segment without a `segment` line: the progress signs the packets and the number "
                "of stored bytes, not how they are compressed; the flipped frame decompresses to the same bytes",
        [UNSIGNED_TAIL] = "frames beyond the newest signed progress of a segment without a `segment` line, and no "
                          "recovery.json that holds the file's hash: the verdict names the segment as not sealed",
        [UNSIGNED_LINE] =
                "ledger lines beyond the newest checkpoint, and no recovery.json that holds the ledger's hash: "
                "the verdict names them as unsigned",
        [UNSIGNED_STATEMENT] =
                "t_real of a recovery.json without a signature: no signature covers it and nothing else in "
                "the recording says when it was recovered",
        [UNSIGNED_FILE] = "checkpoint.tmp in a recording that is not closed: no verifier reads it",
};

struct file {
	char path[128];
	uint8_t *bytes;
	size_t size;
	bool sealed;
	size_t signed_bytes; // of a segment that is not sealed
};

static struct {
	struct file files[FILES_MAX];
	unsigned file_count;
	bool closed, recovery, recovery_signed;
	size_t line_start[4096]; // of signed lines, and the end of the last
	size_t line_count;       // signed
	size_t statement_from, statement_until;
	uint8_t origin[ED25519_KEY_LEN];
	unsigned step;
	const char *only;
	char copy[64]; // of this worker
	int dirfd;
} t;

// Shared by the workers.
static struct {
	uint64_t flips, failed, allowed[REGIONS];
} * sums;

static _Noreturn void die(const char *what, const char *about)
{
	fprintf(stderr, "tamper_bits: %s %s: %s\n", what, about, strerror(errno));
	exit(1);
}

// --- the recording, as it is

static const char *root_path;

static int load_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct file *f = &t.files[t.file_count];
	const char *name = path + strlen(root_path) + 1;
	int fd;

	if (type != FTW_F)
		return 0;
	if (t.file_count == FILES_MAX || strlen(name) >= sizeof(f->path))
		die("too many files or too long a name", path);
	strcpy(f->path, name);
	f->size = (size_t)st->st_size;
	f->bytes = malloc(f->size + 1);
	fd = open(path, O_RDONLY);
	if (fd < 0 || !f->bytes || read(fd, f->bytes, f->size) != (ssize_t)f->size)
		die("cannot read", path);
	f->bytes[f->size] = '\0';
	close(fd);
	t.file_count++;
	return 0;
}

static struct file *find(const char *path)
{
	for (unsigned i = 0; i < t.file_count; i++)
		if (strcmp(t.files[i].path, path) == 0)
			return &t.files[i];
	return NULL;
}

// "segments":[{"lane":L,"number":N,"frames":"F","bytes":"B", ...
static void note_progress(const char *line, const char *end)
{
	for (const char *at = line; (at = memmem(at, (size_t)(end - at), "{\"lane\":", 8)); at++) {
		uint64_t lane, number, frames, bytes;
		char path[128];
		struct file *f;

		if (sscanf(at,
		            "{\"lane\":%" SCNu64 ",\"number\":%" SCNu64 ",\"frames\":\"%" SCNu64
		            "\",\"bytes\":\"%" SCNu64,
		            &lane, &number, &frames, &bytes) != 4)
			die("not understood: a progress line", "");
		snprintf(path, sizeof(path), "segments/%" PRIu64 "/%08" PRIu64 ".pcapng.zst", lane, number);
		f = find(path);
		if (f)
			f->signed_bytes = (size_t)bytes;
	}
}

static void note_segment(const char *line, const char *end)
{
	const char *at = memmem(line, (size_t)(end - line), "\"path\":\"", 8);
	char path[128];
	struct file *f;

	if (!at || sscanf(at, "\"path\":\"%127[^\"]", path) != 1 || !(f = find(path)))
		die("not understood: a segment line", "");
	f->sealed = true;
}

static void understand(void)
{
	struct file *ledger = find("ledger.jsonl"), *checkpoint = find("checkpoint"), *recovery = find("recovery.json");
	const char *size = checkpoint ? strchr((char *)checkpoint->bytes, '\n') : NULL;
	char *at, *end;

	if (!ledger || !size)
		die("no recording", root_path);
	t.line_count = (size_t)strtoull(size, NULL, 10);
	at = (char *)ledger->bytes;
	if (t.line_count >= sizeof(t.line_start) / sizeof(t.line_start[0]))
		die("too many lines", root_path);
	for (size_t i = 0; i < t.line_count; i++) {
		t.line_start[i] = (size_t)(at - (char *)ledger->bytes);
		end = at ? strchr(at, '\n') : NULL; // at is never NULL; a compiler with sanitizers does not see it
		if (!end)
			die("a short ledger", root_path);
		if (memmem(at, (size_t)(end - at), "\"type\":\"progress\"", 17))
			note_progress(at, end);
		if (memmem(at, (size_t)(end - at), "\"type\":\"segment\"", 16))
			note_segment(at, end);
		t.closed = memmem(at, (size_t)(end - at), "\"type\":\"close\"", 14) != NULL;
		at = end + 1;
	}
	t.line_start[t.line_count] = (size_t)(at - (char *)ledger->bytes);
	t.recovery = recovery != NULL;
	t.recovery_signed = recovery && strstr((char *)recovery->bytes, "\"origin_signature\":\"");
	if (recovery && !t.recovery_signed) {
		at = strstr((char *)recovery->bytes, "\"t_real\":\"");
		if (!at)
			die("not understood:", "recovery.json");
		t.statement_from = (size_t)(at - (char *)recovery->bytes) + 10;
		t.statement_until = t.statement_from + strcspn(at + 10, "\"");
	}
}

// --- what is expected

static enum region region_of(const struct file *f, size_t at)
{
	if (t.closed)
		return SIGNED;
	if (strcmp(f->path, "checkpoint.tmp") == 0)
		return UNSIGNED_FILE;
	if (strcmp(f->path, "recovery.json") == 0 && !t.recovery_signed && at >= t.statement_from &&
	        at < t.statement_until)
		return UNSIGNED_STATEMENT;
	if (t.recovery)
		return SIGNED; // recovery.json holds the hashes of the rest
	if (strcmp(f->path, "ledger.jsonl") == 0 && at >= t.line_start[t.line_count])
		return UNSIGNED_LINE;
	if (strncmp(f->path, "segments/", 9) == 0 && !f->sealed)
		return at < f->signed_bytes ? ENCODING : UNSIGNED_TAIL;
	return SIGNED;
}

// Do the signed frames of f, now in changed, decompress to what they did, frame by frame at the same bounds?
static bool same_content(const struct file *f, const uint8_t *changed)
{
	static uint8_t before[1 << 20], after[1 << 20];
	size_t at = 0;

	while (at < f->signed_bytes) {
		size_t n = ZSTD_findFrameCompressedSize(f->bytes + at, f->size - at), a, b;

		if (ZSTD_isError(n) || at + n > f->signed_bytes)
			die("not understood: frames of", f->path);
		if (memcmp(f->bytes + at, changed + at, n) != 0) {
			a = ZSTD_decompress(before, sizeof(before), f->bytes + at, n);
			b = ZSTD_decompress(after, sizeof(after), changed + at, n);
			if (ZSTD_isError(a) || ZSTD_isError(b) || a != b || memcmp(before, after, a) != 0)
				return false;
		}
		at += n;
	}
	return true;
}

static bool has(const struct verify_report *r, const char *code, const char *where)
{
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct finding *f = &r->findings[i];

		if (f->verdict == VERDICT_INVALID && strcmp(f->code, code) == 0 &&
		        (!where || strcmp(f->where, where) == 0))
			return true;
	}
	return false;
}

static bool has_prefix(const struct verify_report *r, const char *prefix)
{
	for (size_t i = 0; i < r->finding_count; i++)
		if (r->findings[i].verdict == VERDICT_INVALID &&
		        strncmp(r->findings[i].code, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

// A flip in line k breaks the tree, and the chain at line k+1; one that makes or unmakes a line end breaks the form of
// line k. The last line has nobody behind it: there the checkpoint's head.
static const char *ledger_found(const struct verify_report *r, size_t at, uint8_t before, uint8_t after)
{
	char where[64];
	size_t line = 0;

	if (at >= t.line_start[t.line_count]) // unsigned, and recovery.json holds the ledger's hash
		return has(r, "recovery-ledger", "recovery.json") ? NULL : "recovery-ledger at recovery.json";
	while (at >= t.line_start[line + 1])
		line++;
	if (before == '\n' || after == '\n') {
		snprintf(where, sizeof(where), "ledger.jsonl line %zu", line);
		return has(r, "line-form", where) ? NULL : "line-form at the line";
	}
	// Without the line that names the only key nobody can have signed anything.
	if (!has(r, "checkpoint-root", "checkpoint") && !(line == 1 && has(r, "checkpoint-scope", "checkpoint")))
		return "checkpoint-root";
	if (line + 1 == t.line_count)
		return has(r, "checkpoint-head", "checkpoint") ? NULL : "checkpoint-head";
	snprintf(where, sizeof(where), "ledger.jsonl line %zu", line + 1);
	return has(r, "line-prev", where) ? NULL : "line-prev at the line after";
}

static const char *checkpoint_found(const struct verify_report *r, const char *path)
{
	if (has(r, "checkpoint-form", path) || has(r, "checkpoint-signature", path))
		return NULL;
	// Only a flip of its size gives these: more lines than there are, or fewer than any key signs.
	return has(r, "ledger-short", "ledger.jsonl") || has(r, "checkpoint-scope", path)
	               ? NULL
	               : "checkpoint-form, checkpoint-signature, checkpoint-scope or ledger-short";
}

static const char *segment_found(const struct verify_report *r, const struct file *f)
{
	static const char *const codes[] = {"frame-malformed", "frame-cut", "frame-order", "progress-mismatch",
	        "progress-root", "progress-not-reached"};

	if (f->sealed)
		return has(r, "segment-sha256", f->path) ? NULL : "segment-sha256";
	if (t.recovery)
		return has(r, "recovery-file", "recovery.json") ? NULL : "recovery-file";
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (has(r, codes[i], NULL))
			return NULL;
	return "frame-* or progress-*";
}

// The finding that should be there and is not, or NULL.
static const char *missing(
        const struct verify_report *r, const struct file *f, size_t at, uint8_t before, uint8_t after)
{
	if (strcmp(f->path, "ledger.jsonl") == 0)
		return ledger_found(r, at, before, after);
	if (strncmp(f->path, "checkpoint", 10) == 0)
		return checkpoint_found(r, f->path);
	if (strncmp(f->path, "segments/", 9) == 0)
		return segment_found(r, f);
	if (strncmp(f->path, "keys/", 5) == 0)
		return has(r, "key-copy", f->path) ? NULL : "key-copy";
	if (strcmp(f->path, "salts.key") == 0)
		return has(r, "salts-hash", f->path) ? NULL : "salts-hash";
	if (strncmp(f->path, "sources/", 8) == 0)
		return has(r, "source-extra-sha256", f->path) ? NULL : "source-extra-sha256";
	if (strcmp(f->path, "recovery.json") == 0)
		return has_prefix(r, "recovery-") ? NULL : "recovery-*";
	return "a rule for this file in tamper_bits.c";
}

// --- flipping

static struct verify_report *verify_copy(void)
{
	struct verify_options options = {.origin = t.origin, .threads = 1};
	struct verify_report *r;

	if (verify_recording(&(struct recording_dir){.fd = t.dirfd}, &options, &r) < 0)
		die("cannot verify", t.copy);
	return r;
}

static void failed(const struct file *f, size_t at, int bit, const struct verify_report *r, const char *want)
{
	if (__atomic_fetch_add(&sums->failed, 1, __ATOMIC_RELAXED) < PASSES_PRINTED)
		printf("not ok - %s byte %zu bit %d: %s with %" PRIu64 " findings, first %s; expected %s\n", f->path,
		        at, bit, verdict_word(verify_report_verdict(r)), r->finding_total,
		        r->finding_count > 0 ? r->findings[0].code : "none", want);
	fflush(stdout);
}

static void judge(const struct file *f, size_t at, int bit, const uint8_t *changed)
{
	struct verify_report *r = verify_copy();
	enum verdict v = verify_report_verdict(r);
	enum region region = region_of(f, at);
	const char *want = NULL;

	if (region == ENCODING && (v == VERDICT_INVALID || !same_content(f, changed)))
		region = SIGNED;
	if (region == SIGNED && v != VERDICT_INVALID)
		want = "invalid";
	else if (region == SIGNED)
		want = missing(r, f, at, f->bytes[at], changed[at]);
	else if (region == UNSIGNED_STATEMENT && v == VERDICT_INVALID)
		want = has(r, "recovery-form", "recovery.json") ? NULL : "recovery-form";
	else if (v != VERDICT_INCOMPLETE)
		want = "incomplete (4)";
	else
		__atomic_fetch_add(&sums->allowed[region], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sums->flips, 1, __ATOMIC_RELAXED);
	if (want)
		failed(f, at, bit, r, want);
	verify_report_free(r);
}

static void put(int fd, uint8_t byte, size_t at)
{
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		die("cannot write in", t.copy);
}

// The unchanged copy has the verdict of a recording of its kind, before and after.
static void baseline(const char *when)
{
	struct verify_report *r = verify_copy();
	enum verdict v = verify_report_verdict(r), want = t.closed ? VERDICT_VALID : VERDICT_INCOMPLETE;

	if (v != want) {
		printf("not ok - the unchanged recording %s: %s, expected %s\n", when, verdict_word(v),
		        verdict_word(want));
		__atomic_fetch_add(&sums->failed, 1, __ATOMIC_RELAXED);
	}
	verify_report_free(r);
}

static void make_copy(void)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(t.copy, sizeof(t.copy), "%s/sealtap-bits.XXXXXX", base);
	if (!mkdtemp(t.copy))
		die("cannot make", t.copy);
	t.dirfd = open(t.copy, O_RDONLY | O_DIRECTORY);
	for (unsigned i = 0; i < t.file_count; i++) {
		struct file *f = &t.files[i];
		char part[128];
		int fd;

		for (const char *slash = f->path; (slash = strchr(slash, '/')); slash++) {
			snprintf(part, sizeof(part), "%.*s", (int)(slash - f->path), f->path);
			if (mkdirat(t.dirfd, part, 0700) < 0 && errno != EEXIST)
				die("cannot make", part);
		}
		fd = openat(t.dirfd, f->path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, f->bytes, f->size) != (ssize_t)f->size)
			die("cannot write", f->path);
		close(fd);
	}
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = 1;
}

static void work(unsigned worker, unsigned workers)
{
	make_copy();
	baseline("before");
	for (unsigned i = 0; i < t.file_count && !stopped; i++) {
		struct file *f = &t.files[i];
		uint8_t *changed;
		int fd;

		if (t.only && strcmp(t.only, f->path) != 0)
			continue;
		changed = malloc(f->size + 1);
		fd = openat(t.dirfd, f->path, O_WRONLY);
		if (fd < 0 || !changed)
			die("cannot open", f->path);
		memcpy(changed, f->bytes, f->size + 1);
		for (size_t at = 0; at < f->size && !stopped; at++) {
			if (at % ((size_t)workers * t.step) != (size_t)worker * t.step)
				continue; // the first byte of every file is in every sample
			if (at % TAIL_STEP != 0 && region_of(f, at) == UNSIGNED_TAIL)
				continue;
			for (int bit = 0; bit < 8; bit++) {
				changed[at] = f->bytes[at] ^ (uint8_t)(1u << bit);
				put(fd, changed[at], at);
				judge(f, at, bit, changed);
			}
			changed[at] = f->bytes[at];
			put(fd, changed[at], at);
		}
		close(fd);
		free(changed);
	}
	if (!stopped)
		baseline("after");
	close(t.dirfd);
	nftw(t.copy, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	exit(stopped ? 130 : 0);
}

int main(int argc, char **argv)
{
	unsigned workers;
	size_t bytes = 0;
	bool good = true;
	cpu_set_t set;
	int fd, status;

	if (argc < 3 || argc > 5) {
		fprintf(stderr, "usage: tamper_bits RECORDING ORIGIN.pub [STEP [FILE]]\n");
		return 2;
	}
	root_path = argv[1];
	t.step = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
	t.only = argc > 4 ? argv[4] : NULL;
	if (t.step == 0 || nftw(argv[1], load_file, 8, FTW_PHYS) != 0)
		die("cannot read", argv[1]);
	understand();
	fd = open(argv[2], O_RDONLY);
	if (fd < 0 || public_key_read_fd(fd, argv[2], t.origin, NULL) < 0)
		die("no public key:", argv[2]);
	close(fd);
	sums = mmap(NULL, sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sums == MAP_FAILED)
		die("no memory", "");
	for (unsigned i = 0; i < t.file_count; i++)
		bytes += t.files[i].size;
	workers = sched_getaffinity(0, sizeof(set), &set) == 0 ? 2 * (unsigned)CPU_COUNT(&set) : 2;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (unsigned i = 0; i < workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("cannot fork", "");
		if (pid == 0)
			work(i, workers);
	}
	while (wait(&status) > 0)
		good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	printf("%u files, %zu bytes, %" PRIu64 " flips, %" PRIu64 " not found\n", t.file_count, bytes, sums->flips,
	        sums->failed);
	for (int i = 0; i < REGIONS; i++)
		if (sums->allowed[i] > 0)
			printf("%" PRIu64 " flips without meaning: %s\n", sums->allowed[i], region_reasons[i]);
	return good && sums->failed == 0 && sums->flips > 0 ? 0 : 1;
}

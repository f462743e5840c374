// SPDX-License-Identifier: Apache-2.0
// `sealtap recover`: after a crash, states in recovery.json what there is. It changes nothing else: nobody can sign in
// the dead keeper's place, and what no progress covers stays marked as such for ever.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sensor/cli/cli.h"
#include "sensor/cli/origin.h"
#include "sensor/cli/segments_on.h"
#include "sensor/evidence/digest.h"
#include "sensor/evidence/keys.h"
#include "sensor/evidence/ledger_line.h"
#include "sensor/evidence/reader/limits.h"
#include "sensor/evidence/reader/recording_dir.h"
#include "sensor/evidence/reader/recovery_scan.h"
#include "sensor/evidence/write_all.h"
#include "sensor/ipc/roles.h"
#include "sensor/ipc/spawn.h"
#include "sensor/ipc/wire.h"

#define NAME "recovery.json"

static const char help[] =
        "usage: sealtap recover RECORDING [--key ORIGIN.key] [--segments-on DIR[,DIR]] [--json]\n"
        "\n"
        "After a crash: writes RECORDING/recovery.json, which states what was found whole and how far it was signed.\n"
        "Nothing else is changed. The recording then verifies with exit 4: what came after the last signed progress "
        "may\n"
        "have been changed or removed before. A recording that contradicts its own signatures is refused.\n"
        "\n"
        "  --key ORIGIN.key   sign the statement with the origin key, if its holder allows it\n"
        "  --segments-on DIR[,DIR]\n"
        "                     where the segments of a recording that was made onto several disks lie, in any order\n"
        "  --json             the outcome as JSON on stdout\n"
        "\n"
        "Exit: 0 written, or nothing to recover; 1 the recording is invalid; 2 usage, or it is being recorded, or was\n"
        "recovered before; 3 could not be read or written.\n";

static int still_recording(int dirfd)
{
	int fd = openat(dirfd, "ledger.jsonl", O_RDONLY | O_NOFOLLOW | O_CLOEXEC), busy;

	if (fd < 0)
		return 0; // the scan will say what is wrong
	busy = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return busy;
}

// The signer reads the key, signs this one statement and exits; the key never comes here.
static int sign(int key_fd, const struct recovery_scan *scan, const uint8_t statement[DIGEST_LEN],
        uint8_t out[ED25519_SIG_LEN], struct error *e)
{
	struct wire_sign request = {.purpose = WIRE_PURPOSE_RECOVERY};
	union wire_message m;
	int pair[2], r = wire_pair(pair);
	pid_t pid;

	if (r < 0)
		return error_set(e, r, "cannot make a socket: %s", strerror(-r));
	signal(SIGPIPE, SIG_IGN);
	r = spawn_role("sealtap-signer", (const int[]){key_fd, pair[1]}, 2, SIGNER_KEY_FD, false, &pid, e);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	r = wire_expect(pair[0], WIRE_ORIGIN, sizeof(m.origin), &m);
	if (r < 0) {
		r = error_set(e, -EKEYREJECTED, "the key could not be used");
	} else if (memcmp(m.origin.public_key, scan->report->origin_key, ED25519_KEY_LEN) != 0) {
		r = error_set(e, -EKEYREJECTED, "this key is not the origin key of the recording");
	} else {
		memcpy(request.recording_id, scan->report->recording_id, DIGEST_LEN);
		memcpy(request.subject, statement, DIGEST_LEN);
		r = wire_send(pair[0], WIRE_SIGN, &request, sizeof(request), -1);
		if (r == 0)
			r = wire_expect(pair[0], WIRE_SIGNATURE, sizeof(m.signature), &m);
		if (r < 0)
			error_set(e, r, "the signer did not sign: %s", strerror(-r));
		else
			memcpy(out, m.signature.signature, ED25519_SIG_LEN);
	}
	close(pair[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

// Whole under its name or not at all: a second crash must not leave half a statement.
static int write_statement(int dirfd, const char *text, size_t len)
{
	char self[64];
	int fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0640), r;
	bool named = fd < 0;

	if (named)
		fd = openat(dirfd, NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (r == 0 && !named && linkat(AT_FDCWD, self, dirfd, NAME, AT_SYMLINK_FOLLOW) < 0)
		r = -errno;
	if (r < 0 && named)
		unlinkat(dirfd, NAME, 0);
	if (r == 0)
		fsync(dirfd);
	close(fd);
	return r;
}

static int print_refusal(const char *path, const struct verify_report *report)
{
	enum verdict v = verify_report_verdict(report);

	for (size_t i = 0; i < report->finding_count; i++)
		if (report->findings[i].verdict == v)
			fprintf(stderr, "sealtap recover: %s at %s: expected %s, found %s\n", report->findings[i].code,
			        report->findings[i].where, report->findings[i].expected, report->findings[i].actual);
	segments_elsewhere_say("recover", report);
	return v == VERDICT_INVALID
	               ? cli_fail(
	                         CLI_INVALID, "recover", "%s contradicts its own signatures; nothing was written", path)
	               : cli_fail(CLI_UNREADABLE, "recover", "%s could not be read; nothing was written", path);
}

static void print_outcome(const char *path, const struct recovery_scan *scan, bool is_signed, bool json)
{
	uint64_t is_signed_packets = 0, packets = 0;
	char t[TIME_TEXT_MAX];

	for (size_t i = 0; i < scan->segment_count; i++) {
		is_signed_packets += scan->segments[i].signed_packets;
		packets += scan->segments[i].packets;
	}
	time_print(scan->report->covered_until_ns, t);
	if (json) {
		printf("{\"result\":\"recovered\",\"segments\":%zu,\"signed_packets\":%" PRIu64 ",\"packets\":%" PRIu64
		       ",\"covered_until\":\"%s\",\"signed\":%s}\n",
		        scan->segment_count, is_signed_packets, packets, t, is_signed ? "true" : "false");
		return;
	}
	printf("%s: wrote %s%s\n"
	       "  %zu segments were under way: %" PRIu64 " packets found whole, %" PRIu64
	       " of them signed before the crash\n"
	       "  anything after %s (seconds, UTC) may have been changed or removed before recovery\n",
	        path, NAME, is_signed ? ", signed by the origin key" : "", scan->segment_count, packets,
	        is_signed_packets, t);
}

static int recover(const char *path, const struct segments_on *on, const char *key, bool json)
{
	uint8_t statement[DIGEST_LEN], signature[ED25519_SIG_LEN];
	struct recovery_scan *scan = NULL;
	struct timespec now;
	struct error e = {0};
	json_t *object = NULL;
	char *text = NULL;
	struct recording_dir dir;
	int dirfd, key_fd = -1, r, code;
	enum verdict v;
	size_t len;

	r = recording_open(path, on->dir, on->count, &dir);
	if (r < 0)
		return cli_fail(CLI_UNREADABLE, "recover", "cannot open the recording %s: %s", path, strerror(-r));
	dirfd = dir.fd;
	code = CLI_USAGE;
	if (faccessat(dirfd, NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		cli_fail(code, "recover", "%s has a %s already; it is never written over", path, NAME);
		goto out;
	}
	if (still_recording(dirfd)) {
		cli_fail(code, "recover", "%s is being recorded; end that first", path);
		goto out;
	}
	if (key && origin_open(key, &key_fd, &e) < 0) {
		code = cli_fail(CLI_UNREADABLE, "recover", "%s", e.text);
		goto out;
	}
	r = recovery_scan(&dir, &scan);
	if (r < 0) {
		code = cli_fail(CLI_UNREADABLE, "recover", "%s: %s", path, strerror(-r));
		goto out;
	}
	v = verify_report_verdict(scan->report);
	if (v == VERDICT_INVALID || v == VERDICT_UNREADABLE) {
		code = print_refusal(path, scan->report);
		goto out;
	}
	if (scan->report->closed) {
		printf("%s is closed: there is nothing to recover\n", path);
		code = CLI_OK;
		goto out;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	object = recovery_statement(scan, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	text = object ? ledger_line_print(object, RECOVERY_MAX, &len) : NULL;
	if (text && key) {
		digest_once(text, len, statement);
		r = sign(key_fd, scan, statement, signature, &e);
		if (r < 0) {
			code = cli_fail(CLI_USAGE, "recover", "%s; nothing was written", e.text);
			goto out;
		}
		json_object_set_new(object, "origin_signature", json_hex(signature, sizeof(signature)));
		free(text);
		text = ledger_line_print(object, RECOVERY_MAX, &len);
	}
	r = text ? write_statement(dirfd, text, len) : -ENOMEM;
	if (r < 0) {
		code = cli_fail(CLI_UNREADABLE, "recover", "cannot write %s/%s: %s", path, NAME, strerror(-r));
		goto out;
	}
	print_outcome(path, scan, key != NULL, json);
	code = CLI_OK;
out:
	free(text);
	json_decref(object);
	recovery_scan_free(scan);
	if (key_fd >= 0)
		close(key_fd);
	recording_close(&dir);
	return code;
}

int verb_recover(int argc, char **argv)
{
	static const struct option options[] = {{"key", required_argument, NULL, 'k'}, {"json", no_argument, NULL, 'j'},
	        {"segments-on", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *key = NULL;
	struct segments_on on = {.count = 0};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "k:h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout), CLI_OK;
		if (c == 'k')
			key = optarg;
		else if (c == 's' && segments_on_add(&on, "recover", optarg) == CLI_OK)
			continue;
		else if (c == 'j')
			json = true;
		else
			return fputs("sealtap recover --help lists the options\n", stderr), CLI_USAGE;
	}
	if (argc - optind != 1)
		return cli_fail(CLI_USAGE, "recover", "which recording? sealtap recover RECORDING [--key ORIGIN.key]");
	return recover(argv[optind], &on, key, json);
}

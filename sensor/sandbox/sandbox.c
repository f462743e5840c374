// SPDX-License-Identifier: Apache-2.0
#include "sensor/sandbox/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sensor/sandbox/landlock.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// What libc and OpenSSL need to run, clocks, memory, threads' locks, files that are open, sockets that are open.
static const int common_calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(write),
        SCMP_SYS(close),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(lseek),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(sendmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(recvfrom),
        SCMP_SYS(mmap),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(mprotect),
        SCMP_SYS(madvise),
        SCMP_SYS(brk),
        SCMP_SYS(mlock),
        SCMP_SYS(mlock2),
        SCMP_SYS(munlock),
        SCMP_SYS(futex),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getrandom),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(sched_yield),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(tgkill),
        SCMP_SYS(getuid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getegid),
        SCMP_SYS(fcntl),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(prlimit64),
        SCMP_SYS(uname),
};

static const int keeper_calls[] = {
        SCMP_SYS(openat),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(fstatfs),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(flock),
        SCMP_SYS(adjtimex),
        SCMP_SYS(clock_adjtime),
};

static const int flowlog_calls[] = {
        SCMP_SYS(openat),
        SCMP_SYS(fsync),
        SCMP_SYS(sync_file_range),
        SCMP_SYS(ftruncate),
        SCMP_SYS(unlinkat),
};

// Of a recording, file by file as its ledger names them.
static const int reader_calls[] = {
        SCMP_SYS(openat),
        SCMP_SYS(openat2),
        SCMP_SYS(pread64),
        SCMP_SYS(getdents64),
};

// Of a reader that keeps what it finds: files appear under a name of their own, and then under theirs.
static const int reader_keeps_calls[] = {
        SCMP_SYS(mkdir),
        SCMP_SYS(mkdirat),
        SCMP_SYS(renameat),
        SCMP_SYS(unlinkat),
};

// Files that a recording was made from are read by what `ingest` reads them with, which can be woken.
static const int verifier_calls[] = {
        SCMP_SYS(eventfd2),
        SCMP_SYS(sched_getaffinity),
};

static const int recorder_calls[] = {
        SCMP_SYS(openat),
        SCMP_SYS(pread64),
        SCMP_SYS(pwrite64),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(mkdirat),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(prctl),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(sched_setaffinity),
        SCMP_SYS(getcpu),
        SCMP_SYS(sched_getparam),
        SCMP_SYS(sched_getscheduler),
        SCMP_SYS(fstatfs),
        SCMP_SYS(fadvise64),
        SCMP_SYS(bind),
        SCMP_SYS(getsockname),
        SCMP_SYS(unlinkat),
};

static const int inspector_calls[] = {
        SCMP_SYS(getppid),
        SCMP_SYS(sched_getaffinity),
};

// What DPDK's interrupt thread and PMDs need besides: the thread waits by epoll; link, stop and statistics of a NIC are
// reads, writes and ioctls of descriptors that are open. rte_thread_register asks for each processor's node (access).
static const int recorder_threads_calls[] = {
        SCMP_SYS(epoll_wait),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(eventfd2),
        SCMP_SYS(timerfd_settime),
        SCMP_SYS(ioctl),
        SCMP_SYS(readv),
        SCMP_SYS(writev),
        SCMP_SYS(access),
};

// Connections over TCP that are accepted, a thread for them, control sockets. unlinkat is what removes the sockets of
// dead runs: Landlock forbids it, and without Landlock it does what `status` does.
static const int metrics_calls[] = {
        SCMP_SYS(accept4),
        SCMP_SYS(getsockname),
        SCMP_SYS(eventfd2),
        SCMP_SYS(connect),
        SCMP_SYS(shutdown),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(getdents64),
        SCMP_SYS(faccessat),
        SCMP_SYS(faccessat2),
        SCMP_SYS(unlinkat),
};

// Connections, names by DNS (the resolver asks the kernel for addresses by netlink and sends queries by sendmmsg),
// librdkafka's threads and the pipes that wake them. openat2 is the reader's of flow files.
static const int exporter_calls[] = {
        SCMP_SYS(openat2),
        SCMP_SYS(pread64),
        SCMP_SYS(getdents64),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(shutdown),
        SCMP_SYS(getsockname),
        SCMP_SYS(getpeername),
        SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt),
        SCMP_SYS(sendmmsg),
        SCMP_SYS(ioctl),
        SCMP_SYS(pipe2),
        SCMP_SYS(prctl),
        SCMP_SYS(sched_getaffinity),
};

// What the sanitizers' run-time needs besides: reading /proc, its own threads, writing reports.
static const int sanitizer_calls[] = {
        SCMP_SYS(openat),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(clone),
        SCMP_SYS(prctl),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(getdents64),
        SCMP_SYS(pipe2),
        SCMP_SYS(wait4),
        SCMP_SYS(arch_prctl),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(ioctl),
        SCMP_SYS(set_tid_address),
        SCMP_SYS(ptrace),
        SCMP_SYS(open),
        SCMP_SYS(getdents),
        SCMP_SYS(getppid),
        SCMP_SYS(dup),
        SCMP_SYS(stat),
        SCMP_SYS(access),
};

// Where libc looks for names, and OpenSSL for the system's certificates at each connection. /etc is open whole, for its
// files are replaced: the user of the role reads there what everybody may.
static const char *const exporter_paths[] = {"/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
        "/lib", "/usr/lib", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
        "/proc"}; // the last one for sanitizers only

// A role that tries one of these has been taken over: it ends. Everything else unknown gets ENOSYS and a log line, for
// a new libc must not end a recording.
static const int deadly_calls[] = {
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(ptrace),
        SCMP_SYS(mount),
};

static int allow(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = seccomp_rule_add(ctx, action, calls[i], 0);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}
#define ALLOW(ctx, action, list) allow(ctx, action, list, sizeof(list) / sizeof((list)[0]))

static bool reads(enum sandbox_role role)
{
	return role == SANDBOX_READER || role == SANDBOX_VERIFIER;
}

static bool has_threads(enum sandbox_role role)
{
	return role == SANDBOX_RECORDER || role == SANDBOX_RECORDER_THREADS || role == SANDBOX_INSPECTOR ||
	       role == SANDBOX_METRICS || role == SANDBOX_EXPORTER || role == SANDBOX_VERIFIER;
}

// Directories may be opened, to be listed, and sockets made that reach nobody outside this machine.
static int allow_metrics(scmp_filter_ctx ctx)
{
	int r = ALLOW(ctx, SCMP_ACT_ALLOW, metrics_calls);

	if (r == 0 && !SANITIZED)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		        SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_DIRECTORY, O_RDONLY | O_DIRECTORY));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
	return r;
}

// Files may be opened for reading, and sockets made that reach IP or ask the kernel for addresses. Others are refused:
// libc asks for a name service's (AF_UNIX) in good faith.
static int allow_exporter(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
	int r = ALLOW(ctx, SCMP_ACT_ALLOW, exporter_calls);

	if (r == 0 && !SANITIZED)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		        SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT, O_RDONLY));
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++)
		r = seccomp_rule_add(
		        ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	return r;
}

static int seccomp_enter(const struct sandbox *s)
{
	const enum sandbox_role role = s->role;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!ctx)
		return -ENOMEM;
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	r = ALLOW(ctx, SCMP_ACT_ALLOW, common_calls);
	if (r == 0 && role == SANDBOX_KEEPER)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, keeper_calls);
	if (r == 0 && role == SANDBOX_FLOWLOG)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, flowlog_calls);
	if (r == 0 && reads(role))
		r = ALLOW(ctx, SCMP_ACT_ALLOW, reader_calls);
	if (r == 0 && reads(role) && s->write_dir_count > 0)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, reader_keeps_calls);
	if (r == 0 && role == SANDBOX_VERIFIER)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, verifier_calls);
	// No other processes. clone3, whose flags no filter sees, is refused: libc takes clone then.
	if (r == 0 && has_threads(role) && !SANITIZED)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0 && role == SANDBOX_INSPECTOR)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, inspector_calls);
	if (r == 0 && (role == SANDBOX_RECORDER || role == SANDBOX_RECORDER_THREADS))
		r = ALLOW(ctx, SCMP_ACT_ALLOW, recorder_calls);
	// Threads lower their own priority. To raise it they have no right any more.
	if (r == 0 && (role == SANDBOX_RECORDER || role == SANDBOX_RECORDER_THREADS))
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2, SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS),
		        SCMP_A1(SCMP_CMP_EQ, 0));
	if (r == 0 && role == SANDBOX_RECORDER_THREADS) {
		r = ALLOW(ctx, SCMP_ACT_ALLOW, recorder_threads_calls);
		// Some PMDs ask for a socket in good faith when a port stops: refused, and no reason to end.
		if (r == 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0);
	}
	if (r == 0 && role == SANDBOX_METRICS)
		r = allow_metrics(ctx);
	if (r == 0 && role == SANDBOX_EXPORTER)
		r = allow_exporter(ctx);
	if (r == 0 && SANITIZED)
		r = ALLOW(ctx, SCMP_ACT_ALLOW, sanitizer_calls);
	if (r == 0)
		r = ALLOW(ctx, SCMP_ACT_KILL_PROCESS, deadly_calls); // what stands in a list above stays allowed
	if (r == 0 && role != SANDBOX_METRICS && role != SANDBOX_RECORDER_THREADS && role != SANDBOX_EXPORTER)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

static void drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap);
}

// keep: capabilities that stay, of those that are there.
static int drop_user(uint32_t uid, uint32_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct had[2] = {0}, left[2] = {0};

	// First, for it takes a capability that the change of user takes away.
	drop_bounding_set();
	if (uid != UINT32_MAX &&
	        (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
		return -errno;
	// Without a change of user the capabilities go all the same.
	if (keep != 0 && syscall(SYS_capget, &header, had) == 0)
		left[0].permitted = left[0].effective = had[0].permitted & keep;
	return syscall(SYS_capset, &header, left) < 0 ? -errno : 0;
}

int sandbox_before_threads(const struct sandbox *s, struct error *e)
{
	int r;

	drop_bounding_set();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	r = landlock_restrict_writing(s->write_dirs, s->write_dir_count);
	if (r < 0 && r != -ENOTSUP)
		return error_set(e, r, "cannot close the file system for writing (Landlock): %s", strerror(-r));
	return 0;
}

static int restrict_reader(const struct sandbox *s)
{
	const char *paths[sizeof(s->read_paths) / sizeof(s->read_paths[0]) + 1];
	unsigned count = 0;

	for (unsigned i = 0; i < sizeof(s->read_paths) / sizeof(s->read_paths[0]); i++)
		if (s->read_paths[i])
			paths[count++] = s->read_paths[i];
	if (SANITIZED)
		paths[count++] = "/proc";
	return landlock_restrict_reading(&(struct landlock_reading){.read_dirs = s->read_dirs,
	        .read_dir_count = s->read_dir_count,
	        .paths = paths,
	        .path_count = count,
	        .write_dirs = s->write_dirs,
	        .write_dir_count = s->write_dir_count});
}

int sandbox_enter(const struct sandbox *s, struct error *e)
{
	const struct rlimit none = {0, 0};
	int r;

	setrlimit(RLIMIT_CORE, &none);
	if (!has_threads(s->role) && !SANITIZED)
		setrlimit(RLIMIT_NPROC, &none);
	// A recording belongs to whoever made it; root may read it all the same, and reach the socket of its capture.
	r = drop_user(s->uid, reads(s->role)               ? 1u << CAP_DAC_READ_SEARCH
	                      : s->role == SANDBOX_METRICS ? 1u << CAP_DAC_OVERRIDE
	                                                   : 0);
	if (r < 0)
		return error_set(e, r, "cannot give up privileges: %s", strerror(-r));
	prctl(PR_SET_DUMPABLE, SANITIZED); // LeakSanitizer must be able to look at its own process
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	if (reads(s->role))
		r = restrict_reader(s);
	else if (s->role == SANDBOX_EXPORTER)
		r = landlock_restrict_reading(&(struct landlock_reading){.read_dirs = s->read_dirs,
		        .read_dir_count = s->read_dir_count,
		        .paths = exporter_paths,
		        .path_count = sizeof(exporter_paths) / sizeof(exporter_paths[0]) - !SANITIZED});
	else if (s->role == SANDBOX_METRICS)
		r = landlock_restrict_listing(
		        s->list_dirs, sizeof(s->list_dirs) / sizeof(s->list_dirs[0]), SANITIZED ? "/proc" : NULL);
	else
		r = landlock_restrict(s->write_dirs, s->write_dir_count, SANITIZED ? "/proc" : NULL);
	if (r == -ENOTSUP && !s->quiet)
		fprintf(stderr,
		        "sealtap: this kernel has no Landlock; files are protected by user id and seccomp only\n");
	else if (r < 0 && r != -ENOTSUP)
		return error_set(e, r, "cannot close the file system (Landlock): %s", strerror(-r));
	r = seccomp_enter(s);
	if (r < 0)
		return error_set(e, r, "cannot filter system calls (seccomp): %s", strerror(-r));
	return 0;
}

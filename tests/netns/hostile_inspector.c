// SPDX-License-Identifier: Apache-2.0
// Takes the place of sealtap-inspector, as one that has been taken over would: it does what $HOSTILE says with the
// descriptors that the supervisor gives it, before any sandbox. What it could not do it says on standard error, which
// the test reads.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sensor/ipc/flow_stream.h"
#include "sensor/ipc/loan.h"
#include "sensor/ipc/roles.h"

static struct loans *loans;
static struct loan_reply *reply;

static void rest(long ns)
{
	nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

static uint64_t random64(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void say_all(uint32_t done)
{
	for (unsigned i = 0; i < LOAN_WORKERS_MAX; i++)
		atomic_store(&reply->worker[i].done, done);
}

static void holds(void) // what it has, for ever
{
	for (;;)
		rest(1000000000);
}

static void slow(void) // one loan in a second and a half: always headway
{
	for (uint32_t done = atomic_load(&loans->first);; done++) {
		while (done == atomic_load(&loans->tail))
			rest(1000000);
		rest(1500000000);
		say_all(done + 1);
	}
}

static void ahead(void) // gives back what it was not lent
{
	while (atomic_load(&loans->tail) == atomic_load(&loans->first))
		rest(1000000);
	say_all(atomic_load(&loans->tail) + 100);
	holds();
}

static void scribbles(void) // anything, anywhere
{
	uint8_t *at = (uint8_t *)reply;

	for (;;) {
		uint64_t r = random64();

		at[r % sizeof(*reply)] = (uint8_t)(r >> 56);
	}
}

static void floods(void) // the flow log, with what is no message
{
	static uint8_t junk[65536];
	uint32_t done = atomic_load(&loans->first);

	for (;;) {
		struct flow_stream_header h = {.type = (uint32_t)random64() % 4, .count = (uint32_t)random64() % 1000};
		size_t len = random64() % 3000;

		for (size_t i = 0; i < len; i++)
			junk[i] = (uint8_t)random64();
		if (len >= sizeof(h))
			memcpy(junk, &h, sizeof(h));
		if (send(INSPECTOR_FLOWS_FD, junk, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
			rest(1000000);
		done = atomic_load(&loans->tail);
		say_all(done);
	}
}

// That the connection of SSH of test_capture_cutoff_apps has a cutoff, and that so have flows that nobody has seen.
static void names(void)
{
	static const uint8_t frame[54] = {[12] = 8,
	        [14] = 0x45,
	        [17] = 40,
	        [23] = SHUNT_PROTO_TCP,
	        [26] = 10,
	        [27] = 1,
	        [29] = 1,
	        [30] = 10,
	        [31] = 1,
	        [33] = 2,
	        [34] = 40001 >> 8,
	        [35] = 40001 & 255,
	        [37] = 22,
	        [46] = 0x50};
	struct loan_claims *to = &reply->claims[0];
	struct shunt_frame ssh;

	if (!shunt_read(frame, frame + sizeof(frame), 0, 0, &ssh))
		return;
	for (uint32_t told = 0;;) {
		struct loan_claim *v = &to->ring[told & (LOAN_CLAIMS - 1)];
		struct timespec now;

		say_all(atomic_load(&loans->tail));
		if (told - atomic_load(&loans->heard[0]) >= LOAN_CLAIMS) {
			rest(1000000);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &now);
		*v = (struct loan_claim){.key = ssh.key,
		        .ns = random64() % 4 ? (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec : random64()};
		if (random64() % 2)
			((uint8_t *)&v->key)[random64() % sizeof(v->key)] = (uint8_t)random64();
		atomic_store(&to->told, ++told);
	}
}

// Loans and blocks cannot be written, nor the pool be made smaller.
static void writes(void)
{
	const int fds[] = {INSPECTOR_LOANS_FD, INSPECTOR_POOL_FD};

	for (unsigned i = 0; i < 2; i++) {
		void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);

		fprintf(stderr, "hostile: mapping descriptor %d for writing: %s\n", fds[i],
		        at == MAP_FAILED ? strerror(errno) : "done");
		at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], 0);
		fprintf(stderr, "hostile: making it writable: %s\n",
		        at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_WRITE) < 0 ? strerror(errno) : "done");
		fprintf(stderr, "hostile: writing to it: %s\n", write(fds[i], "x", 1) < 0 ? strerror(errno) : "done");
		fprintf(stderr, "hostile: cutting it: %s\n", ftruncate(fds[i], 0) < 0 ? strerror(errno) : "done");
	}
	fprintf(stderr, "hostile: cutting the reply: %s\n",
	        ftruncate(INSPECTOR_REPLY_FD, 0) < 0 ? strerror(errno) : "done");
	holds();
}

int main(void)
{
	static const struct {
		const char *name;
		void (*play)(void);
	} plays[] = {{"holds", holds}, {"slow", slow}, {"ahead", ahead}, {"scribbles", scribbles}, {"floods", floods},
	        {"names", names}, {"writes", writes}};
	const char *name = getenv("HOSTILE");
	struct error e;
	uint32_t self;

	if (!name || loans_map(INSPECTOR_LOANS_FD, false, &loans, &e) < 0 ||
	        loan_reply_map(INSPECTOR_REPLY_FD, true, &reply, &e) < 0)
		return 2;
	self = atomic_load(&reply->inspector);
	while (atomic_load(&loans->attached) != self)
		rest(1000000);
	atomic_store(&reply->ready, self);
	say_all(atomic_load(&loans->first));
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
		if (strcmp(plays[i].name, name) == 0)
			plays[i].play();
	return 2;
}

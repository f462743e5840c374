// SPDX-License-Identifier: Apache-2.0
// Stops single threads of another process, which a signal cannot: `hold_threads TID...` says "held" on stdout once each
// stands still, and lets them go on when its standard input ends. They go on too when it dies.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;

	for (int i = 1; i < argc; i++) {
		pid_t tid = (pid_t)atoi(argv[i]);

		if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ||
		        waitpid(tid, NULL, __WALL) != tid) {
			fprintf(stderr, "hold_threads: %d: %s\n", (int)tid, strerror(errno));
			return 1;
		}
	}
	printf("held\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0; // a tracer that ends lets go of what it has seized
}

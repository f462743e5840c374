// SPDX-License-Identifier: Apache-2.0
// What is wrong with this machine for lossless evidence: findings, and the groups of checks that make them. Runs in
// `sealtap doctor`; reads the machine, and changes nothing but a file without a name that disk_check writes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum finding_state { FINDING_OK, FINDING_WARN, FINDING_BAD, FINDING_UNKNOWN };

struct finding {
	const char *name; // one word, stable: scripts look for it
	enum finding_state state;
	char what[256];    // what was found
	const char *why;   // why it matters for evidence
	char command[192]; // what mends it; empty when nothing needs to be mended, or no command does
};

#define FINDINGS_MAX 48u

struct doctor {
	const char *interface; // or a PCI address, as DPDK takes it
	bool pci;
	const char *directory; // where recordings shall lie, or NULL
	bool busy_poll;        // the capture will be one with --busy-poll
	int fd;                // any socket, for ioctl
	int64_t link_mbit;     // -1: unknown
	char driver[32];       // of the interface
	struct finding finding[FINDINGS_MAX];
	unsigned count;
};

// The command is empty until finding_mend says one.
struct finding *finding_add(struct doctor *d, const char *name, enum finding_state state, const char *why,
        const char *what, ...) __attribute__((format(printf, 5, 6)));
void finding_mend(struct finding *f, const char *command, ...) __attribute__((format(printf, 2, 3)));
const char *finding_state_name(enum finding_state state);

// First line of a file without its end, or a negative errno.
int doctor_read_line(const char *path, char *out, size_t size);

bool doctor_pci_address(const char *name); // of a device that there is

void link_check(struct doctor *d); // sets link_mbit and driver, so it comes first
void offload_check(struct doctor *d);
void queue_check(struct doctor *d);
void busy_poll_check(struct doctor *d);
void pci_check(struct doctor *d); // of a PCI address sets driver
void core_check(struct doctor *d);
void clock_check(struct doctor *d);
void machine_check(struct doctor *d);
void disk_check(struct doctor *d);

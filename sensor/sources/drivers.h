// SPDX-License-Identifier: Apache-2.0
// The table of live drivers: one line each, those that this build has. Any process; pure.
#pragma once

#include "sealtap/source.h"

struct live_driver {
	const char *name; // of --driver, and the kind in the ledger's `open`
	// Opens an interface: the number of sources, one per RX thread, or a negative errno with e and none of them
	// open.
	int (*open)(const struct source_live_config *config, struct source **ret_sources, struct error *e);
	unsigned tap;     // enum tap, both when the device decides
	bool busy_polls;  // can do without sleep
	bool nic_time;    // can be asked for the NIC's time stamps
	bool own_threads; // open starts threads of its own: part of the sandbox has to close before it
};

// One table per program, ended by an entry without a name: drivers.c in the library, unless the program brings one
// itself, as sealtap-recorder-dpdk does (drivers_dpdk.c). Nothing else stands in those files: the linker takes the
// library's only where none is there.
extern const struct live_driver live_drivers[];

// NULL when this build has no such driver.
const struct live_driver *live_driver_find(const char *name);
// Refuses what the driver cannot do, and names those that can: -ENOTSUP.
int live_driver_check(const struct live_driver *d, const struct source_live_config *config, struct error *e);
// Names of all, separated by ", ".
const char *live_driver_names(void);

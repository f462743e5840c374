// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sensor/sandbox/sandbox.h"

void sandbox_supervisor(void)
{
	static const int unused[] = {CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_TIME, CAP_SYS_PACCT,
	        CAP_SYS_CHROOT, CAP_SYS_TTY_CONFIG, CAP_SYSLOG, CAP_MKNOD, CAP_LEASE, CAP_LINUX_IMMUTABLE,
	        CAP_IPC_OWNER, CAP_SETFCAP, CAP_MAC_ADMIN, CAP_MAC_OVERRIDE, CAP_AUDIT_READ, CAP_AUDIT_WRITE,
	        CAP_AUDIT_CONTROL, CAP_WAKE_ALARM, CAP_BLOCK_SUSPEND, CAP_NET_BIND_SERVICE, CAP_NET_BROADCAST};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];

	if (syscall(SYS_capget, &header, caps) < 0)
		return;
	for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
		struct __user_cap_data_struct *c = &caps[unused[i] / 32];
		uint32_t others = ~(1u << (unused[i] % 32));

		prctl(PR_CAPBSET_DROP,
		        unused[i]); // started without root: it cannot, and what it starts gets none either
		c->permitted &= others;
		c->effective &= others;
		c->inheritable &= others;
	}
	syscall(SYS_capset, &header, caps);
}

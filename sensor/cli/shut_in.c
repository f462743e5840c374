// SPDX-License-Identifier: Apache-2.0
#include "sensor/cli/shut_in.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sensor/evidence/digest.h"

int shut_in(const struct sandbox *s, const struct recording_dir *const *dirs, size_t count, struct error *e)
{
	int *fds = malloc((count * PLACES_MAX + 1) * sizeof(*fds));
	struct sandbox sandbox = *s;
	int r = fds ? digest_init() : -ENOMEM; // OpenSSL opens its configuration

	if (r < 0) {
		free(fds);
		return error_set(e, r, "cannot begin: %s", strerror(-r));
	}
	json_object_seed(0); // opens /dev/urandom
	tzset();
	for (size_t i = 0; i < count; i++)
		sandbox.read_dir_count += recording_dir_fds(dirs[i], fds + sandbox.read_dir_count);
	sandbox.read_dirs = fds;
	sandbox.uid = UINT32_MAX;
	r = sandbox_enter(&sandbox, e);
	free(fds);
	return r;
}

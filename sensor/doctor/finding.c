// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sensor/doctor/doctor.h"

struct finding *finding_add(
        struct doctor *d, const char *name, enum finding_state state, const char *why, const char *what, ...)
{
	struct finding *f = &d->finding[d->count++];
	va_list args;

	assert(d->count <= FINDINGS_MAX);
	f->name = name;
	f->state = state;
	f->why = why;
	f->command[0] = '\0';
	va_start(args, what);
	vsnprintf(f->what, sizeof(f->what), what, args);
	va_end(args);
	return f;
}

void finding_mend(struct finding *f, const char *command, ...)
{
	va_list args;

	va_start(args, command);
	vsnprintf(f->command, sizeof(f->command), command, args);
	va_end(args);
}

const char *finding_state_name(enum finding_state state)
{
	static const char *const names[] = {"ok", "warn", "bad", "unknown"};

	return names[state];
}

int doctor_read_line(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");
	int r = 0;

	if (!file)
		return -errno;
	if (!fgets(out, (int)size, file))
		r = errno ? -errno : -ENODATA;
	else
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
	return r;
}

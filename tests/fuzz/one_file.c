// SPDX-License-Identifier: Apache-2.0
// Runs the files it is given, and those of directories, through a fuzz target, one after the other. Exit 0 when all of
// them went through, 1 when there was none; a target that is not content aborts.
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned ran;

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t size = 0, room = 1 << 16, n;
	uint8_t *data = malloc(room), *exact;

	MUST(f && data);
	while ((n = fread(data + size, 1, room - size, f)) > 0) {
		size += n;
		if (size == room)
			MUST((data = realloc(data, room *= 2)));
	}
	fclose(f);
	exact = malloc(size ? size : 1); // so that a sanitizer sees the first byte beyond
	MUST(exact);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	ran++;
}

static void run_path(const char *path)
{
	struct dirent *e;
	struct stat st;
	char name[4096];
	DIR *dir;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	dir = opendir(path);
	MUST(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		run_path(name);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%u inputs\n", ran);
	return ran > 0 ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
#include "sensor/exporter/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzers/flow_parse.h"

#define LINES_AT_ONCE 1024u // that are no records

struct spool {
	int flows_fd;
	struct flow_file *file;
	uint64_t malformed;
};

int spool_open(int flows_fd, const struct flow_position *from, struct spool **ret_spool)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s || flow_file_new(flows_fd, true, &s->file) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->flows_fd = flows_fd;
	flow_file_seek(s->file, from);
	*ret_spool = s;
	return 0;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	flow_file_free(s->file);
	free(s);
}

// The record in a line. 1; 0: it is about something else; -EBADMSG.
static int record_of(const char *line, size_t line_len, uint8_t packed[FLOW_PACKED_MAX], size_t *ret_len)
{
	json_t *object = flow_line_load(line, line_len);
	struct flow_record record;
	int r = 0;

	if (!object)
		return -EBADMSG;
	if (flow_line_is(object, "flow")) {
		r = flow_parse(object, &record);
		if (r == 0)
			r = flow_pack(&record, packed);
		if (r > 0)
			*ret_len = (size_t)r;
		r = r > 0 ? 1 : -EBADMSG;
	}
	json_decref(object);
	return r;
}

int spool_next(struct spool *s, uint8_t packed[FLOW_PACKED_MAX], size_t *ret_len, struct flow_position *ret_after)
{
	for (unsigned i = 0; i < LINES_AT_ONCE; i++) {
		const char *line;
		size_t line_len;
		int r = flow_file_next(s->file, &line, &line_len);

		if (r == -EBADMSG || r == -ELOOP || r == -EMEDIUMTYPE) { // or no file
			s->malformed++;
			flow_file_skip(s->file);
			return -EBADMSG;
		}
		if (r < 0) { // it stays until it is taken back
			struct flow_position at;

			flow_file_position(s->file, &at);
			flow_file_seek(s->file, &at);
			return r;
		}
		if (r == 0)
			return 0;
		r = record_of(line, line_len, packed, ret_len);
		if (r == 1) {
			flow_file_position(s->file, ret_after);
			return 1;
		}
		s->malformed += r < 0;
	}
	return -EAGAIN;
}

uint64_t spool_malformed(const struct spool *s)
{
	return s->malformed;
}

uint64_t spool_behind(const struct spool *s)
{
	int fd = openat(s->flows_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct flow_position at;
	struct dirent *entry;
	uint64_t behind = 0;
	uint32_t number;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	flow_file_position(s->file, &at);
	while ((entry = readdir(dir))) {
		if (!flow_file_number(entry->d_name, &number) || number < at.number ||
		        fstatat(s->flows_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (number > at.number)
			behind += (uint64_t)st.st_size;
		else if ((uint64_t)st.st_size > at.offset)
			behind += (uint64_t)st.st_size - at.offset;
	}
	closedir(dir);
	return behind;
}

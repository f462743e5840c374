// SPDX-License-Identifier: Apache-2.0
// Hands out the lines of ledger.jsonl one by one from a fixed buffer. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_file {
	int fd;
	char *buffer;
	size_t from, until;
	bool eof;
	uint64_t offset; // of the next line in the file
	uint64_t limit;  // bytes of the file that are read: its size when it was opened
};

int ledger_file_open(int dirfd, struct ledger_file *ret_file);
// Reads on up to the size that the file has now.
void ledger_file_grow(struct ledger_file *f);
void ledger_file_close(struct ledger_file *f);
// 1 and a line with its LF at line[len - 1], valid until the next call; 0 at the end; -ENODATA: the file ends without
// LF; -EBADMSG: no LF within the longest line; another errno of read().
int ledger_file_next(struct ledger_file *f, const char **ret_line, size_t *ret_len);

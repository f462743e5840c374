// SPDX-License-Identifier: Apache-2.0
// Lines of the flow files of a recording (docs/evidence-format.md, section 9), also of those that are being written:
// whole zstd frames are handed out as they come, and each is a number of whole lines. Memory is bounded and nothing is
// taken on trust. What the lines say is not looked at. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLOW_FILE_NAME_MAX 32
void flow_file_name(uint32_t number, char out[FLOW_FILE_NAME_MAX]); // below flows/
// The number of a file of this name; false: it is not a flow file's.
bool flow_file_number(const char *name, uint32_t *ret_number);
// The least number from `from` on that flows/ has a file of: 1, 0 when there is none, or a negative errno.
int flow_file_first(int flows_fd, uint32_t from, uint32_t *ret_number);

// Which line is next. To be kept by whoever wants to go on from there later; all zero is the beginning.
struct flow_position {
	uint32_t number; // of the file
	uint32_t line;   // in the frame, from 0
	uint64_t offset; // of the frame, in stored bytes
};

struct flow_file;

// flows_fd: the directory flows/, borrowed. follow: from a file's end on to the next one, when that has begun.
// 0 or -ENOMEM.
int flow_file_new(int flows_fd, bool follow, struct flow_file **ret_file);
void flow_file_free(struct flow_file *f);
// Goes to a place; takes back an error.
void flow_file_seek(struct flow_file *f, const struct flow_position *position);
void flow_file_position(const struct flow_file *f, struct flow_position *ret_position);
// 1 and the next line, without its LF, valid until the next call. 0: no more yet; who follows asks again later.
// -EBADMSG: what comes is no frame of whole lines, or has not the line that was sought. Or an errno of opening and
// reading. An error stays until flow_file_seek or flow_file_skip.
int flow_file_next(struct flow_file *f, const char **ret_line, size_t *ret_len);
// Leaves this file behind.
void flow_file_skip(struct flow_file *f);
// Bytes behind what was handed out that are no whole frame: after 0 at the end of a file to which nothing more comes,
// it was cut off there.
uint64_t flow_file_torn(const struct flow_file *f);
// When following: files left behind with bytes of an incomplete frame at their end, and numbers without a file.
uint64_t flow_file_torn_files(const struct flow_file *f);
uint64_t flow_file_missing_files(const struct flow_file *f);
const char *flow_file_reason(const struct flow_file *f); // of -EBADMSG, for people

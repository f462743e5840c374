// SPDX-License-Identifier: Apache-2.0
// Indexes that this user has made of recordings: below the cache directory, by recording, lane and segment. Readers
// never write into a recording. All of it may be deleted at any time; what is absent, of another file or damaged is
// made again by the next reading. One thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "analyzers/segment_index.h"
#include "sensor/evidence/reader/segment_list.h"

struct index_cache {
	int dirfd; // of this recording; -1: there is none, nothing is found and nothing kept
};

// The directory below which all of them are, made when it is not there, for a sandbox's rule; or a negative errno.
int index_cache_root(void);
// 0 or a negative errno.
int index_cache_open(struct index_cache *c, const uint8_t recording_id[DIGEST_LEN]);
void index_cache_close(struct index_cache *c);
// The index of a sealed segment, or NULL; to be freed.
uint8_t *index_cache_get(struct index_cache *c, uint32_t lane, uint32_t segment, size_t *ret_len);
// Keeps one, whole or not at all. 0 or a negative errno: that it could not be kept costs time and nothing else.
int index_cache_put(struct index_cache *c, uint32_t lane, uint32_t segment, const uint8_t *data, size_t len);
// Deletes those of segments that the recording has given up.
void index_cache_prune(struct index_cache *c, const struct segment_list *list);

// SPDX-License-Identifier: Apache-2.0
// Owns the classic pcap format: microseconds and nanoseconds, both byte orders, old versions, the modified variants.
// One thread: RX of the recorder, or the verifier; parses in place out of the stream's window.
// Must not copy packets nor move the window.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sensor/sources/file/input_stream.h"
#include "sensor/sources/file/source_file.h"

// Where the lengths stand in a record header (libpcap: they changed places with version 2.3, and not always).
enum pcap_lengths { LENGTHS_CAPLEN_FIRST, LENGTHS_ORIGLEN_FIRST, LENGTHS_GREATER_IS_ORIGLEN };

struct pcap_reader {
	bool big_endian;
	bool header_done;
	uint32_t unit_ns; // of the fraction of a second
	uint32_t file_header_len, record_header_len;
	enum pcap_lengths lengths;
};

// True when the first 4 bytes are of a known variant.
bool pcap_magic_known(const uint8_t magic[4]);

// Up to max packets out of the window. 0: see the report. Adds its lane and the format's text to s when the header is
// read; a negative errno when that fails.
int pcap_reader_batch(struct pcap_reader *r, struct source *s, struct input_stream *in, struct packet *batch,
        unsigned max, struct reader_report *report);

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Of a pcapng of one interface on standard input: how many frames come more than LEAST ns after the one before, in order
# of time. `frame_gaps.py LEAST`
import struct
import sys

data, at, times = sys.stdin.buffer.read(), 0, []
while at < len(data):
    kind, size = struct.unpack_from("<II", data, at)
    if kind == 6:
        high, low = struct.unpack_from("<II", data, at + 12)
        times.append(high << 32 | low)
    at += size
times.sort()
print(sum(b - a > float(sys.argv[1]) for a, b in zip(times, times[1:])))

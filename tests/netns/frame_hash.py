#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Prints count, bytes and multiset hash (frames.h) of the frames in a recording's segments. Reads pcapng by itself,
# through `zstd -dc`, so that it shares no code with the recorder that it checks. With --flags also epb_flags; with
# --lanes also "LANES FLOWS SPLIT": flows (IPv4 UDP, both directions as one), and how many of them are in several lanes.
import collections
import hashlib
import os
import struct
import subprocess
import sys


def packets(stream):
    while True:
        head = stream.read(8)
        if not head:
            return
        kind, total = struct.unpack("<II", head)
        body = stream.read(total - 8)
        if len(body) != total - 8 or struct.unpack("<I", body[-4:])[0] != total:
            sys.exit("frame_hash: a block is cut short or its two lengths differ")
        if kind != 6:
            continue
        _, _, _, caplen, origlen = struct.unpack("<IIIII", body[:20])
        options = body[20 + (caplen + 3 & ~3):-4]
        flags = struct.unpack("<I", options[4:8])[0] if options[:4] == b"\x02\0\4\0" else 0
        yield body[20:20 + caplen], origlen, flags


def flow(data):
    if data[12:14] != b"\x08\0" or data[23] != 17:
        return None
    return frozenset([(data[26:30], data[34:36]), (data[30:34], data[36:38])])


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    count = size = total = 0
    seen = collections.Counter()
    lanes = collections.defaultdict(set)
    for where, _, names in sorted(os.walk(os.path.join(arguments[0], "segments"))):
        for name in sorted(names):
            path = os.path.join(where, name)
            with subprocess.Popen(["zstd", "-dc", path], stdout=subprocess.PIPE) as child:
                for data, _, flags in packets(child.stdout):
                    count += 1
                    size += len(data)
                    total += int.from_bytes(hashlib.sha256(data).digest()[:16], "big")
                    seen[flags] += 1
                    lanes[flow(data)].add(where)
            if child.returncode:
                sys.exit(f"frame_hash: zstd -dc {path} failed")
    print(f"frames={count} bytes={size} hash={total % 2**128:032x}")
    if "--flags" in sys.argv:
        for flags in sorted(seen):
            print(f"flags={flags} frames={seen[flags]}")
    if "--lanes" in sys.argv:
        print(len(set().union(*lanes.values())), len(lanes), sum(len(v) > 1 for v in lanes.values()))


main()

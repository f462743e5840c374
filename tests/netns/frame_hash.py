#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Prints count, bytes and multiset hash (frames.h) of the frames in a recording's segments, or in a pcap file. Reads both
# formats by itself, segments through `zstd -dc`, so that it shares no code with the recorder that it checks. Besides:
#   --flags         epb_flags, and how many frames have them
#   --lanes         "LANES FLOWS SPLIT": flows (UDP, both directions as one), and how many of them are in several lanes
#   --order FROM TO "back=N swapped=N outside=N fine=N": in each lane, times below the one before, frame numbers of
#                   send_frames below the one before, times outside of FROM to TO (ns), times that are no whole us
#   --cut FLOWS     "top=N holes=N doubled=N": of FLOWS flows each ends somewhere; the greatest number of all, the
#                   numbers missing before the end of each, and those that are there twice
import collections
import hashlib
import os
import struct
import subprocess
import sys

LINKTYPE_ETHERNET = 1
TAGS = (b"\x81\0", b"\x88\xa8")
HEADERS = {b"\x88\xb5": 0, b"\x08\0": 28, b"\x86\xdd": 48}  # of send_frames, before the number


def segment_packets(stream):
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
        _, high, low, caplen, _ = struct.unpack("<IIIII", body[:20])
        options = body[20 + (caplen + 3 & ~3):-4]
        flags = struct.unpack("<I", options[4:8])[0] if options[:4] == b"\x02\0\4\0" else 0
        yield body[20:20 + caplen], high << 32 | low, flags


def pcap_packets(stream):
    stream.read(24)
    while head := stream.read(16):
        second, fraction, caplen, _ = struct.unpack("<IIII", head)
        yield stream.read(caplen), second * 10**9 + fraction, 0


def lanes(path):
    """Each lane's name and packets."""
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            yield path, pcap_packets(stream)
        return
    for where, _, names in sorted(os.walk(os.path.join(path, "segments"))):
        for name in sorted(names):
            with subprocess.Popen(["zstd", "-dc", os.path.join(where, name)], stdout=subprocess.PIPE) as child:
                yield where, segment_packets(child.stdout)
            if child.returncode:
                sys.exit(f"frame_hash: zstd -dc {where}/{name} failed")


def inner(data):
    """Offset of the EtherType behind all tags."""
    at = 12
    while data[at:at + 2] in TAGS:
        at += 4
    return at


def flow(data):
    at = inner(data)
    ip = at + 2
    if data[at:at + 2] == b"\x08\0" and data[ip + 9] == 17:
        a, b, udp = data[ip + 12:ip + 16], data[ip + 16:ip + 20], ip + 20
    elif data[at:at + 2] == b"\x86\xdd" and data[ip + 6] == 17:
        a, b, udp = data[ip + 8:ip + 24], data[ip + 24:ip + 40], ip + 40
    else:
        return None
    return frozenset([(a, data[udp:udp + 2]), (b, data[udp + 2:udp + 4])])


def number(data):
    at = inner(data)
    at += 2 + HEADERS.get(data[at:at + 2], 0)
    return int.from_bytes(data[at:at + 8], "big")


def main():
    options = sys.argv[2:]
    wants_order, wants_cut = "--order" in options, "--cut" in options
    start, end = (int(x) for x in options[1:3]) if wants_order else (0, 0)
    count = size = total = back = swapped = outside = fine = 0
    flags_seen, numbers = collections.Counter(), collections.Counter()
    flow_lanes = collections.defaultdict(set)
    last = collections.defaultdict(lambda: (0, 0))
    for lane, packets in lanes(sys.argv[1]):
        for data, time_ns, flags in packets:
            count += 1
            size += len(data)
            total += int.from_bytes(hashlib.sha256(data).digest()[:16], "big")
            flags_seen[flags] += 1
            if "--lanes" in options:
                flow_lanes[flow(data)].add(lane)
            if wants_cut:
                numbers[number(data)] += 1
            if wants_order:
                before_ns, before = last[lane]
                last[lane] = time_ns, number(data)
                back += time_ns < before_ns
                swapped += last[lane][1] < before
                outside += not start <= time_ns <= end
                fine += time_ns % 1000 != 0
    print(f"frames={count} bytes={size} hash={total % 2**128:032x}")
    if "--flags" in options:
        for flags in sorted(flags_seen):
            print(f"flags={flags} frames={flags_seen[flags]}")
    if "--lanes" in options:
        print(len(set().union(*flow_lanes.values())), len(flow_lanes), sum(len(v) > 1 for v in flow_lanes.values()))
    if wants_order:
        print(f"back={back} swapped={swapped} outside={outside} fine={fine}")
    if wants_cut:
        flows = int(options[1])
        tops = {}
        for n in numbers:
            tops[n % flows] = max(n, tops.get(n % flows, 0))
        whole = sum(top // flows + 1 for top in tops.values())
        print(f"top={max(numbers, default=-1)} holes={whole - len(numbers)} doubled={count - len(numbers)}")


main()

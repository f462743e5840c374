#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Frames for test_capture_cutoff, and which of them a recording with a cutoff must hold. It knows of each frame what it
# made it for, so that no header is parsed to tell. With NO_FRAGMENTS set there are no fragments among them. Usage:
#   make FILE                 all frames, as pcap
#   send FILE IFACE           onto the wire, in order
#   expect FILE BYTES OUT [SOURCE]  those that must be recorded, as pcap; prints "frames=N shunted=N bytes=N cut=FLOWS":
#                             of all, of those left out, and the flows that reached the cutoff as sorted pairs of ports.
#                             SOURCE a: only what --filter of the test takes counts: untagged, of known flows, from A4
import json
import os
import random
import socket
import struct
import sys

A4, B4 = bytes([10, 1, 0, 1]), bytes([10, 1, 0, 2])
A6, B6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\2"
MACS = b"\2\0\0\0\0\2\2\0\0\0\0\1"
FIN, SYN, RST, ACK = 1, 2, 4, 16


def ether(ethertype, payload, tags=()):
    tags = b"".join(struct.pack(">HH", *t) for t in tags)
    return (MACS + tags + struct.pack(">H", ethertype) + payload).ljust(60, b"\0")


def ip4(proto, payload, back=False, fragment=0, options=b""):
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64, proto, 0)
    return head + (B4 + A4 if back else A4 + B4) + options + payload


def ip6(proto, payload, back=False):
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + (B6 + A6 if back else A6 + B6) + payload


def udp(port, size, back=False):
    ports = (port, 7000)
    return struct.pack(">HHHH", *(ports[::-1] if back else ports), 8 + size, 0) + random.randbytes(size)


def tcp(port, size, flags, back=False):
    ports = (port, 443)
    return struct.pack(">HHIIBBHHH", *(ports[::-1] if back else ports), 1, 1, 0x50, flags, 1000, 0, 0) + random.randbytes(size)


def streams():
    """Lists of (frame, flow or None, begins, always): in each the order stays."""
    def frame(data, flow=None, begins=False, always=False, src=None):
        return data, flow, begins, always, src

    def connection(port, sizes):
        def one(size, flags, back):
            return frame(ether(0x0800, ip4(6, tcp(port, size, flags, back), back)), (port, 443), flags == SYN,
                         bool(flags & (FIN | SYN | RST)), "b" if back else "a")
        yield one(0, SYN, False)
        yield one(0, SYN | ACK, True)
        for i, size in enumerate(sizes):
            yield one(size, ACK, i % 3 != 0)
        yield one(0, FIN | ACK, True)
        yield one(0, FIN | ACK, False)

    def many(n, make, flow=None):
        return [frame(make(i), flow, src="b" if flow and i % 4 == 0 else "a") for i in range(n)]

    sizes = [1400] * 500
    yield [*connection(5000, sizes), *connection(5000, [700] * 20), *connection(5000, sizes)]
    yield many(300, lambda i: ether(0x86dd, ip6(17, udp(5001, 1000, i % 4 == 0), i % 4 == 0), [(0x8100, 0xe064)]), (5001, 7000))
    yield many(300, lambda i: ether(0x0800, ip4(17, udp(5002, 900, i % 4 == 0), i % 4 == 0, options=b"\1" * 8),
                                    [(0x8100, 7), (0x8100, 8)]), (5002, 7000))
    for port in range(100):  # small ones
        yield many(3, lambda i: ether(0x0800, ip4(17, udp(6000 + port, 200, i % 4 == 0), i % 4 == 0)), (6000 + port, 7000))
    # never left out
    if "NO_FRAGMENTS" not in os.environ:
        yield many(100, lambda i: ether(0x0800, ip4(17, udp(5003, 1000), fragment=0x2000)))
        yield many(100, lambda i: ether(0x0800, ip4(17, udp(5003, 1000), fragment=125)))
    yield many(100, lambda i: ether(0x0800, ip4(17, udp(4789, 1000))))
    yield many(100, lambda i: ether(0x0800, ip4(47, b"\0\0\x08\0" + ip4(17, udp(5004, 900)))))
    yield many(100, lambda i: ether(0x0800, ip4(1, b"\x08\0" + bytes(1000))))
    yield many(100, lambda i: ether(0x0800, ip4(132, udp(5005, 1000))))
    yield many(100, lambda i: ether(0x86dd, ip6(0, b"\x11\0\1\4\0\0\0\0" + udp(5006, 1000))))
    yield many(100, lambda i: ether(0x0800, ip4(17, udp(5007, 1000)), [(0x8100, 1), (0x8100, 2), (0x8100, 3)]))
    yield many(100, lambda i: ether(0x8847, struct.pack(">I", 16 << 12 | 0x1ff) + ip4(17, udp(5008, 1000))))
    yield many(100, lambda i: ether(0x0806, random.randbytes(1000)))
    yield many(100, lambda i: ether(0x0800, ip4(17, udp(5009, 1000))[:26]))  # ports cut off, padded


def write_pcap(path, frames):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for data in frames:
            out.write(struct.pack("<IIII", 1, 0, len(data), len(data)) + data)


def all_frames():
    random.seed(20)
    lists = [list(s) for s in streams()]
    order = [i for i, frames in enumerate(lists) for _ in frames]
    random.shuffle(order)
    turns = [iter(frames) for frames in lists]
    return [next(turns[i]) for i in order]


def main():
    what, path = sys.argv[1:3]
    frames = all_frames()
    if what == "make":
        write_pcap(path, [f[0] for f in frames])
    elif what == "send":
        out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        out.bind((sys.argv[3], 0))
        for f in frames:
            out.send(f[0])
        print(len(frames))
    elif what == "expect":
        cutoff, kept, counted, cut = int(sys.argv[3]), [], {}, set()
        only = sys.argv[5] if len(sys.argv) > 5 else None
        shunted = size = 0
        for data, flow, begins, always, src in frames:
            if only and (flow is None or flow[0] in (5001, 5002) or src != only):
                continue  # the filter of the test is for untagged IPv4 of these flows
            if begins:
                counted[flow] = 0
            if flow and not always and counted.get(flow, 0) >= cutoff:
                shunted += 1
                size += len(data)
                continue
            kept.append(data)
            if flow:
                counted[flow] = counted.get(flow, 0) + len(data)
                if counted[flow] >= cutoff:
                    cut.add(tuple(sorted(flow)))
        write_pcap(sys.argv[4], kept)
        print(f"frames={len(frames)} shunted={shunted} bytes={size} cut={json.dumps(sorted(cut), separators=(',', ':'))}")


main()

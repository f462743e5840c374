#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What of the payload of each TCP connection was acknowledged, and what of that is not in the capture: by tshark's fields and sets
# of intervals that are kept whole. A second source for what `sealtap flows` says, which shares no code with it.
#
# `tcp_gap_reference.py CAPTURE`: lines of source, port, destination, port, bytes acknowledged, bytes missed, gaps. Connections that
# are not clear are left out: ports used twice, an opening that is not there, fragments, tunnels, numbers that jump.
import collections
import subprocess
import sys

FIELDS = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.flags",
          "ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.nxt"]
FIN, SYN, RST, ACK = 1, 2, 4, 16
WINDOW, AHEAD = 1 << 30, 1 << 24


class Side:
    """What one side sent, by numbers from the one after its SYN."""

    def __init__(self):
        self.first, self.seen, self.end, self.fin, self.acked = None, [], 0, None, 0

    def at(self, number, near):
        return near + (number - self.first - near + (1 << 31)) % (1 << 32) - (1 << 31)

    def missed(self):
        to = min(self.acked, self.fin) if self.fin is not None else min(self.acked, max(self.end, self.acked - 1))
        gaps, at = [], 0
        for begin, end in sorted(self.seen) + [(to, to)]:
            if min(begin, to) > at:
                gaps.append(min(begin, to) - at)
            at = max(at, min(end, to))
        return to, sum(gaps), len(gaps)


def packets(path):
    args = ["tshark", "-n", "-r", path, "-Y", "tcp", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields"]
    done = subprocess.run(args + [a for f in FIELDS for a in ("-e", f)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        yield dict(zip(FIELDS, line.split("\t")))


def step(sides, unclear, key, seq, ack, size, flags):
    here, there = sides[key], sides[key[2:] + key[:2]]
    if flags & RST:
        return
    if flags & SYN:
        if here.first is not None and here.first != (seq + 1) % (1 << 32):
            unclear.add(key)
        here.first = seq = (seq + 1) % (1 << 32)
    if here.first is None or (flags & ACK and there.first is None):
        unclear.add(key)
        return
    at = here.at(seq, here.end)
    if abs(at - here.end) > WINDOW:
        unclear.add(key)
    if size > 0:
        here.seen.append((at, at + size))
        here.end = max(here.end, at + size)
    if flags & FIN and here.fin is None:
        here.fin = at + size
    if flags & ACK:
        acked = there.at(ack, max(there.end, there.acked))
        if acked > max(there.end, there.acked) + AHEAD or (there.fin is not None and acked > there.fin + 1):
            unclear.add(key)
        there.acked = max(there.acked, acked)


def reference(path):
    """{(source, port, destination, port): (acknowledged, missed, gaps)}"""
    sides, unclear = collections.defaultdict(Side), set()
    for p in packets(path):
        source, dest = p["ip.src"] + p["ipv6.src"], p["ip.dst"] + p["ipv6.dst"]
        if "," in source or "," in p["tcp.srcport"]:
            continue
        key = (source, p["tcp.srcport"], dest, p["tcp.dstport"])
        if p["ipv6.fraghdr.nxt"] or p["ip.flags.mf"] not in ("", "0", "False") or p["ip.frag_offset"] not in ("", "0") or "" in (p["tcp.len"], p["tcp.flags"]):
            unclear.add(key)
            continue
        step(sides, unclear, key, int(p["tcp.seq_raw"]), int(p["tcp.ack_raw"] or 0), int(p["tcp.len"]), int(p["tcp.flags"], 16))
    # A side that stopped before its FIN, and one that nobody heard, are as good as clear; data behind a FIN is not.
    return {key: side.missed() for key, side in sides.items()
            if side.first is not None and key not in unclear and key[2:] + key[:2] not in unclear
            and (side.fin is None or side.end <= side.fin)}


def main():
    for key, result in reference(sys.argv[1]).items():
        print("\t".join(key), *result, sep="\t")


if __name__ == "__main__":
    main()

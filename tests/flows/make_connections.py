#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# TCP connections without loss, and copies in which frames were dropped as a mirror port drops them.
#
# `make_connections.py DIRECTORY`: writes full.pcap; dropped.pcap, without payload segments chosen by chance; resent.pcap, without
# segments of which a retransmission came later; server.pcap and client.pcap, what each side sent alone, and two-lanes.pcapng, both as
# interfaces of which the first is 20 ms late; middle.pcap, without the first half of the time; forged.pcap, full.pcap with acknowledgements
# of what was never sent. expected.tsv: client's port, side, bytes, and of dropped.pcap bytes missing and gaps.
import random
import struct
import sys

CLIENT, SERVER = 0, 1
FIN, SYN, PSH, ACK = 1, 2, 8, 16
MSS = 1460
random.seed(11)


class Frame:
    def __init__(self, ns, port, side, flags, seq, ack, size):
        self.ns, self.port, self.side, self.flags, self.seq, self.ack, self.size = ns, port, side, flags, seq, ack, size

    def bytes(self):
        ports = (self.port, 443) if self.side == CLIENT else (443, self.port)
        tcp = struct.pack("!HHIIBBHHH", *ports, self.seq % 2**32, self.ack % 2**32, 0x50, self.flags, 65535, 0, 0) + bytes(self.size)
        if self.port % 2:
            ends = [bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")]
            ends = ends if self.side == CLIENT else ends[::-1]
            return bytes(12) + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + b"".join(ends) + tcp
        ends = [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])]
        ends = ends if self.side == CLIENT else ends[::-1]
        frame = bytes(12) + b"\x08\0" + struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + b"".join(ends) + tcp
        return frame + bytes(max(0, 60 - len(frame)))  # the link pads short ones


def connection(port, start):
    """A question, and an answer of up to 200 segments, some of them short, of which every second or so is acknowledged."""
    numbers, frames, now = [random.getrandbits(32), random.choice([random.getrandbits(32), 2**32 - 9000])], [], start

    def send(side, flags, size=0):
        nonlocal now
        now += random.randrange(1000, 400000)
        frames.append(Frame(now, port, side, flags, numbers[side], numbers[1 - side] if flags & ACK else 0, size))
        numbers[side] += size + bool(flags & (SYN | FIN))

    send(CLIENT, SYN)
    send(SERVER, SYN | ACK)
    send(CLIENT, ACK)
    for _ in range(random.randrange(1, 4)):
        send(CLIENT, ACK | PSH, random.randrange(1, MSS))
        send(SERVER, ACK)
        for _ in range(random.randrange(1, 200)):
            send(SERVER, ACK, random.choice([MSS, MSS, MSS, random.randrange(1, MSS)]))
            if random.random() < 0.5:
                send(CLIENT, ACK)
        send(CLIENT, ACK)
    send(SERVER, ACK | FIN)
    send(CLIENT, ACK | FIN)
    send(SERVER, ACK)
    return frames


def pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            data = frame.bytes()
            f.write(struct.pack("<IIII", frame.ns // 10**9, frame.ns % 10**9, len(data), len(data)) + data)


def two_lanes(path, frames):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    interface = block(1, struct.pack("<HHI", 1, 0, 65535) + struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HH", 0, 0))
    with open(path, "wb") as f:
        f.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + interface * 2)
        for frame in frames:
            data, ns = frame.bytes(), frame.ns + (20 * 10**6 if frame.side == SERVER else 0)
            f.write(block(6, struct.pack("<IIIII", 1 - frame.side, ns >> 32, ns % 2**32, len(data), len(data)) + data))


def main():
    out, frames, expected = sys.argv[1], [], []
    for port in range(2000, 2120):
        frames += connection(port, 1700000000 * 10**9 + (port - 2000) * 10**6)
    frames.sort(key=lambda f: f.ns)
    pcap(f"{out}/full.pcap", frames)
    payload = [f for f in frames if f.size]
    chosen = set(random.sample(payload, len(payload) // 40))
    for port in range(2000, 2120):
        for side in (CLIENT, SERVER):
            mine = [f for f in payload if f.port == port and f.side == side]
            gaps = sum(f in chosen and (i == 0 or mine[i - 1] not in chosen) for i, f in enumerate(mine))
            expected.append((port, side, sum(f.size for f in mine), sum(f.size for f in mine if f in chosen), gaps))
    pcap(f"{out}/dropped.pcap", [f for f in frames if f not in chosen])
    again = [Frame(f.ns + random.choice([50, 3 * 10**6, 10**9]), f.port, f.side, f.flags, f.seq, f.ack, f.size) for f in chosen]
    pcap(f"{out}/resent.pcap", sorted([f for f in frames if f not in chosen] + again, key=lambda f: f.ns))
    pcap(f"{out}/server.pcap", [f for f in frames if f.side == SERVER])
    pcap(f"{out}/client.pcap", [f for f in frames if f.side == CLIENT])
    two_lanes(f"{out}/two-lanes.pcapng", [f for f in frames if f not in chosen])
    pcap(f"{out}/middle.pcap", frames[len(frames) // 2:])
    forged = [Frame(f.ns + 1, f.port, f.side, ACK, f.seq, f.ack + random.randrange(2**25, 2**32 - 2**25), 0)
              for f in random.sample([f for f in frames if f.flags == ACK], 500)]
    pcap(f"{out}/forged.pcap", sorted(frames + forged, key=lambda f: f.ns))
    with open(f"{out}/expected.tsv", "w", encoding="ascii") as f:
        f.writelines("\t".join(map(str, row)) + "\n" for row in expected)


if __name__ == "__main__":
    main()

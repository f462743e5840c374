#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Lets packets arrive on a tun interface: `send_tun.py IFACE COUNT`. Raw IP, IPv4 and IPv6 by turns, of 40 to 1,400
# bytes. Prints what it sent as send_frames does.
import fcntl
import hashlib
import os
import random
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def ipv4(payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + payload


def ipv6(payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), 17, 64) + bytes([0xFD] + [0] * 14 + [1, 0xFD] + [0] * 14 + [2]) + payload


tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", sys.argv[1].encode(), IFF_TUN | IFF_NO_PI))
r = random.Random(1)
size = total = 0
for i in range(int(sys.argv[2])):
    data = r.randbytes(r.randrange(0, 1340))
    udp = struct.pack("!HHHH", 1024 + i % 50, 53, 16 + len(data), 0) + i.to_bytes(8, "big") + data
    packet = ipv6(udp) if i % 2 else ipv4(udp)
    os.write(tun, packet)
    size += len(packet)
    total += int.from_bytes(hashlib.sha256(packet).digest()[:16], "big")
print(f"frames={sys.argv[2]} bytes={size} hash={total % 2**128:032x}")

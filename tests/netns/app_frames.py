#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Connections of HTTP, SSH and of nothing that is known for test_capture_cutoff_apps, between 10.1.0.1 and 10.1.0.2. Frames are sent in the order
# given and counted; nothing here reads what was recorded but `count`. Usage:
#   app_frames.py send IFACE WHAT...   WHAT: begin:APP:CPORT:SPORT, bulk:CPORT:SPORT:COUNT, end:CPORT:SPORT; prints
#                                      the number of frames
#   app_frames.py count FILE CPORT     frames of that client port in a pcapng file: those without SYN, FIN and RST,
#                                      their bytes, and those with
import socket
import struct
import sys

CLIENT, SERVER = bytes([10, 1, 0, 1]), bytes([10, 1, 0, 2])
MACS = b"\2\0\0\0\0\2\2\0\0\0\0\1"
FIN, SYN, RST, ACK = 1, 2, 4, 16
BULK = 1000  # bytes of a frame of it
OPENING = {
    "http": [(False, b"GET /film.bin HTTP/1.1\r\nHost: files.example.org\r\nUser-Agent: curl/7.88\r\nAccept: */*\r\n\r\n"),
             (True, b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/octet-stream\r\n"
                    b"Content-Length: 900000000\r\n\r\n" + b"\x17" * 200)],
    "noise": [(False, bytes(i * 89 + 3 & 255 for i in range(200))), (True, bytes(i * 151 + 7 & 255 for i in range(200)))],
    "ssh": [(True, b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), (False, b"SSH-2.0-OpenSSH_9.0\r\n")],
}


def tcp(cport, sport, back, seq, ack, flags, payload):
    ports, addresses = ((sport, cport), SERVER + CLIENT) if back else ((cport, sport), CLIENT + SERVER)
    segment = struct.pack(">HHIIBBHHH", *ports, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 1000, 0, 0) + payload
    packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 7, 0, 64, 6, 0) + addresses + segment
    return (MACS + b"\x08\0" + packet).ljust(60, b"\0")


class Connection:
    """Sequence numbers go on from one call of this program to the next: nothing looks at them but nDPI, at first."""
    def __init__(self, cport, sport):
        self.ports, self.next = (cport, sport), [1000, 5000]  # of client and server

    def frame(self, back, flags, payload=b""):
        seq, ack = self.next[back], self.next[not back]
        self.next[back] += len(payload) + bool(flags & (SYN | FIN))
        return tcp(*self.ports, back, seq, ack if flags & ACK else 0, flags, payload)

    def begin(self, app):
        yield self.frame(False, SYN)
        yield self.frame(True, SYN | ACK)
        yield self.frame(False, ACK)
        for back, payload in OPENING[app]:
            yield self.frame(back, ACK, payload)

    def bulk(self, count):
        for _ in range(count):
            yield self.frame(True, ACK, bytes(i * 37 & 255 for i in range(BULK - 54)))

    def end(self):
        yield self.frame(True, FIN | ACK)
        yield self.frame(False, FIN | ACK)


def frames_of(words):
    connections = {}
    for word in words:
        what, *rest = word.split(":")
        if what == "begin":
            app, cport, sport = rest[0], int(rest[1]), int(rest[2])
            connections[cport, sport] = c = Connection(cport, sport)
            yield from c.begin(app)
        else:
            cport, sport = int(rest[0]), int(rest[1])
            c = connections.setdefault((cport, sport), Connection(cport, sport))
            yield from c.bulk(int(rest[2])) if what == "bulk" else c.end()


def count(path, cport):
    data = open(path, "rb").read()
    at, plain, size, control = 0, 0, 0, 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        frame = data[at + 28:at + 28 + struct.unpack_from("<I", data, at + 20)[0]] if kind == 6 else b""
        at += length
        if frame[12:14] != b"\x08\0" or frame[23] != 6 or cport not in struct.unpack(">HH", frame[34:38]):
            continue
        if frame[47] & (FIN | SYN | RST):
            control += 1
        else:
            plain += 1
            size += len(frame)
    print(plain, size, control)


def main():
    if sys.argv[1] == "count":
        count(sys.argv[2], int(sys.argv[3]))
        return
    out, sent = socket.socket(socket.AF_PACKET, socket.SOCK_RAW), 0
    out.bind((sys.argv[2], 0))
    for frame in frames_of(sys.argv[3:]):
        out.send(frame)
        sent += 1
    print(sent)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client of a control socket that means harm. hostile_client.py SOCKET WHAT; prints what came of it.
WHAT: garbage, halves, silence, flood, deaf, descriptors, marks"""
import array
import os
import random
import select
import socket
import struct
import sys

MAGIC, STATUS, MARK, REFUSED = 0x316c7463, 1, 2, 6
PATH = sys.argv[1]
rng = random.Random(7)


def header(kind, length):
    return struct.pack("<4I", MAGIC, kind, length, 0)


def mark(text):
    return header(MARK, 16 + 1024) + text.ljust(1024, b"\0")


def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for which in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):  # not settimeout: connect would not wait for a place
        s.setsockopt(socket.SOL_SOCKET, which, struct.pack("<qq", 20, 0))
    s.connect(PATH)
    return s


def answer(data):
    """What one connection gets for these bytes: the type of the answer, or how it ended."""
    s = connect()
    try:
        s.send(data)
        got = s.recv(65536)
    except (ConnectionError, BrokenPipeError):
        return "closed"
    return struct.unpack_from("<I", got, 4)[0] if len(got) >= 8 else "closed"


def garbage():
    bad = [os.urandom(rng.randrange(1, 3000)) for _ in range(200)]
    bad += [header(kind, 16) for kind in (0, 3, 4, 5, 6, 99)] + [struct.pack("<4I", MAGIC ^ 1, STATUS, 16, 0)]
    bad += [mark(b"two\nlines"), mark(b"\xff"), mark(b""), mark(b"x" * 1024), mark(b"\x1b[2J")]
    kinds = {answer(b) for b in bad}
    print("answers", sorted(map(str, kinds)))
    return kinds <= {REFUSED, "closed"}


def halves():
    whole = mark(b"never written")
    kinds = {answer(whole[:n]) for n in list(range(1, 64)) + list(range(64, 1040, 61))}
    kinds |= {answer(whole + b"x" * n) for n in (1, 100, 60000)}
    print("answers", sorted(map(str, kinds)))
    return kinds <= {REFUSED, "closed"}


def silence():
    """Held until the supervisor has ended every one of them."""
    held = [connect() for _ in range(16)]
    for s in held:
        if s.recv(1):
            return False
    print("ended", len(held))
    return True


def flood():
    """A thousand connections that say nothing, as many at once as descriptors allow."""
    held, made = [], 0
    while made < 1000:
        held.append(connect())
        made += 1
        if len(held) > 400:
            held.pop(0).close()
    print("made", made)
    return True


def deaf():
    """Asks and does not read, until it is ended or has waited long enough."""
    held = []
    for _ in range(16):
        s = connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        s.send(header(STATUS, 16))
        held.append(s)
    p = select.poll()
    for s in held:
        p.register(s, select.POLLHUP)
    for s in held:
        p.poll(20000)
    print("asked", len(held))
    return True


def descriptors():
    fds = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(200)])
    s = connect()
    s.sendmsg([header(STATUS, 16)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    s.recv(65536)
    print("passed", len(fds))
    return True


def marks():
    """As many marks as fit, and goes away without an answer."""
    for i in range(300):
        s = connect()
        try:
            s.send(mark(b"flood %d" % i))
        except (ConnectionError, BrokenPipeError):
            pass
        s.close()
    print("sent 300")
    return True


sys.exit(0 if globals()[sys.argv[2]]() else 1)

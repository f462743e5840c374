#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent verifier, written from docs/evidence-format.md alone. It shares no code with sealtap.

  verify.py [--origin PUB.pem] [--segments-on DIR[,DIR]] [--checkpoint HELD]... [--json] [--quiet] RECORDING

Exit codes: 0 valid, 1 invalid, 3 something could not be read, 4 consistent and something is missing, 2 usage.
As a module: verify(path, origin_pem=None, segments_on=(), held=()) returns a Result; held are Notes.
"""
import base64
import binascii
import collections
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import subprocess
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

U64 = 2**64 - 1
INT_MAX = 2**53 - 1
LINE_MAX = 65535
ORDER = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19
SMALL = {0, 1, P - 1,
         # the two y of the points of order 8, as the usual little-endian encodings
         int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
         int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little")}
TEN_SECONDS = 10 * 10**9
EPOCH_MOST = 90 * 10**9


class Bad(Exception):
    """A value that does not have its form; text says what."""


def H(*parts):
    h = hashlib.sha256()
    for p in parts:
        h.update(p)
    return h.digest()


# Merkle trees, RFC 6962: an incremental stack, so that a root after every frame is cheap

class Tree:
    def __init__(self):
        self.size, self.stack = 0, []

    def add(self, data):
        node, n = H(b"\0", data), self.size
        while n & 1:
            node = H(b"\1", self.stack.pop(), node)
            n >>= 1
        self.stack.append(node)
        self.size += 1

    def root(self):
        if not self.stack:
            return H()
        node = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            node = H(b"\1", left, node)
        return node


# JSON in the one permitted form

def _escape(m):
    c = ord(m.group())
    if c in (0, 0x7F) or 0xD800 <= c <= 0xDFFF:
        raise Bad("character U+%04X" % c)
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 0x22: '\\"', 0x5C: "\\\\"}.get(c)
    if short:
        return short
    if c < 0x10000:
        return "\\u%04X" % c
    c -= 0x10000
    return "\\u%04X\\u%04X" % (0xD800 | c >> 10, 0xDC00 | c & 0x3FF)


_odd = re.compile(r'[^ !#-\[\]-~]')


def canonical(v):
    if type(v) is str:
        return '"' + _odd.sub(_escape, v) + '"'
    if type(v) is dict:
        return "{" + ",".join(canonical(k) + ":" + canonical(x) for k, x in v.items()) + "}"
    if type(v) is list:
        return "[" + ",".join(map(canonical, v)) + "]"
    if type(v) is int and 0 <= v <= INT_MAX:
        return str(v)
    raise Bad("value outside the permitted kinds")


def _pairs(pairs):
    d = dict(pairs)
    if len(d) != len(pairs):
        raise Bad("duplicate key")
    return d


def _refuse(text):
    raise Bad("number %.20s" % text)


def _int(text):
    if len(text) > 16:
        raise Bad("integer %.20s" % text)
    return int(text)


_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_refuse, parse_constant=_refuse, parse_int=_int)


def parse_object(raw, limit=LINE_MAX):
    """raw is the line without its LF."""
    if not 2 <= len(raw) <= limit:
        raise Bad("length %d" % len(raw))
    if raw.translate(None, bytes(range(0x20, 0x7F))):
        raise Bad("byte outside 0x20-0x7E")
    text = raw.decode("ascii")
    try:
        v = _decoder.decode(text)
    except (ValueError, RecursionError) as e:
        raise Bad("JSON: %.60s" % e) from None
    if type(v) is not dict:
        raise Bad("not an object")
    if canonical(v) != text:
        raise Bad("not in the canonical form")
    return v


# Schemas: a type is a function that raises Bad

def t_int(low, high=INT_MAX):
    def check(v):
        if type(v) is not int or not low <= v <= high:
            raise Bad("integer expected, %d to %d" % (low, high))
    return check


def t_str(v):
    if type(v) is not str:
        raise Bad("string expected")


def t_interface(v):
    t_str(v)
    if len(v.encode()) > 255:
        raise Bad("longer than 255 bytes")


_u64 = re.compile(r"0|[1-9][0-9]{0,19}")


def t_u64(v):
    if type(v) is not str or not _u64.fullmatch(v) or int(v) > U64:
        raise Bad("u64 expected")


_time = re.compile(r"(0|[1-9][0-9]{0,10})\.([0-9]{9})")


def ns(v):
    m = _time.fullmatch(v) if type(v) is str else None
    if not m or int(m[1] + m[2]) > U64:
        raise Bad("time expected")
    return int(m[1] + m[2])


def t_hex(n):
    pattern = re.compile("[0-9a-f]{%d}" % n)

    def check(v):
        if type(v) is not str or not pattern.fullmatch(v):
            raise Bad("%d hexadecimal digits expected" % n)
    return check


def t_enum(*values):
    def check(v):
        if type(v) is not str or v not in values:
            raise Bad("unknown value %.40r" % (v,))
    return check


def t_obj(**fields):
    """A trailing underscore marks an optional key."""
    names = [k.rstrip("_") for k in fields]
    optional = {k.rstrip("_") for k in fields if k.endswith("_")}
    checks = {k.rstrip("_"): c for k, c in fields.items()}

    def check(v):
        if type(v) is not dict:
            raise Bad("object expected")
        keys = list(v)
        if keys != [k for k in names if k in v or k not in optional]:
            raise Bad("keys %.200s" % ",".join(keys))
        for k, c in checks.items():
            if k in v:
                try:
                    c(v[k])
                except Bad as e:
                    raise Bad("%s: %s" % (k, e)) from None
    check.checks = checks
    return check


def t_list(item, least=0):
    def check(v):
        if type(v) is not list or len(v) < least:
            raise Bad("array of at least %d expected" % least)
        for x in v:
            item(x)
    return check


HEX64 = t_hex(64)
CAUSES = ("pool", "disk", "oversize", "crash")
# Incidents after which frames may have passed the recorder by.
PASSED_BY = ("interface-removed", "queues-changed", "offload-changed", "promiscuous-lost", "starved")
COUNTERS = t_obj(received=t_u64, recorded=t_u64, filtered=t_u64, out_of_scope=t_u64, shunted=t_u64,
                 dropped=t_obj(pool=t_u64, disk=t_u64, oversize=t_u64, crash=t_u64),
                 driver=t_obj(received_=t_u64, dropped_=t_u64),
                 nic_=t_obj(received=t_u64, missed=t_u64, fifo=t_u64, over=t_u64, errors=t_u64, dropped=t_u64),
                 xdp_=t_obj(no_socket=t_u64, dropped=t_u64, ring_full=t_u64, fill_empty=t_u64))
NUMBER = t_int(0, 2**32 - 1)
LANE = t_int(0, 4095)
COMMON = dict(seq=t_int(0), prev=HEX64, type=t_str, t_real=ns, t_boot=ns, nonce=t_hex(32))
TYPES = {
    "open": dict(
        format=t_enum("sealtap/v1"), sensor=t_str, origin_key=HEX64, origin_seq=t_int(0), origin_prev=HEX64,
        authority=t_obj(kind=t_enum("own-network", "ingest"), reference=t_str, operator=t_str), mode=t_enum("content"),
        sources=t_list(t_obj(kind=t_enum("file", "afpacket", "pcap", "xdp", "dpdk"), name=t_str, detail=t_str), 1), filter=t_str, build=t_str,
        config_sha256=HEX64, host=t_obj(name=t_str, kernel=t_str, machine=t_str, boot_id=t_str),
        time_source=t_enum("file", "kernel", "driver"), flush_ms=t_int(0), salts_sha256=HEX64,
        retention_=t_obj(keep_bytes_=t_u64, keep_time_=ns, min_free=t_u64), places_=t_int(2, 16), cutoff_bytes_=t_u64,
        cutoff_apps_=t_str),
    "key": dict(epoch=t_int(1), public_key=HEX64, origin_signature_=t_hex(128)),
    "begin": dict(lane=LANE, number=NUMBER, source=t_int(0), interface=t_interface, linktype=t_int(0, 65535),
                  snaplen=t_int(0, 2**32 - 1)),
    "progress": dict(segments=t_list(t_obj(lane=LANE, number=NUMBER, frames=t_u64, bytes=t_u64, packets=t_u64,
                                           root=HEX64, counters=COUNTERS), 1), sync_ns_max=t_u64),
    "segment": dict(lane=LANE, number=NUMBER, path=t_str, bytes=t_u64, sha256=HEX64, frames=t_u64, packets=t_u64,
                    root=HEX64, ts_min=ns, ts_max=ns, mode=t_enum("content"), sealed=t_enum("recorder", "adopted"),
                    counters_begin=COUNTERS, counters_end=COUNTERS),
    "retire": dict(lane=LANE, number=NUMBER, bytes=t_u64, sha256=HEX64, packets=t_u64,
                   reason=t_enum("keep-size", "keep-time", "min-free"), free_=t_u64),
    "flows": dict(number=t_int(0, 2**32 - 2), path=t_str, bytes=t_u64, sha256=HEX64, frames=t_u64, raw_bytes=t_u64,
                  records=t_u64, inspected=t_u64, lost=t_u64, malformed=t_u64),
    "retire_flows": dict(number=t_int(0, 2**32 - 2), bytes=t_u64, sha256=HEX64),
    "shunt": dict(lane=LANE, frames=t_u64, bytes=t_u64, t_first=ns, t_last=ns),
    "loss": dict(lane=LANE, cause=t_enum(*CAUSES), frames=t_u64, t_first=ns, t_last=ns),
    "clock": dict(boot_id=t_str, offset=ns, tolerance_ns=t_enum("100000000"), synchronised=t_enum("yes", "no"),
                  max_error_ns=t_u64),
    "gap": dict(cause=t_enum("pause", "suspend"), length=ns),
    "mark": dict(by=t_str, text=t_str),
    "incident": dict(kind=t_enum("recorder-died", "recorder-resumed", "adopted", "disk-full", "disk-error",
                                 "supervisor-died", "source-failed", "interface-down", "overload", "stalled", "kernel-time",
                                 "inspector-died", "inspection-shed", "flowlog-died", "exporter-died", "flows-ended",
                                 "interface-up", "interface-renamed", "interface-back", "carrier-lost", "carrier-back",
                                 "mtu-changed", *PASSED_BY), detail=t_str),
    "heartbeat": {},
    "source": dict(index=t_int(0), name=t_str, format=t_str, bytes=t_u64, sha256=HEX64, packets=t_u64,
                   ts_truncated=t_u64, ts_out_of_range=t_u64, damage_=t_obj(offset=t_u64, reason=t_str),
                   extra_=t_obj(path=t_str, bytes=t_u64, sha256=HEX64, lines=t_u64)),
    "close": dict(reason=t_enum("end-of-input", "input-damaged", "duration", "packets", "signal", "disk-full",
                                "disk-error", "source-failed", "supervisor-died", "recorder-failed"),
                  segments=t_u64, packets=t_u64),
}
SCHEMA = {k: t_obj(**COMMON, **v) for k, v in TYPES.items()}
RECOVERY = t_obj(
    format=t_enum("sealtap/recovery/v1"), recording=HEX64, t_real=ns, ledger_bytes=t_u64, ledger_sha256=HEX64,
    checkpoint_size=t_u64, checkpoint_sha256=HEX64,
    segments=t_list(t_obj(lane=LANE, number=NUMBER, file_bytes=t_u64, file_sha256=HEX64, signed_frames=t_u64,
                          signed_packets=t_u64, frames=t_u64, packets=t_u64, bytes=t_u64, root=HEX64)),
    origin_signature_=t_hex(128))


def parse_line(raw):
    v = parse_object(raw)
    kind = v.get("type")
    if type(kind) is not str or kind not in SCHEMA:
        raise Bad("unknown type %.40r" % (kind,))
    SCHEMA[kind](v)
    if kind == "key" and (v["epoch"] == 1) != ("origin_signature" in v):
        raise Bad("origin_signature belongs to epoch 1 only")
    if kind == "open" and "retention" in v and ("keep_bytes" in v["retention"]) == ("keep_time" in v["retention"]):
        raise Bad("retention with both or none of keep_bytes and keep_time")
    if kind == "open" and v.get("cutoff_bytes") == "0":
        raise Bad("a cutoff of nothing")
    if kind == "open" and "cutoff_apps" in v and ("cutoff_bytes" not in v or "" in v["cutoff_apps"].split(",")):
        raise Bad("a cutoff for applications without their names, or without bytes")
    if kind == "retire" and ("free" in v) != (v["reason"] == "min-free"):
        raise Bad("free belongs to min-free only")
    if kind == "open" and v["origin_seq"] == 0 and v["origin_prev"] != "0" * 64:
        raise Bad("origin_prev without an earlier recording")
    return v


# Signatures

def canonical_key(raw):
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y < P and y not in SMALL


def signature_holds(public, signature, message):
    if not canonical_key(public) or int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


SPKI = bytes.fromhex("302a300506032b6570032100")


def pem(public):
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(SPKI + public) + b"\n-----END PUBLIC KEY-----\n"


def read_pem(text):
    m = re.fullmatch(rb"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]+)\n-----END PUBLIC KEY-----\n?", text)
    try:
        der = base64.b64decode(m[1], validate=True) if m else b""
    except binascii.Error:
        der = b""
    if len(der) != 44 or der[:12] != SPKI:
        raise Bad("not an Ed25519 public key in PEM")
    return der[12:]


def unbase64(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Bad("base64") from None
    if base64.b64encode(raw) != text:
        raise Bad("base64 not canonical")
    return raw


_note = re.compile(rb"(sealtap/v1/([0-9a-f]{64})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/=]+)\nhead ([0-9a-f]{64})\n)\n"
                   rb"\xe2\x80\x94 (sealtap/v1/[0-9a-f]{64}/([1-9][0-9]{0,15})) ([A-Za-z0-9+/=]+)\n")
Note = collections.namedtuple("Note", "message id size root head name epoch keyid signature")


def parse_note(raw):
    m = _note.fullmatch(raw) if len(raw) < 1024 else None
    if not m:
        raise Bad("form of the signed note")
    root, blob = unbase64(m[4]), unbase64(m[8])
    if len(root) != 32 or len(blob) != 68 or int(m[3]) > INT_MAX or int(m[7]) > INT_MAX:
        raise Bad("value in the signed note")
    if m[6] != b"sealtap/v1/" + m[2] + b"/" + m[7]:
        raise Bad("name in the signature line")
    return Note(m[1], m[2].decode(), int(m[3]), root, m[5].decode(), m[6], int(m[7]), blob[:4], blob[4:])


# zstd frames, RFC 8878 section 3.1.1

FRAME_CONTENT_MAX = 1 << 20
BLOCK_MAX = 128 << 10
WINDOW_MAX = 8 << 20
STORED_MAX = 2 << 20


def parse_frame(data, at):
    """Returns (end, content size); raises Bad for a frame that this format does not allow, or a torn one."""
    if len(data) - at < 6:
        raise Bad("torn frame header")
    if data[at:at + 4] != b"\x28\xb5\x2f\xfd":
        raise Bad("magic number")
    descriptor = data[at + 4]
    if descriptor & 0x08:
        raise Bad("reserved bit")
    if descriptor & 0x03:
        raise Bad("dictionary id")
    if not descriptor & 0x04:
        raise Bad("no content checksum")
    single, fcs = descriptor & 0x20, descriptor >> 6
    if not single and not fcs:
        raise Bad("no content size")
    p = at + 5
    window = None
    if not single:
        base = 1 << (10 + (data[p] >> 3))
        window = base + base // 8 * (data[p] & 7)
        p += 1
    width = (1, 2, 4, 8)[fcs]
    if len(data) - p < width:
        raise Bad("torn frame header")
    size = int.from_bytes(data[p:p + width], "little") + (256 if fcs == 1 else 0)
    p += width
    if not 1 <= size <= FRAME_CONTENT_MAX:
        raise Bad("content size %d" % size)
    if window is None:
        window = size
    if window > WINDOW_MAX:
        raise Bad("window %d" % window)
    limit = min(window, BLOCK_MAX)
    while True:
        if len(data) - p < 3:
            raise Bad("torn block header")
        header = int.from_bytes(data[p:p + 3], "little")
        p += 3
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            raise Bad("reserved block type")
        if length > limit:
            raise Bad("block of %d" % length)
        p += 1 if kind == 1 else length
        if p > len(data):
            raise Bad("torn block")
        if last:
            break
    if len(data) - p < 4:
        raise Bad("torn checksum")
    if p + 4 - at > STORED_MAX:
        raise Bad("stored frame of %d" % (p + 4 - at))
    return p + 4, size


_contents = collections.OrderedDict()


def zstd_decode(data, limit):
    """The whole decompressed stream, or None; remembered, since a differential run asks again and again."""
    key = H(data)
    if key not in _contents:
        r = subprocess.run(["zstd", "-dcq", "--no-progress", "--no-pass-through"], input=data,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        _contents[key] = r.stdout if r.returncode == 0 and len(r.stdout) <= limit else None
        while len(_contents) > 256:
            _contents.popitem(last=False)
    else:
        _contents.move_to_end(key)
    return _contents[key]


def decode_frames(data, spans):
    """spans: (start, end, content size). The contents of the longest decodable prefix of frames."""
    if not spans:
        return []
    whole = zstd_decode(data[:spans[-1][1]], sum(s[2] for s in spans))
    if whole is not None and len(whole) == sum(s[2] for s in spans):
        out, at = [], 0
        for s in spans:
            out.append(whole[at:at + s[2]])
            at += s[2]
        return out
    out = []
    for start, end, size in spans:
        one = zstd_decode(data[start:end], size)
        if one is None or len(one) != size:
            break
        out.append(one)
    return out


# pcapng, section 3

def parse_options(body, wanted):
    """wanted: (code, length or None) in order. Returns the values; the list is ended and nothing follows."""
    values, at = [], 0
    for code, length in list(wanted) + [(0, 0)]:
        if len(body) - at < 4:
            raise Bad("option list ends early")
        c, n = struct.unpack_from("<HH", body, at)
        if c != code or (length is not None and n != length):
            raise Bad("option %d of %d bytes" % (c, n))
        padded = n + (-n % 4)
        if len(body) - at - 4 < padded or any(body[at + 4 + n:at + 4 + padded]):
            raise Bad("option value")
        values.append(body[at + 4:at + 4 + n])
        at += 4 + padded
    if at != len(body):
        raise Bad("bytes after the options")
    return values[:-1]


def parse_blocks(content):
    at, out = 0, []
    while at < len(content):
        if len(content) - at < 12:
            raise Bad("torn block")
        kind, total = struct.unpack_from("<II", content, at)
        if total < 12 or total % 4 or total > len(content) - at:
            raise Bad("block length %d" % total)
        if struct.unpack_from("<I", content, at + total - 4)[0] != total:
            raise Bad("trailing block length")
        out.append((kind, content[at + 8:at + total - 4]))
        at += total
    return out


def check_head_frame(content, begin):
    blocks = parse_blocks(content)
    if [k for k, _ in blocks] != [0x0A0D0D0A, 1]:
        raise Bad("frame 0 is not a section header and one interface")
    body = blocks[0][1]
    if body[:16] != struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1):
        raise Bad("section header")
    comment = parse_options(body[16:], [(1, 40)])[0]
    if not re.fullmatch(rb"nonce=[0-9a-f]{32}  ", comment):
        raise Bad("nonce of the section header")
    body = blocks[1][1]
    if body[:8] != struct.pack("<HHI", begin["linktype"], 0, begin["snaplen"]):
        raise Bad("interface description")
    name = begin["interface"].encode()
    values = parse_options(body[8:], ([(2, None)] if name else []) + [(9, 1)])
    if values[-1] != b"\x09" or (name and values[0] != name):
        raise Bad("interface description options")


Packet = collections.namedtuple("Packet", "ts origlen flags data")


def packet_of(body):
    if len(body) < 20:
        raise Bad("short packet block")
    interface, hi, lo, caplen, origlen = struct.unpack_from("<IIIII", body)
    if interface or caplen > 262144:
        raise Bad("packet block")
    padded = caplen + (-caplen % 4)
    if len(body) - 20 < padded or any(body[20 + caplen:20 + padded]):
        raise Bad("packet data")
    flags, rest = 0, body[20 + padded:]
    if rest:
        flags = struct.unpack("<I", parse_options(rest, [(2, 4)])[0])[0]
        if not flags:
            raise Bad("epb_flags of zero")
    return Packet(hi << 32 | lo, origlen, flags, body[20:20 + caplen])


def parse_isb(body):
    if len(body) < 12 or body[:4] != bytes(4):
        raise Bad("interface statistics")
    return [int.from_bytes(v, "little") for v in parse_options(body[12:], [(4, 8), (5, 8), (8, 8)])]


class SegmentWalk:
    """Frames of one file, in order: ends, packets and root after every frame that is whole and well-formed."""

    def __init__(self, data, begin, recording_id, salts):
        self.ends, self.counts, self.roots = [0], [0], [H()]
        self.ts_min = self.ts_max = None
        self.statistics, self.error = None, None
        self.lane, self.begin = begin["lane"], begin
        sid = H(b"sealtap segment v1\0", recording_id, struct.pack("<II", self.lane, begin["number"]))[:16]
        prk = hmac.new(bytes(32), salts or b"", hashlib.sha256).digest()
        key = hmac.new(prk, b"sealtap packet salt v1" + sid + b"\x01", hashlib.sha256).digest()
        self.cipher = Cipher(algorithms.AES(key), modes.ECB())
        head = (b"sealtap packet v1" + bytes(32))[:32] + sid + struct.pack("<II", self.lane, begin["linktype"]) + bytes(8)
        self.midstate = hashlib.sha256(head)
        self.tree = Tree()
        spans, at = [], 0
        try:
            while at < len(data):
                end, size = parse_frame(data, at)
                spans.append((at, end, size))
                at = end
        except Bad as e:
            self.error = "frame %d: %s" % (len(spans), e)
        contents = decode_frames(data, spans)
        if len(contents) < len(spans):
            self.error = "frame %d does not decompress" % len(contents)
        for i, content in enumerate(contents):
            try:
                self.frame(i, content)
            except Bad as e:
                self.error = "frame %d: %s" % (i, e)
                break
            self.ends.append(spans[i][1])
        self.frames = len(self.ends) - 1
        self.packets = self.counts[-1]

    def frame(self, i, content):
        packets = []
        if i == 0:
            check_head_frame(content, self.begin)
        else:
            if self.statistics is not None:
                raise Bad("a frame after the interface statistics")
            blocks = parse_blocks(content)
            if len(blocks) == 1 and blocks[0][0] == 5:
                self.statistics = parse_isb(blocks[0][1])
            else:
                for kind, body in blocks:
                    if kind != 6:
                        raise Bad("block of type %#x" % kind)
                    packets.append(packet_of(body))
        first = self.counts[-1]
        e = self.cipher.encryptor()
        salts = e.update(b"".join(n.to_bytes(16, "big") for n in range(first, first + len(packets))))
        cs = []
        for j, p in enumerate(packets):
            h = self.midstate.copy()
            h.update(salts[16 * j:16 * j + 16] + struct.pack("<QQIIII", first + j, p.ts, len(p.data), p.origlen, p.flags, 0))
            h.update(p.data)
            cs.append(h.digest())
            self.ts_min = p.ts if self.ts_min is None else min(self.ts_min, p.ts)
            self.ts_max = p.ts if self.ts_max is None else max(self.ts_max, p.ts)
        tiles = Tree()
        for a in range(0, len(cs), 256):
            tiles.add(b"".join(cs[a:a + 256]))
        self.tree.add(tiles.root())
        self.counts.append(first + len(packets))
        self.roots.append(self.tree.root())


# The verifier

class Result:
    def __init__(self):
        self.findings, self.complete, self.recording_id = [], "unknown", None

    def add(self, level, code, where="", detail=""):
        self.findings.append({"level": level, "code": code, "where": where, "detail": str(detail)})

    @property
    def verdict(self):
        levels = {f["level"] for f in self.findings}
        return next((v for v in (1, 3, 4) if v in levels), 0)

    def as_dict(self):
        words = {0: "valid", 1: "invalid", 3: "not-verified", 4: "consistent"}
        return {"result": words[self.verdict], "exit": self.verdict, "complete": self.complete,
                "recording_id": self.recording_id, "findings": self.findings}


DECIMAL = r"(?:0|[1-9][0-9]*)"
SEGMENT_NAME = re.compile(r"segments/(%s)/([0-9]{8}|[1-9][0-9]{8,})\.pcapng\.zst" % DECIMAL)
FLOWS_NAME = re.compile(r"flows/([0-9]{8}|[1-9][0-9]{8,9})\.jsonl\.zst")
DIRECTORIES = re.compile(r"segments|checkpoints|keys|sources|flows|segments/%s" % DECIMAL)
FILES = re.compile(r"ledger\.jsonl|checkpoint|checkpoint\.tmp|salts\.key|recovery\.json|keys/origin\.pub|"
                   r"(?:checkpoints/%s|keys/%s\.pub)|sources/%s\.extra\.jsonl\.zst|%s|%s"
                   % (DECIMAL, DECIMAL, DECIMAL, FLOWS_NAME.pattern, SEGMENT_NAME.pattern.replace("(%s)" % DECIMAL, DECIMAL)))


def sum_terms(c):
    return sum(int(c[k]) for k in ("recorded", "filtered", "out_of_scope", "shunted")) + sum(map(int, c["dropped"].values()))


def xdp_agrees(c):
    return "xdp" not in c or \
        int(c["driver"].get("dropped", -1)) == sum(int(c["xdp"][k]) for k in ("no_socket", "dropped", "ring_full"))


def decreased(a, b):
    for k in ("received", "recorded", "filtered", "out_of_scope", "shunted"):
        if int(b[k]) < int(a[k]):
            return k
    for g in ("dropped", "driver", "nic", "xdp"):
        for k in a.get(g, {}):
            if k in b.get(g, {}) and int(b[g][k]) < int(a[g][k]):
                return g + "." + k
    return None


class Verifier:
    def __init__(self, path, origin_pem=None, segments_on=(), held=()):
        self.path, self.origin_pem, self.held = os.fsencode(path), origin_pem, held
        self.given, self.places = [os.fsencode(d) for d in segments_on], []
        self.r = Result()
        self.cache = {}
        self.lines, self.objects = [], []
        self.closed = False

    def bad(self, code, where="", detail=""):
        self.r.add(1, code, where, detail)

    def where_of(self, name):
        """A segment may lie on another disk; a lane lies on one."""
        m = SEGMENT_NAME.fullmatch(name)
        base = self.lanes_on.get(m[1]) if m else None
        return os.path.join(base, name[9:].encode()) if base else os.path.join(self.path, name.encode())

    def read(self, name):
        """Bytes, or None with a finding when the file is there and unreadable. Missing is b'' with None as second."""
        if name not in self.cache:
            try:
                fd = os.open(self.where_of(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                with open(fd, "rb") as f:
                    self.cache[name] = f.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None
            except FileNotFoundError:
                self.cache[name] = None
            except OSError as e:
                if name in self.files:
                    self.r.add(3, "unreadable", name, e.strerror)
                self.cache[name] = None
                self.unread.add(name)
        return self.cache[name]

    def need(self, name):
        data = self.read(name)
        if data is None and name not in self.unread:
            self.bad("missing", name)
        return data

    # 1
    def directory(self):
        self.files, self.directories, self.unread, self.lanes_on = set(), set(), set(), {}
        self.folder(self.path, b"", None)
        for place in self.find_places():
            self.folder(place, b"segments/", place)

    def find_places(self):
        """DIR/<recording id>.segments, or DIR itself when that is its name."""
        try:
            with open(os.path.join(self.path, b"ledger.jsonl"), "rb") as f:
                line = f.readline(LINE_MAX + 1)
        except OSError:
            line = b""
        name = H(line).hex().encode() + b".segments"
        for d in self.given:
            itself = os.path.basename(d.rstrip(b"/")) == name
            path = d if itself else os.path.join(d, name)
            if not os.path.isdir(d):
                self.r.add(3, "unreadable", os.fsdecode(d), "no directory")
            elif not itself and (os.path.islink(path) or os.path.isfile(path)):
                self.bad("not-a-regular-file", os.fsdecode(path))
            elif line.endswith(b"\n") and os.path.isdir(path) and not any(
                    os.path.samefile(path, p) for p in self.places + [os.path.join(self.path, b"segments")] if os.path.isdir(p)):
                self.places.append(path)
        return self.places

    def folder(self, base, prefix, place):
        """All below base; prefix is its name in the recording."""
        seen = set()
        folders = [prefix]
        while folders:
            where = folders.pop()
            try:
                with os.scandir(os.path.join(base, where[len(prefix):])) as it:
                    entries = sorted(it, key=lambda e: e.name)
            except OSError as e:
                self.r.add(3, "unreadable", os.fsdecode(where), e.strerror)
                continue
            for e in entries:
                raw = where + e.name
                name = raw.decode("utf-8", "backslashreplace")
                if e.is_dir(follow_symlinks=False):
                    if raw == b"index":
                        continue
                    if DIRECTORIES.fullmatch(name):
                        self.directories.add(name)
                        folders.append(raw + b"/")
                    else:
                        self.bad("unexpected-name", name, "directory")
                elif e.is_file(follow_symlinks=False):
                    if FILES.fullmatch(name):
                        self.files.add(name)
                        seen.update(SEGMENT_NAME.fullmatch(name).groups()[:1] if SEGMENT_NAME.fullmatch(name) else ())
                    else:
                        self.bad("unexpected-name", name)
                else:
                    self.bad("not-a-regular-file", name)
        for lane in sorted(seen):
            if lane in self.lanes_on:
                self.r.add(3, "lane-twice", "segments/" + lane)
            else:
                self.lanes_on[lane] = place

    # 2 to 4
    def ledger(self):
        self.note = None
        raw = self.need("checkpoint")
        if raw is not None:
            try:
                self.note = parse_note(raw)
            except Bad as e:
                self.bad("checkpoint-form", "checkpoint", e)
        data = self.need("ledger.jsonl")
        if data is None:
            data = b""
            self.have_ledger = False
        else:
            self.have_ledger = True
        size = self.note.size if self.note else 0 if "checkpoint" in self.unread else None
        at = 0
        while size is None or len(self.lines) < size:
            end = data.find(b"\n", at, at + LINE_MAX + 1)
            if end < 0:
                if self.note and self.have_ledger:
                    self.bad("ledger-short", "line %d" % len(self.lines))
                break
            self.lines.append(data[at:end + 1])
            at = end + 1
        self.unsigned = data[at:]
        self.size = len(self.lines)
        for i, raw in enumerate(self.lines):
            try:
                self.objects.append(parse_line(raw[:-1]))
            except Bad as e:
                self.bad("ledger-form", "line %d" % i, e)
                self.objects.append(None)
        if self.lines:
            self.id = H(self.lines[0])
            self.r.recording_id = self.id.hex()
        self.lines_common()

    def lines_common(self):
        boot = clock = None
        lasted, long = None, False
        for i, o in enumerate(self.objects):
            where = "line %d" % i
            if o is None:
                continue
            if o["seq"] != i:
                self.bad("seq", where)
            if o["prev"] != (H(self.lines[i - 1]).hex() if i else "0" * 64):
                self.bad("prev", where)
            t = ns(o["t_boot"])
            if boot is not None:
                if t < boot:
                    self.bad("t_boot-decreases", where)
                elif t - boot > TEN_SECONDS and o["type"] != "gap":
                    self.bad("time-without-lines", where)
            step = 0 if boot is None else max(0, t - boot)
            boot = t
            if o["type"] == "gap":
                if ns(o["length"]) != step or (o["cause"] == "pause" and step <= TEN_SECONDS):
                    self.bad("gap-length", where)
            elif lasted is not None:
                lasted += step
                if lasted > EPOCH_MOST and not long:
                    long = True
                    self.bad("epoch-long", where)
            if o["type"] == "key":
                lasted, long = 0, False
            if (o["type"] == "open") != (i == 0):
                self.bad("open", where)
            if i == 1 and (o["type"] != "key" or o["epoch"] != 1):
                self.bad("line-1", where)
            if i == 2 and o["type"] != "clock":
                self.bad("line-2", where)
            if o["type"] == "close" and i != len(self.lines) - 1:
                self.bad("close-not-last", where)
            if o["type"] == "clock":
                clock = o
                if self.objects[0] and self.objects[0]["type"] == "open" and o["boot_id"] != self.objects[0]["host"]["boot_id"]:
                    self.bad("boot-id", where)
            if clock and o["type"] != "gap" and abs(ns(o["t_real"]) - t - ns(clock["offset"])) > int(clock["tolerance_ns"]):
                self.bad("clock", where)
        self.open = self.objects[0] if self.objects and self.objects[0] and self.objects[0]["type"] == "open" else None
        last = self.objects[-1] if self.objects else None
        self.closed = bool(self.note and last and last["type"] == "close" and self.size == self.note.size)

    def of(self, kind):
        return [(i, o) for i, o in enumerate(self.objects) if o and o["type"] == kind]

    def keys(self):
        self.public, self.named = {}, {}
        self.last_named = 0
        for n, (i, o) in enumerate(self.of("key"), 1):
            if o["epoch"] != n:
                self.bad("epoch", "line %d" % i)
            raw = bytes.fromhex(o["public_key"])
            if not canonical_key(raw):
                self.bad("key-not-canonical", "line %d" % i)
            if raw in self.public.values() or (self.open and o["public_key"] == self.open["origin_key"]):
                self.bad("key-reused", "line %d" % i)
            self.public[o["epoch"]], self.named[o["epoch"]] = raw, i
            self.last_named = max(self.last_named, o["epoch"])
        self.last_named += self.named_in_unsigned()
        self.origin = None
        if self.open:
            self.origin = bytes.fromhex(self.open["origin_key"])
            if not canonical_key(self.origin):
                self.bad("key-not-canonical", "line 0")
            o = self.objects[1] if len(self.objects) > 1 else None
            if o and o["type"] == "key" and "origin_signature" in o:
                message = b"sealtap epoch1 v1\0" + self.id + bytes.fromhex(o["public_key"])
                if not signature_holds(self.origin, bytes.fromhex(o["origin_signature"]), message):
                    self.bad("origin-signature", "line 1")

    def named_in_unsigned(self):
        """How many keys whole unsigned lines name. Such lines decide nothing; their files may be there."""
        count = 0
        for raw in self.unsigned.split(b"\n")[:-1]:
            try:
                o = parse_line(raw)
            except Bad:
                break
            count += o["type"] == "key"
        return count

    # 5 and 6
    def note_holds(self, note, where, epoch, size):
        if note.id != (self.r.recording_id or ""):
            self.bad("checkpoint-recording", where)
        if note.size != size:
            self.bad("checkpoint-size", where, "%d, expected %d" % (note.size, size))
        if note.size in self.tree_roots and note.root != self.tree_roots[note.size]:
            self.bad("checkpoint-root", where)
        if 1 <= note.size <= len(self.lines) and note.head != H(self.lines[note.size - 1]).hex():
            self.bad("checkpoint-head", where)
        if note.epoch != epoch:
            self.bad("checkpoint-epoch", where, "epoch %d, expected %d" % (note.epoch, epoch))
        public = self.public.get(note.epoch)
        if public is None:
            self.bad("checkpoint-key", where)
            return
        if note.keyid != H(note.name, b"\n\x01", public)[:4]:
            self.bad("checkpoint-keyid", where)
        if not signature_holds(public, note.signature, note.message):
            self.bad("checkpoint-signature", where)

    def checkpoints(self):
        tree, self.tree_roots = Tree(), {}
        wanted = {i + 1 for i in self.named.values()} | {self.size} | {note.size for note in self.held}
        for i, raw in enumerate(self.lines, 1):
            tree.add(raw)
            if i in wanted:
                self.tree_roots[i] = tree.root()
        last = max(self.public, default=0)
        for e in range(1, last):
            where = "checkpoints/%d" % e
            raw = self.need(where)
            if raw is None:
                continue
            try:
                note = parse_note(raw)
            except Bad as x:
                self.bad("checkpoint-form", where, x)
                continue
            self.note_holds(note, where, e, self.named.get(e + 1, -1) + 1)
        for name in self.files:
            if name.startswith("checkpoints/") and self.have_ledger:
                e = int(name[12:])
                if e < 1 or (e >= last and (self.closed or e >= self.last_named)):
                    self.bad("unexpected-name", name, "no such final checkpoint")
        if self.note and self.have_ledger:
            signer = last
            if last > 1 and self.named[last] == self.size - 1:
                signer -= 1
            if self.note.size < 2:
                self.bad("checkpoint-size", "checkpoint")
            self.note_holds(self.note, "checkpoint", signer, self.note.size)
        if self.closed and "checkpoint.tmp" in self.files:
            self.bad("unexpected-name", "checkpoint.tmp")

    # 7
    def small_files(self):
        self.salts = self.need("salts.key")
        if self.salts is not None:
            if len(self.salts) != 32:
                self.bad("salts-length", "salts.key")
            if self.open and H(self.salts).hex() != self.open["salts_sha256"]:
                self.bad("salts", "salts.key")
        expected = {"keys/%d.pub" % e: raw for e, raw in self.public.items()}
        if self.origin:
            expected["keys/origin.pub"] = self.origin
        for name, raw in sorted(expected.items()):
            data = self.need(name)
            if data is not None and data != pem(raw):
                self.bad("key-file", name)
        # the file of the next key may stand on the disk before its line does
        last = max(self.public, default=0)
        for name in self.files:
            if name.startswith("keys/") and name not in expected and self.open:
                if self.closed or not last < int(name[5:-4]) <= self.last_named + 1:
                    self.bad("unexpected-name", name, "no such key")

    # 8 to 10
    def segments(self):
        self.begins, self.seals, self.progress = {}, {}, collections.defaultdict(list)
        self.retired, self.waiting = set(), collections.deque()
        lanes = []
        for i, o in enumerate(self.objects):
            where = "line %d" % i
            if o is None:
                continue
            if o["type"] == "begin":
                shape = {k: o[k] for k in ("source", "interface", "linktype", "snaplen")}
                if o["lane"] == len(lanes):
                    lanes.append({"next": 0, "shape": shape})
                if o["lane"] >= len(lanes):
                    self.bad("lane", where)
                    continue
                lane = lanes[o["lane"]]
                if o["number"] != lane["next"]:
                    self.bad("segment-number", where)
                lane["next"] = o["number"] + 1
                if shape != lane["shape"]:
                    self.bad("lane-changed", where)
                if self.open and o["source"] >= len(self.open["sources"]):
                    self.bad("source-index", where)
                self.begins[o["lane"], o["number"]] = o
            elif o["type"] == "progress":
                for p in o["segments"]:
                    key = p["lane"], p["number"]
                    if key not in self.begins:
                        self.bad("progress-without-begin", where)
                    elif key in self.seals:
                        self.bad("progress-after-segment", where)
                    else:
                        self.progress[key].append(p)
            elif o["type"] == "segment":
                key = o["lane"], o["number"]
                if key not in self.begins or key in self.seals:
                    self.bad("segment-without-begin", where)
                    continue
                if o["path"] != "segments/%d/%08d.pcapng.zst" % key:
                    self.bad("segment-path", where)
                self.seals[key] = o
                self.waiting.append(o)
            elif o["type"] == "retire":
                self.retire(o, where)
            elif o["type"] == "loss" and o["lane"] >= len(lanes):
                self.bad("loss-lane", where)
            elif o["type"] == "shunt":
                if o["lane"] >= len(lanes):
                    self.bad("shunt-lane", where)
                if "cutoff_bytes" not in (self.open or {}):
                    self.bad("shunt-without-cutoff", where)
        self.lane_count = len(lanes)
        for name in sorted(self.files):
            m = SEGMENT_NAME.fullmatch(name)
            if m and (int(m[1]), int(m[2])) not in self.begins:
                lane = int(m[1])
                following = lanes[lane]["next"] if lane < len(lanes) else 0
                if not self.closed and lane <= 4095 and int(m[2]) == following and self.read(name) == b"":
                    self.r.add(4, "begin-under-way", name)
                else:
                    self.bad("segment-without-begin", name)
        for name in sorted(self.directories):
            if self.closed and name.startswith("segments/") and int(name[9:]) >= len(lanes):
                self.bad("unexpected-name", name, "no such lane")
        self.walks = {}
        for key in sorted(self.begins):
            self.segment(key)

    def retire(self, o, where):
        policy = self.open.get("retention") if self.open else None
        if policy is None:
            self.bad("retire-without-policy", where)
            return
        # For want of room on one disk the oldest segment on it goes, else the oldest of all.
        disks = self.open.get("places", 1)
        seal = next((s for s in self.waiting
                     if o["reason"] != "min-free" or s["lane"] % disks == o["lane"] % disks), None)
        key = o["lane"], o["number"]
        if seal is None or key != (seal["lane"], seal["number"]):
            self.bad("retire-order", where, "lane %d segment %d" % key)
            return
        if any(o[k] != seal[k] for k in ("bytes", "sha256", "packets")):
            self.bad("retire-value", where)
        if o["reason"] == "keep-size":
            stored = sum(int(s["bytes"]) for s in self.waiting)
            stored += sum(int(self.progress[k][-1]["bytes"]) for k in self.begins if k not in self.seals and self.progress[k])
            good = "keep_bytes" in policy and stored > int(policy["keep_bytes"])
        elif o["reason"] == "keep-time":
            good = "keep_time" in policy and ns(o["t_boot"]) - ns(seal["t_boot"]) >= ns(policy["keep_time"])
        else:
            good = int(o["free"]) < int(policy["min_free"])
        if not good:
            self.bad("retire-reason", where, o["reason"])
        self.waiting.remove(seal)
        self.retired.add(key)

    def segment(self, key):
        path = "segments/%d/%08d.pcapng.zst" % key
        data = self.read(path)
        seal, marks = self.seals.get(key), self.progress[key]
        if not seal and "segments/%d" % key[0] not in self.directories and 1 + len(self.places) < (self.open or {}).get("places", 1):
            self.r.add(3, "lane-elsewhere", "segments/%d" % key[0])
        if data is None:
            if path in self.unread:
                return
            if key in self.retired:
                self.r.add(4, "segment-retired", path, "%s packets" % seal["packets"])
                return
            if seal or any(int(p["bytes"]) or int(p["frames"]) for p in marks):
                self.bad("missing", path)
            data = b""
        if key in self.retired:
            self.r.add(4, "retired-present", path)
        walk = SegmentWalk(data, self.begins[key], self.id, self.salts)
        self.walks[key] = walk, data
        for p in marks:
            n = int(p["frames"])
            if n > walk.frames:
                self.bad("progress", path, walk.error or "fewer frames than a progress line says")
            elif (int(p["bytes"]), int(p["packets"])) != (walk.ends[n], walk.counts[n]) or not self.same_root(p["root"], walk.roots[n]):
                self.bad("progress", path, "at frame %d" % n)
        if any(int(b["frames"]) < int(a["frames"]) for a, b in zip(marks, marks[1:])):
            self.bad("progress-decreases", path)
        if not seal:
            self.r.add(4, "segment-not-sealed", path, "%d of %d bytes signed"
                       % (int(marks[-1]["bytes"]) if marks else 0, len(data)))
            return
        if int(seal["bytes"]) != len(data):
            self.bad("segment-size", path)
        if seal["sha256"] != H(data).hex():
            self.bad("segment-sha256", path)
        if walk.error or walk.statistics is None:
            self.bad("segment-form", path, walk.error or "no interface statistics at the end")
        if (int(seal["frames"]), int(seal["packets"])) != (walk.frames, walk.packets):
            self.bad("segment-counts", path)
        if not self.same_root(seal["root"], walk.roots[-1]):
            self.bad("segment-root", path)
        if (ns(seal["ts_min"]), ns(seal["ts_max"])) != (walk.ts_min or 0, walk.ts_max or 0):
            self.bad("segment-times", path)
        end = seal["counters_end"]
        if walk.statistics is not None and walk.statistics != [
                int(end["received"]), sum(map(int, end["dropped"].values())), int(end["recorded"])]:
            self.bad("interface-statistics", path)

    def same_root(self, text, root):
        """Without the salts no commitment can be recomputed; the finding about salts.key stands already."""
        return self.salts is None or text == root.hex()

    def counters(self):
        zero = {"received": "0", "recorded": "0", "filtered": "0", "out_of_scope": "0", "shunted": "0",
                "dropped": dict.fromkeys(CAUSES, "0"), "driver": {}}
        self.newest = {}
        for lane in range(self.lane_count):
            chain, previous_end = [], zero
            numbers = sorted(n for l, n in self.begins if l == lane)
            for n in numbers:
                seal = self.seals.get((lane, n))
                where = "lane %d segment %d" % (lane, n)
                if seal:
                    begin, end = seal["counters_begin"], seal["counters_end"]
                    chain.append((where, begin))
                    if n == 0:
                        if sum_terms(begin) or int(begin["received"]) or \
                                any(int(n) for g in ("driver", "nic", "xdp") for n in begin.get(g, {}).values()):
                            self.bad("counters-begin", where)
                    elif previous_end is not None and begin != previous_end:
                        self.bad("counters-begin", where)
                    if int(end["recorded"]) - int(begin["recorded"]) != int(seal["packets"]):
                        self.bad("counters-recorded", where)
                chain += [(where, p["counters"]) for p in self.progress[lane, n]]
                if seal:
                    chain.append((where, end))
                previous_end = seal and end
            last = zero
            for where, c in chain:
                if int(c["received"]) != sum_terms(c) or not xdp_agrees(c):
                    self.bad("counters-law", where)
                if int(c["out_of_scope"]) or (int(c["shunted"]) and "cutoff_bytes" not in (self.open or {})):
                    self.bad("counters-unasked", where)
                k = decreased(last, c)
                if k:
                    self.bad("counters-decrease", where, k)
                last = c
            self.newest[lane] = last
            sealed = [n for n in numbers if (lane, n) in self.seals]
            if self.closed and sealed and len(sealed) == len(numbers):
                end = self.seals[lane, sealed[-1]]["counters_end"]
                for cause in CAUSES:
                    total = sum(int(o["frames"]) for _, o in self.of("loss") if (o["lane"], o["cause"]) == (lane, cause))
                    if total != int(end["dropped"][cause]):
                        self.bad("loss-sum", "lane %d %s" % (lane, cause))
                if sum(int(o["frames"]) for _, o in self.of("shunt") if o["lane"] == lane) != int(end["shunted"]):
                    self.bad("shunt-sum", "lane %d" % lane)

    # 17
    def flow_files(self):
        named, given_up, kept, sealed = {}, set(), collections.deque(), set()
        retired = set()
        for i, o in enumerate(self.objects):
            where = "line %d" % i
            if o is None:
                continue
            if o["type"] == "segment":
                sealed.add((o["lane"], o["number"]))
            elif o["type"] == "retire":
                retired.add((o["lane"], o["number"]))
            elif o["type"] == "flows":
                if named and o["number"] <= max(named):
                    self.bad("flows-number", where)
                    continue
                if o["path"] != "flows/%08d.jsonl.zst" % o["number"]:
                    self.bad("flows-path", where)
                    continue
                named[o["number"]] = o
                kept.append((o, frozenset(sealed)))
            elif o["type"] == "retire_flows":
                if "retention" not in (self.open or {}):
                    self.bad("retire-without-policy", where)
                elif not kept or kept[0][0]["number"] != o["number"]:
                    self.bad("retire-order", where, "flow file %d" % o["number"])
                else:
                    line, before = kept.popleft()
                    given_up.add(o["number"])
                    if any(o[k] != line[k] for k in ("bytes", "sha256")):
                        self.bad("retire-value", where)
                    if not before <= retired or not retired:
                        self.bad("retire-reason", where, "segments older than the flow file are kept")
        for number, o in named.items():
            path = o["path"]
            if path not in self.files and number in given_up:
                self.r.add(4, "flows-retired", path)
                continue
            data = self.need(path)
            if data is not None and (len(data), H(data).hex()) != (int(o["bytes"]), o["sha256"]):
                self.bad("flows-file", path)
            if number in given_up:
                self.r.add(4, "retired-present", path)
        ended_early = any(o["kind"] in ("supervisor-died", "flowlog-died", "flows-ended") for _, o in self.of("incident"))
        for name in sorted(self.files):
            m = FLOWS_NAME.fullmatch(name)
            if m and int(m[1]) not in named:
                if self.closed and not ended_early:
                    self.bad("unexpected-name", name, "no flows line names it")
                else:
                    self.r.add(4, "flows-not-sealed", name)

    # 11
    def sources(self):
        expected, indexes = set(), set()
        for i, o in self.of("source"):
            where = "line %d" % i
            if o["index"] in indexes:
                self.bad("source-twice", where)
            indexes.add(o["index"])
            if self.open and o["index"] >= len(self.open["sources"]):
                self.bad("source-index", where)
            extra = o.get("extra")
            if not extra:
                continue
            path = "sources/%d.extra.jsonl.zst" % o["index"]
            if extra["path"] != path:
                self.bad("extra-path", where)
                continue
            expected.add(path)
            data = self.need(path)
            if data is not None and (len(data), H(data).hex()) != (int(extra["bytes"]), extra["sha256"]):
                self.bad("extra", path)
        if not self.closed and self.open:
            # written before its line
            early = {"sources/%d.extra.jsonl.zst" % i for i in range(len(self.open["sources"])) if i not in indexes}
            for name in sorted(early & self.files):
                self.r.add(4, "source-not-finished", name)
            expected |= early
        for name in sorted(self.files):
            if name.startswith("sources/") and name not in expected:
                self.bad("unexpected-name", name, "no source line names it")

    # 12 and 13
    def end(self):
        if self.unsigned and self.note:
            if self.closed:
                self.bad("lines-after-close", "ledger.jsonl")
            else:
                self.r.add(4, "unsigned-lines", "ledger.jsonl", "%d bytes" % len(self.unsigned))
        if not self.closed:
            self.r.add(4, "not-closed")
            return
        o = self.objects[-1]
        if int(o["segments"]) != len(self.of("begin")) or int(o["packets"]) != sum(int(s["packets"]) for _, s in self.of("segment")):
            self.bad("close-counts", "line %d" % (self.size - 1))

    # 14
    def recovery(self):
        if "recovery.json" not in self.files:
            return
        if self.closed:
            self.bad("recovery-of-a-closed-recording", "recovery.json")
        raw = self.read("recovery.json")
        if raw is None:
            return
        try:
            if raw[-1:] != b"\n":
                raise Bad("no LF at the end")
            o = parse_object(raw[:-1], 16 << 20)
            RECOVERY(o)
        except Bad as e:
            self.bad("recovery-form", "recovery.json", e)
            return
        ledger, checkpoint = self.read("ledger.jsonl"), self.read("checkpoint")
        if ledger is None or checkpoint is None:
            return
        if (o["recording"], int(o["ledger_bytes"]), o["ledger_sha256"], o["checkpoint_sha256"]) != (
                self.r.recording_id, len(ledger), H(ledger).hex(), H(checkpoint).hex()):
            self.bad("recovery-about-other-files", "recovery.json")
        if self.note and int(o["checkpoint_size"]) != self.note.size:
            self.bad("recovery-checkpoint-size", "recovery.json")
        expected = []
        for key in sorted(set(self.begins) - set(self.seals)):
            if key not in self.walks:
                return
            walk, data = self.walks[key]
            p = self.progress[key][-1] if self.progress[key] else {"frames": "0", "packets": "0"}
            expected.append({
                "lane": key[0], "number": key[1], "file_bytes": str(len(data)), "file_sha256": H(data).hex(),
                "signed_frames": p["frames"], "signed_packets": p["packets"], "frames": str(walk.frames),
                "packets": str(walk.packets), "bytes": str(walk.ends[-1]), "root": walk.roots[-1].hex()})
        if o["segments"] != expected:
            self.bad("recovery-segments", "recovery.json")
        signature = o.pop("origin_signature", None)
        if signature is not None and self.origin:
            statement = canonical(o).encode() + b"\n"
            message = b"sealtap recovery v1\0" + self.id + H(statement)
            if not signature_holds(self.origin, bytes.fromhex(signature), message):
                self.bad("recovery-signature", "recovery.json")
        self.r.add(4, "recovered", "recovery.json", "signed by the origin key" if signature else "not signed")

    # 15
    def authenticated(self):
        if self.origin_pem is None:
            self.r.add(4, "not-authenticated", "", "no origin key was given")
        elif self.origin is None or read_pem(self.origin_pem) != self.origin:
            self.r.add(4, "not-authenticated", "", "the origin key given is not the key of this recording")

    # 16
    def held_outside(self):
        for note in self.held if self.lines else ():
            if note.id != self.r.recording_id:
                if self.open:
                    self.bad("checkpoint-contradicts", "", "of another recording")
            elif note.size > len(self.lines):
                self.bad("checkpoint-contradicts", "", "%d lines, and there are %d" % (note.size, len(self.lines)))
            elif note.root != self.tree_roots[note.size] or note.head != H(self.lines[note.size - 1]).hex():
                self.bad("checkpoint-contradicts", "", "other %d lines" % note.size)

    def is_complete(self):
        no = any(True for _ in self.of("gap"))
        no |= any("damage" in o for _, o in self.of("source"))
        no |= any(True for _ in self.of("retire"))
        no |= any(o["kind"] == "recorder-died" for _, o in self.of("incident"))
        silent = any(o["kind"] in PASSED_BY for _, o in self.of("incident"))
        for c in self.newest.values():
            nic = c.get("nic", {})
            no |= any(int(nic.get(k, "0")) for k in ("missed", "fifo", "over", "errors"))
            silent |= int(nic.get("dropped", "0")) > 0
            no |= any(map(int, c["dropped"].values())) or int(c["driver"].get("dropped", "0")) > 0
        if self.open:
            for (lane, _), b in self.begins.items():
                if b["source"] < len(self.open["sources"]) and self.open["sources"][b["source"]]["kind"] != "file":
                    silent |= "dropped" not in self.newest[lane]["driver"]
        return "no" if no else "unknown" if silent or not self.closed else "yes"

    def run(self):
        self.directory()
        self.ledger()
        self.keys()
        self.checkpoints()
        self.small_files()
        if self.lines:
            self.segments()
            self.counters()
            self.sources()
            self.flow_files()
            self.end()
            self.recovery()
            self.r.complete = self.is_complete()
        self.authenticated()
        self.held_outside()
        return self.r


def verify(path, origin_pem=None, segments_on=(), held=()):
    return Verifier(path, origin_pem, segments_on, held).run()


def main(argv):
    origin, as_json, quiet, paths, segments_on, held = None, False, False, [], [], []
    it = iter(argv)
    for a in it:
        if a == "--origin":
            origin = next(it, None)
            if origin is None:
                return usage()
        elif a == "--segments-on":
            segments_on += next(it, "").split(",")
        elif a == "--checkpoint":
            name = next(it, None)
            if name is None:
                return usage()
            try:
                with open(name, "rb") as f:
                    held.append(parse_note(f.read()))
            except (OSError, Bad) as e:
                print("verify.py: %s: %s" % (name, e), file=sys.stderr)
                return 2
        elif a == "--json":
            as_json = True
        elif a == "--quiet":
            quiet = True
        elif a.startswith("-"):
            return usage()
        else:
            paths.append(a)
    if len(paths) != 1:
        return usage()
    origin_pem = None
    if origin is not None:
        try:
            with open(origin, "rb") as f:
                origin_pem = f.read()
            read_pem(origin_pem)
        except (OSError, Bad) as e:
            print("verify.py: %s: %s" % (origin, e), file=sys.stderr)
            return 2
    r = verify(paths[0], origin_pem, segments_on, held)
    if as_json:
        print(json.dumps(r.as_dict(), indent=1))
    elif not quiet:
        for f in r.findings:
            print("%d %s %s %s" % (f["level"], f["code"], f["where"], f["detail"]))
        d = r.as_dict()
        print("%s, complete: %s" % (d["result"], d["complete"]))
    return r.verdict


def usage():
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

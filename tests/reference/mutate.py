#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mutations of a recording, for differential tests of verifiers.

  mutate.py RECORDING            lists the mutations that there are, by kind
  mutate.py RECORDING N OUT      writes the Nth mutation of seed 0 to the directory OUT

As a module: Recording(path) loads the files; sample(recording, n, seed) yields n Mutations; a Mutation's `apply()` gives
{path: bytes}. A recording is small enough to be held in memory.
"""
import json
import os
import random
import re
import struct
import sys


class Recording:
    def __init__(self, path):
        self.path, self.files = path, {}
        for top, names, files in os.walk(path):
            if top == path and "index" in names:
                names.remove("index")
            for n in files:
                full = os.path.join(top, n)
                with open(full, "rb") as f:
                    self.files[os.path.relpath(full, path)] = f.read()
        self.ledger = self.files.get("ledger.jsonl", b"").splitlines(keepends=True)
        self.segments = {k: v for k, v in self.files.items() if k.startswith("segments/")}


class Mutation:
    def __init__(self, kind, detail, changes):
        self.kind, self.detail, self.changes = kind, detail, changes

    def apply(self, recording):
        files = dict(recording.files)
        for path, data in self.changes.items():
            if data is None:
                files.pop(path, None)
            else:
                files[path] = data
        return files

    def __str__(self):
        return "%s %s" % (self.kind, self.detail)


def write(files, where):
    for path, data in files.items():
        full = os.path.join(where, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data)


def frame_ends(data):
    """Ends of zstd frames; a file that is not well-formed gives what stands before the fault."""
    ends, at = [], 0
    while data[at:at + 4] == b"\x28\xb5\x2f\xfd" and len(data) > at + 5:
        d = data[at + 4]
        p = at + 5 + (0 if d & 0x20 else 1) + (0, 1, 2, 4)[d & 3]
        p += (1 if d & 0x20 else 0, 2, 4, 8)[d >> 6]
        while p + 3 <= len(data):
            h = int.from_bytes(data[p:p + 3], "little")
            p += 3 + (1 if h >> 1 & 3 == 1 else h >> 3)
            if h & 1:
                break
        p += 4 if d & 4 else 0
        if p > len(data):
            break
        ends.append(p)
        at = p
    return ends


# One function for each kind: rng, recording -> Mutation or None when there is nothing to mutate

def bit_flip(rng, r):
    path = rng.choice(sorted(k for k in r.files if r.files[k]))
    data = bytearray(r.files[path])
    # small files deserve as many flips as large ones, and the heads of large ones more than their middle
    at = rng.randrange(len(data)) if rng.random() < 0.7 else rng.randrange(min(len(data), 64))
    bit = rng.randrange(8)
    data[at] ^= 1 << bit
    return Mutation("bit-flip", "%s byte %d bit %d" % (path, at, bit), {path: bytes(data)})


def byte_set(rng, r):
    path = rng.choice(sorted(k for k in r.files if r.files[k]))
    data = bytearray(r.files[path])
    at, value = rng.randrange(len(data)), rng.choice(b"\0\n\r \"\\0123459aAfF{}[],:/=+-\x7f\x80\xff")
    if data[at] == value:
        return None
    data[at] = value
    return Mutation("byte-set", "%s byte %d to %#x" % (path, at, value), {path: bytes(data)})


def truncate(rng, r):
    path = rng.choice(sorted(k for k in r.files if r.files[k]))
    data = r.files[path]
    n = rng.choice([0, 1, len(data) - 1, rng.randrange(len(data))])
    return Mutation("truncate", "%s to %d" % (path, n), {path: data[:n]}) if n < len(data) else None


def append(rng, r):
    path = rng.choice(sorted(r.files))
    tail = rng.choice([b"\0", b"\n", b"x", b"{}\n", bytes(4096), r.files[path][:50], b"\x50\x2a\x4d\x18\0\0\0\0"])
    return Mutation("append", "%s %d bytes" % (path, len(tail)), {path: r.files[path] + tail}) if tail else None


def insert_or_cut(rng, r):
    path = rng.choice(sorted(k for k in r.files if len(r.files[k]) > 2))
    data = r.files[path]
    at = rng.randrange(len(data))
    if rng.random() < 0.5:
        return Mutation("cut", "%s byte %d" % (path, at), {path: data[:at] + data[at + 1:]})
    return Mutation("insert", "%s byte %d" % (path, at), {path: data[:at] + rng.choice([b" ", b"0", b"\0", b"\n"]) + data[at:]})


def delete_file(rng, r):
    path = rng.choice(sorted(r.files))
    return Mutation("delete-file", path, {path: None})


def swap_files(rng, r):
    groups = [sorted(k for k in r.files if k.startswith(p)) for p in ("segments/", "keys/", "checkpoint", "sources/")]
    groups = [g for g in groups if len(g) > 1]
    if not groups:
        return None
    a, b = rng.sample(rng.choice(groups), 2)
    if r.files[a] == r.files[b]:
        return None
    return Mutation("swap-files", "%s %s" % (a, b), {a: r.files[b], b: r.files[a]})


def copy_file(rng, r):
    a = rng.choice(sorted(r.files))
    b = rng.choice(["keys/9.pub", "checkpoints/9", "segments/0/00000099.pcapng.zst", "segments/9/00000000.pcapng.zst",
                    "sources/9.extra.jsonl.zst", "recovery.json", "checkpoint.tmp", "flows/0", "custody.jsonl", "a",
                    "checkpoints/1", "checkpoints/2", "keys/2.pub", "keys/3.pub", "index/x", "keys/01.pub", "salts.key.age"])
    if r.files.get(b) == r.files[a]:
        return None
    return Mutation("copy-file", "%s to %s" % (a, b), {b: r.files[a]})


def rename_file(rng, r):
    a = rng.choice(sorted(r.files))
    b = a + rng.choice([".age", "~", ".bak"])
    return Mutation("rename-file", "%s to %s" % (a, b), {a: None, b: r.files[a]})


def ledger_lines(rng, r):
    lines = list(r.ledger)
    if len(lines) < 2:
        return None
    kind = rng.choice(["delete", "duplicate", "swap", "move-to-end", "cut-after", "repeat-all", "drop-last"])
    i = rng.randrange(len(lines))
    if kind == "delete":
        del lines[i]
    elif kind == "duplicate":
        lines.insert(i, lines[i])
    elif kind == "swap":
        j = rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == "move-to-end":
        lines.append(lines.pop(i))
    elif kind == "cut-after":
        lines = lines[:i + 1]
    elif kind == "repeat-all":
        lines = lines + lines[i:]
    else:
        lines = lines[:-1]
    data = b"".join(lines)
    return Mutation("ledger-" + kind, "line %d" % i, {"ledger.jsonl": data}) if data != r.files["ledger.jsonl"] else None


def ledger_value(rng, r):
    """Another value of the same form, the line printed again in the same form."""
    i = rng.randrange(len(r.ledger))
    raw = r.ledger[i]
    spots = list(re.finditer(rb'"[0-9a-f]{32,128}"|"[0-9]+"|"[0-9]+\.[0-9]{9}"|:[0-9]+|"[a-z]+(?:-[a-z]+)*"', raw))
    if not spots:
        return None
    m = rng.choice(spots)
    old = m.group()
    if old.startswith(b":"):
        new = b":%d" % (int(old[1:]) + rng.choice([1, -1, 2**32, 2**53]) if rng.random() < 0.9 else 0)
    elif re.fullmatch(rb'"[0-9]{1,20}"', old):
        new = b'"%d"' % max(0, int(old[1:-1]) + rng.choice([1, -1, 2**64, 10]))
    elif len(old) > 30:
        new = b'"' + rng.randbytes(len(old) // 2 - 1).hex().encode() + b'"'
    else:
        new = old[:-2] + rng.choice([b"0", b"9", b"z", b"-"]) + b'"'
    if new == old:
        return None
    lines = list(r.ledger)
    lines[i] = raw[:m.start()] + new + raw[m.end():]
    return Mutation("ledger-value", "line %d %.40r to %.40r" % (i, old, new), {"ledger.jsonl": b"".join(lines)})


def ledger_form(rng, r):
    i = rng.randrange(len(r.ledger))
    raw = r.ledger[i]
    kind, new = rng.choice([
        ("space", raw.replace(b":", b": ", 1)), ("crlf", raw.replace(b"\n", b"\r\n")), ("no-lf", raw.replace(b"\n", b"")),
        ("empty-line", raw + b"\n"), ("escape", raw.replace(b"/", b"\\/", 1)), ("case", raw.replace(b"\\u00", b"\\U00", 1)),
        ("letter", raw.replace(b'"seq"', b'"\\u0073eq"', 1)), ("duplicate", raw.replace(b"}\n", b',"seq":%d}\n' % i)),
        ("order", raw.replace(b'{"seq":%d,' % i, b"{", 1).replace(b"}\n", b',"seq":%d}\n' % i)), ("float", raw.replace(b'"seq":%d,' % i, b'"seq":%d.0,' % i)),
    ])
    if new == raw:
        return None
    lines = list(r.ledger)
    lines[i] = new
    return Mutation("ledger-form-" + kind, "line %d" % i, {"ledger.jsonl": b"".join(lines)})


def frames(rng, r):
    path = rng.choice(sorted(r.segments)) if r.segments else None
    ends = frame_ends(r.segments[path]) if path else []
    if len(ends) < 2:
        return None
    data = r.segments[path]
    parts = [data[a:b] for a, b in zip([0] + ends[:-1], ends)]
    rest = data[ends[-1]:]
    kind = rng.choice(["swap", "delete", "duplicate", "cut", "skippable", "from-other", "tail-off"])
    i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
    if kind == "swap":
        parts[i], parts[j] = parts[j], parts[i]
    elif kind == "delete":
        del parts[i]
    elif kind == "duplicate":
        parts.insert(j, parts[i])
    elif kind == "cut":
        parts, rest = parts[:i], b""
    elif kind == "skippable":
        parts.insert(i, b"\x50\x2a\x4d\x18" + struct.pack("<I", 3) + b"abc")
    elif kind == "tail-off":
        rest = b""
    else:
        other = r.segments[rng.choice(sorted(r.segments))]
        cuts = [0] + frame_ends(other)
        k = rng.randrange(len(cuts) - 1) if len(cuts) > 1 else 0
        if len(cuts) > 1:
            parts[i] = other[cuts[k]:cuts[k + 1]]
    new = b"".join(parts) + rest
    return Mutation("frames-" + kind, "%s %d %d" % (path, i, j), {path: new}) if new != data else None


def rollback(rng, r):
    """An older checkpoint that really was signed, with or without the ledger cut to it."""
    old = sorted(k for k in r.files if k.startswith("checkpoints/"))
    if not old:
        return None
    path = rng.choice(old)
    size = int(r.files[path].split(b"\n")[1])
    changes = {"checkpoint": r.files[path]}
    detail = "to " + path
    if rng.random() < 0.5:
        changes["ledger.jsonl"] = b"".join(r.ledger[:size])
        detail += ", ledger cut"
    if rng.random() < 0.5:
        known = {json.loads(x).get("path") for x in r.ledger[:size] if b'"type":"segment"' in x}
        begun = {"segments/%d/%08d.pcapng.zst" % (o["lane"], o["number"]) for o in map(json.loads, r.ledger[:size]) if o["type"] == "begin"}
        changes.update({k: None for k in r.segments if k not in known | begun})
        detail += ", later segments gone"
    if rng.random() < 0.3:
        epoch = int(path.split("/")[1])
        for k in r.files:
            m = re.fullmatch(r"(?:checkpoints|keys)/([0-9]+)(?:\.pub)?", k)
            if m and int(m[1]) > epoch:
                changes[k] = None
        detail += ", later keys gone"
    if r.files.get("recovery.json") and rng.random() < 0.5:
        changes["recovery.json"] = None
    return Mutation("rollback", detail, changes)


def checkpoint_text(rng, r):
    path = rng.choice(sorted(k for k in r.files if k.startswith("checkpoint")))
    raw = r.files[path]
    lines = raw.split(b"\n")
    size = int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else 1
    kind, new = rng.choice([
        ("size", raw.replace(b"\n%d\n" % size, b"\n%d\n" % (size + rng.choice([-1, 1, 2**40])), 1)),
        ("zero", raw.replace(b"\n%d\n" % size, b"\n0%d\n" % size, 1)), ("crlf", raw.replace(b"\n", b"\r\n")),
        ("no-lf", raw[:-1]), ("two-signatures", raw + raw.split(b"\n\n", 1)[-1]), ("epoch", re.sub(rb"/([0-9]+) ", lambda m: b"/%d " % (int(m[1]) + 1), raw)),
        ("dash", raw.replace(b"\xe2\x80\x94", b"\xe2\x80\x93")), ("head", raw.replace(b"head ", b"HEAD ")), ("blank", raw.replace(b"\n\n", b"\n")),
        ("base64", raw.replace(b"=\n", b"\n")),
    ])
    return Mutation("checkpoint-" + kind, path, {path: new}) if new != raw else None


def recovery(rng, r):
    raw = r.files.get("recovery.json")
    if raw is None:
        return None
    kind, new = rng.choice([
        ("unsign", re.sub(rb',"origin_signature":"[0-9a-f]*"', b"", raw)), ("space", raw.replace(b":", b": ", 1)),
        ("number", re.sub(rb'"([0-9]+)"', lambda m: b'"%d"' % (int(m[1]) + 1), raw, count=rng.randrange(1, 9))),
        ("integer", re.sub(rb'"lane":([0-9]+)', lambda m: b'"lane":%d' % (int(m[1]) + 1), raw, count=1)),
        ("time", re.sub(rb'"t_real":"([0-9])', b'"t_real":"2', raw)), ("deleted", None),
    ])
    return Mutation("recovery-" + kind, "", {"recovery.json": new}) if new != raw else None


KINDS = [(bit_flip, 12), (byte_set, 6), (truncate, 3), (append, 3), (insert_or_cut, 4), (delete_file, 2), (swap_files, 2),
         (copy_file, 3), (rename_file, 1), (ledger_lines, 5), (ledger_value, 6), (ledger_form, 4), (frames, 5), (rollback, 3),
         (checkpoint_text, 3), (recovery, 2)]


def sample(recording, n, seed=0):
    rng = random.Random("%s %s" % (seed, sorted(recording.files)))
    functions = [f for f, w in KINDS for _ in range(w)]
    made = tries = 0
    while made < n and tries < 100 * n + 1000:
        tries += 1
        m = rng.choice(functions)(rng, recording)
        if m is not None:
            made += 1
            yield m


def main(argv):
    if len(argv) == 1:
        count = {}
        for m in sample(Recording(argv[0]), 2000):
            count[m.kind] = count.get(m.kind, 0) + 1
        for k in sorted(count):
            print("%5d %s" % (count[k], k))
        return 0
    if len(argv) == 3 and argv[1].isdigit() and not os.path.exists(argv[2]):
        r = Recording(argv[0])
        m = list(sample(r, int(argv[1]) + 1))[-1]
        write(m.apply(r), argv[2])
        print(m)
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

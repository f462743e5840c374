# SPDX-License-Identifier: Apache-2.0
"""Recordings whose signatures all hold and whose content is wrong (exit 1), or odd and right (exit 0 or 4).

Bit flips never come behind the signatures; these cases do. `?` marks a case that the format page leaves open: two
verifiers should agree about it, and no exit code is asserted.
"""
import hashlib
import os
import shutil
import struct

M = None  # the module make-vectors


def basic(rec):
    """One lane of two segments, a second lane of one, two epochs, a loss, closed."""
    rec.open(M.LIVE)
    a, b = rec.lane(), rec.lane(name="eth1", driver=False)
    s = rec.begin(a)
    t = rec.begin(b)
    rec.packets(s, [M.packet(rec.now() + i, M.ethernet(i, b"abc")) for i in range(3)])
    rec.progress(s, t)
    rec.count(a, pool=2)
    rec.loss(a, "pool", 2, rec.now(), rec.now() + 1)
    rec.packets(s, [M.packet(rec.now() + i, M.ethernet(i, b"x" * 9), flags=1) for i in range(2)])
    rec.progress(s)
    rec.key()
    rec.seal(s)
    u = rec.begin(a)
    rec.line("mark", {"by": "me", "text": "a note"})
    rec.line("heartbeat", {})
    rec.packets(u, [M.packet(rec.now(), M.ethernet(1))])
    rec.seal(u)
    rec.seal(t)
    rec.close()


def unclosed(rec):
    M.crash_body(rec)


def recovered(rec):
    M.recovered_signed(rec)


CASES = []


def case(name, code, body=None, **hooks):
    CASES.append((name, code, body or basic, hooks))


def on(kind, change, nth=0):
    """Changes the nth line of a kind; change edits the object in place or returns bytes or another object."""
    def hook(o, rec):
        if o["type"] == kind and rec.line_types.count(kind) == nth:
            r = change(o)
            return o if r is None else r
        return o
    return hook


def put(path, value):
    def change(o):
        *where, last = path.split(".")
        for k in where:
            o = o[int(k) if k.isdigit() else k]
        assert last in o, path
        o[last] = value(o[last]) if callable(value) else value
    return change


def text(before, after):
    def change(o):
        raw = M.jform(o)
        assert before in raw, before
        return (raw.replace(before, after, 1) + "\n").encode("latin-1")
    return change


def line(name, code, kind, change, nth=0, body=None):
    case(name, code, body, line=on(kind, change, nth))


def add(n):
    return lambda v: str(int(v) + n)


def reorder(o):
    return {k: o[k] for k in sorted(o)}


def reframe(raw, fcs=None, window=None, dictionary=False, flags=0, size=None, checksum=True, blocks=None):
    """The same blocks behind another header."""
    d = raw[4]
    single, old = d & 0x20, d >> 6
    at = 5 + (not single)
    width = (1, 2, 4, 8)[old]
    n = int.from_bytes(raw[at:at + width], "little") + (256 if old == 1 else 0)
    body = raw[at + width:]
    if not checksum:
        body = body[:-4]
    if blocks:
        body = blocks(body)
    fcs = 2 if fcs is None else fcs
    size = n if size is None else size
    head = bytes([fcs << 6 | (0x20 if window is None else 0) | (4 if checksum else 0) | (1 if dictionary else 0) | flags])
    head += b"" if window is None else bytes([window])
    head += b"\0" if dictionary else b""
    if not (fcs == 0 and window is not None):
        head += (size - 256 if fcs == 1 else size).to_bytes((1, 2, 4, 8)[fcs], "little")
    return raw[:4] + head + body


def frame(name, code, change, at=1, body=None):
    def hook(raw, s, n):
        return change(raw) if (s.lane, s.number, n) == (0, 0, at) else raw
    case(name, code, body, frame=hook)


def content(name, code, change, at=1, body=None):
    def hook(c, s, n):
        return change(c) if (s.lane, s.number, n) == (0, 0, at) else c
    case(name, code, body, content=hook)


def post(name, code, change, body=None):
    case(name, code, body, post=change)


def epb(p):
    return M.epb(p)


def replace(a, b):
    def change(c):
        assert a in c
        return c.replace(a, b, 1)
    return change


def note(name, code, change, body=None, last=True):
    """change gets the checkpoint's bytes; the newest one only."""
    def hook(rec):
        rec.files["checkpoint"] = change(rec.files["checkpoint"])
    case(name, code, body, post=hook)


def flip_base64(raw):
    """Another text that decodes to the same bytes."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    i = raw.index(b"=\nhead") - 1
    return raw[:i] + letters[letters.index(chr(raw[i])) ^ 1].encode() + raw[i + 1:]


def s_plus_order(s):
    order = 2**252 + 27742317777372353535851937790883648493
    return s[:32] + (int.from_bytes(s[32:], "little") + order).to_bytes(32, "little")


def files(**changes):
    def change(rec):
        for k, v in changes.items():
            rec.files[k] = v
    return change


def setf(path, value):
    def change(rec):
        rec.files[path] = value(rec.files[path]) if callable(value) else value
    return change


def drop(path):
    def change(rec):
        del rec.files[path]
    return change


def rollback(to):
    def change(rec):
        rec.files["checkpoint"] = rec.values["checkpoints"][to]["note"].encode()
    return change


def forged_tail(rec):
    """Segment 0/1 was edited after the crash, inside what the progress line signed."""
    s = next(s for s in rec.segments if (s.lane, s.number) == (0, 1))
    other = M.zstd(epb(M.packet(5, b"forged")))
    rec.files[s.path] = s.frames[0] + other


def build_cases():
    case("plain", 0)
    case("plain-unclosed", 4, unclosed)
    case("plain-recovered", 4, recovered)
    # form of a line
    line("json-space", 1, "mark", text('"by":', '"by": '))
    line("json-trailing-space", 1, "mark", lambda o: (M.jform(o) + " \n").encode())
    line("json-duplicate-key", 1, "mark", text('"by":"me"', '"by":"you","by":"me"'))
    line("json-key-order", 1, "mark", reorder)
    line("json-unknown-key", 1, "heartbeat", lambda o: dict(o, extra="1"))
    line("json-missing-key", 1, "mark", lambda o: {k: v for k, v in o.items() if k != "text"})
    line("json-reserved-type", 1, "heartbeat", put("type", "flows"))
    line("json-lower-escape", 1, "mark", text("a note", "\\u00e9"))
    line("json-upper-escape", 0, "mark", text("a note", "\\u00E9"))
    line("json-escaped-slash", 1, "mark", text("a note", "\\/"))
    line("json-nul", 1, "mark", text("a note", "\\u0000"))
    line("json-del", 1, "mark", text("a note", "\\u007F"))
    line("json-raw-del", 1, "mark", text("a note", "\x7f"))
    line("json-raw-latin1", 1, "mark", text("a note", "\xe9"))
    line("json-lone-surrogate", 1, "mark", text("a note", "\\uD800"))
    line("json-reversed-surrogates", 1, "mark", text("a note", "\\uDC00\\uD800"))
    line("json-surrogates", 0, "mark", text("a note", "\\uD83D\\uDCE6"))
    line("json-escaped-letter", 1, "mark", text("a note", "\\u0041"))
    line("json-escaped-newline-long", 1, "mark", text("a note", "\\u000A"))
    line("json-control", 0, "mark", text("a note", "\\u001F"))
    line("json-control-c1", 0, "mark", text("a note", "\\u0080\\u009F\\uFFFF"))
    line("json-backslash-u", 0, "mark", text("a note", "\\\\u00e9\\\\\\\\u0000"))
    line("json-tab", 1, "mark", text("a note", "\t"))
    line("json-cr", 1, "mark", lambda o: (M.jform(o) + "\r\n").encode())
    line("json-empty-line", 1, "mark", lambda o: b"\n")
    line("json-two-objects", 1, "heartbeat", lambda o: (M.jform(o) + "{}\n").encode())
    line("json-array", 1, "heartbeat", lambda o: b"[]\n")
    line("json-nested", 1, "mark", text('"a note"', "[" * 30000 + "]" * 30000))
    line("json-null", 1, "mark", text('"a note"', "null"))
    line("json-true", 1, "mark", text('"a note"', "true"))
    line("json-number-for-string", 1, "mark", text('"a note"', "5"))
    line("json-string-for-number", 1, "begin", text('"source":0', '"source":"0"'))
    line("json-fraction", 1, "begin", text('"source":0', '"source":0.0'))
    line("json-exponent", 1, "begin", text('"source":0', '"source":0e0'))
    line("json-minus-zero", 1, "begin", text('"source":0', '"source":-0'))
    line("json-leading-zero", 1, "begin", text('"source":0', '"source":00'))
    line("json-nan", 1, "begin", text('"source":0', '"source":NaN'))
    line("int-max", 0, "open", put("flush_ms", 2**53 - 1))
    line("int-over", 1, "open", put("flush_ms", 2**53))
    line("int-huge", 1, "open", put("flush_ms", 10**400))
    line("u64-max", 0, "progress", put("sync_ns_max", str(2**64 - 1)))
    line("u64-over", 1, "progress", put("sync_ns_max", str(2**64)))
    line("u64-leading-zero", 1, "progress", put("sync_ns_max", "01"))
    line("u64-empty", 1, "progress", put("sync_ns_max", ""))
    line("u64-newline", 1, "progress", put("sync_ns_max", "1\n"))
    line("u64-plus", 1, "progress", put("sync_ns_max", "+1"))
    line("u64-integer", 1, "progress", put("sync_ns_max", 1))
    line("time-eight-digits", 1, "loss", put("t_first", "5.00000000"))
    line("time-leading-zero", 1, "loss", put("t_first", "05.000000000"))
    line("time-over", 1, "loss", put("t_first", "18446744074.000000000"))
    line("time-max", 0, "loss", put("t_last", "18446744073.709551615"))
    line("time-beyond-u64", 1, "loss", put("t_last", "18446744073.999999999"))
    line("time-backwards-loss", "?", "loss", put("t_last", "5.000000000"))
    line("hex-upper", 1, "mark", put("nonce", lambda v: "AB" + v[2:]))
    line("hex-short", 1, "mark", put("nonce", lambda v: v[1:]))
    line("long-line", 0, "mark", lambda o: o.update(text="x" * (65535 - len(M.jform(o)) + len(o["text"]))))
    line("too-long-line", 1, "mark", lambda o: o.update(text="x" * (65536 - len(M.jform(o)) + len(o["text"]))))
    # common keys
    line("seq", 1, "mark", put("seq", 4))
    line("prev", 1, "mark", put("prev", "1" * 64))
    line("boot-decreases", 1, "mark", put("t_boot", "4999.999999999"))
    case("pause", 1, lambda r: paused(r, 10 * M.SECOND + 1, None))
    case("pause-just-not", 0, lambda r: paused(r, 10 * M.SECOND, None))
    case("pause-with-gap", 0, lambda r: paused(r, 3600 * M.SECOND, "pause"))
    for by, code in ((-1, 1), (1, 1), (-3600 * M.SECOND, 1)):
        line("gap-length%+d" % by, code, "gap", put("length", lambda v, by=by: shifted(v, by)), 0, lambda r: paused(r, 3600 * M.SECOND, "pause"))
    case("gap-pause-of-ten-seconds", 1, lambda r: paused(r, 10 * M.SECOND, "pause"))
    case("gap-suspend-of-a-second", 0, lambda r: paused(r, M.SECOND, "suspend"))
    case("epoch-90-seconds", 0, lambda r: long_epoch(r, 90 * M.SECOND))
    case("epoch-longer", 1, lambda r: long_epoch(r, 90 * M.SECOND + 1))
    case("epoch-longer-the-first", 1, lambda r: long_epoch(r, 90 * M.SECOND + 1, which=1))
    case("epoch-longer-the-last", 1, lambda r: long_epoch(r, 90 * M.SECOND + 1, which=3))
    case("epoch-longer-with-a-gap", 0, lambda r: long_epoch(r, 90 * M.SECOND, gap=True))
    case("epoch-longer-beside-a-gap", 1, lambda r: long_epoch(r, 90 * M.SECOND + 1, gap=True))
    case("key-reused", 1, lambda r: long_epoch(r, M.SECOND), secret=lambda s, e, r: r.epoch_seeds[0] if e == 3 else s)
    case("key-reused-next", 1, lambda r: long_epoch(r, M.SECOND), secret=lambda s, e, r: r.epoch_seeds[0] if e == 2 else s)
    case("key-is-the-origin", 1, lambda r: long_epoch(r, M.SECOND),
         secret=lambda s, e, r: M.seed(r.name, "origin") if e == 2 else s)
    case("pause-unknown-cause", 1, lambda r: paused(r, 11 * M.SECOND, "sleep"))
    line("clock-drift", 1, "mark", lambda o: o.update(t_real=shifted(o["t_real"], 100000001)))
    line("clock-drift-allowed", 0, "mark", lambda o: o.update(t_real=shifted(o["t_real"], 100000000)))
    line("clock-drift-back", 1, "mark", lambda o: o.update(t_real=shifted(o["t_real"], -100000001)))
    line("clock-drift-before-clock", "?", "key", lambda o: o.update(t_real=shifted(o["t_real"], 5 * M.SECOND)))
    line("clock-own-line", 1, "clock", lambda o: o.update(t_real=shifted(o["t_real"], 5 * M.SECOND)))
    line("clock-tolerance", 1, "clock", put("tolerance_ns", "100000001"))
    line("clock-boot-id", 1, "clock", put("boot_id", "another"))
    line("line-2-not-clock", 1, "clock", lambda o: {**{k: o[k] for k in list(o)[:6]}, "type": "heartbeat"})
    # open
    line("open-format", 1, "open", put("format", "sealtap/v2"))
    line("open-mode", 1, "open", put("mode", "headers"))
    line("open-no-sources", 1, "open", put("sources", []))
    line("open-source-kind", 1, "open", put("sources.0.kind", "tap"))
    line("open-authority", 1, "open", put("authority.kind", "court"))
    line("open-origin-prev", 1, "open", put("origin_prev", "2" * 64))
    line("open-origin-seq", 0, "open", put("origin_seq", 7))
    line("open-salts", 1, "open", put("salts_sha256", "3" * 64))
    line("open-time-source", 1, "open", put("time_source", "ptp"))
    line("open-empty-strings", "?", "open", put("sensor", ""))
    case("open-twice", 1, opened_twice)
    case("close-in-the-middle", 1, closed_twice)
    # keys and signatures
    line("key-epoch-gap", 1, "key", put("epoch", 3), 1)
    line("key-origin-signature", 1, "key", put("origin_signature", "0" * 128))
    line("key-origin-signature-missing", 1, "key", lambda o: {k: v for k, v in o.items() if k != "origin_signature"})
    line("key-origin-signature-in-2", 1, "key", lambda o: dict(o, origin_signature="0" * 128), 1)
    line("key-origin-signature-s", 1, "key", put("origin_signature", lambda v: s_plus_order(bytes.fromhex(v)).hex()))
    for name, raw in (("identity", "01" + "00" * 31), ("identity-sign", "01" + "00" * 30 + "80"), ("zero", "00" * 32),
                      ("zero-sign", "00" * 31 + "80"), ("minus-one", "ec" + "ff" * 30 + "7f"), ("minus-one-sign", "ec" + "ff" * 31),
                      ("over-p-zero", "ed" + "ff" * 30 + "7f"), ("over-p-one", "ee" + "ff" * 30 + "7f"), ("over-p-one-sign", "ee" + "ff" * 31),
                      ("order-8-a", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
                      ("order-8-b", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
                      ("order-8-a-sign", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
                      ("order-8-b-sign", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa")):
        raw = bytes.fromhex(raw)
        case("key-" + name, 1, public_key=lambda r, e, raw=raw: raw if e == 2 else r,
             signature=lambda s, size, message, raw=raw: forge(raw, message) if size > 9 else s)
    case("signature-s-plus-order", 1, signature=lambda s, size, message: s_plus_order(s))
    case("scope-later-key-signs-past", 1, signer=lambda e, size: 2 if size == 13 else e, public_key=lambda r, e: r,
         post=lambda rec: resign(rec, "checkpoints/1", 2))
    case("scope-older-key-goes-on", 1, post=lambda rec: resign(rec, "checkpoint", 1))
    case("checkpoint-message-size", 1, message=lambda m, size: m.replace("\n%d\n" % size, "\n%d\n" % (size - 1)))
    case("checkpoint-message-head", 1, message=lambda m, size: m[:-3] + ("0" if m[-3] != "0" else "1") + m[-2:])
    case("checkpoint-message-root", 1, message=lambda m, size: m.replace(m.split("\n")[2], "A" * 43 + "="))
    case("checkpoint-message-id", 1, message=lambda m, size: "sealtap/v1/" + "0" * 64 + m[75:])
    case("checkpoint-extension-line", 1, message=lambda m, size: m + "more\n")
    note("checkpoint-base64", 1, flip_base64)
    note("checkpoint-crlf", 1, lambda r: r.replace(b"\n", b"\r\n"))
    note("checkpoint-no-lf", 1, lambda r: r[:-1])
    note("checkpoint-second-signature", 1, lambda r: r + r[r.index(b"\xe2\x80\x94"):])
    note("checkpoint-trailing-nul", 1, lambda r: r + b"\0")
    note("checkpoint-leading-zero", 1, lambda r: r.replace(b"\n", b"\n0", 1))
    note("checkpoint-hyphen", 1, lambda r: r.replace(b"\xe2\x80\x94", b"--"))
    note("checkpoint-empty", 1, lambda r: b"")
    note("checkpoint-other-name", 1, lambda r: r.replace(b"/2 ", b"/3 "))
    post("checkpoint-missing", 1, drop("checkpoint"))
    post("checkpoint-final-missing", 1, drop("checkpoints/1"))
    post("checkpoint-final-older", 1, lambda rec: rec.files.update({"checkpoints/1": rec.values["checkpoints"][2]["note"].encode()}))
    post("checkpoint-final-extra", 1, lambda rec: rec.files.update({"checkpoints/2": rec.files["checkpoint"]}))
    post("checkpoint-final-zero", 1, lambda rec: rec.files.update({"checkpoints/0": rec.files["checkpoints/1"]}))
    for i in range(len(probe(basic).values["checkpoints"]) - 1):
        post("rollback-%02d" % i, "?" if i < 6 else "?", rollback(i))
    # begin
    line("begin-lane-skips", 1, "begin", put("lane", 2), 1)
    line("begin-number-skips", 1, "begin", put("number", 2), 2)
    line("begin-number-repeats", 1, "begin", put("number", 0), 2)
    line("begin-source", 1, "begin", put("source", 1))
    line("begin-linktype-changes", 1, "begin", put("linktype", 113), 2)
    line("begin-interface-changes", 1, "begin", put("interface", "eth7"), 2)
    line("begin-linktype-over", 1, "begin", put("linktype", 65536))
    case("interface-255", 0, lambda r: named(r, "\u00e9" * 127 + "x"))
    case("interface-256", 1, lambda r: named(r, "\u00e9" * 128))
    # progress and segment
    for k, v in (("frames", add(1)), ("bytes", add(1)), ("packets", add(-1)), ("root", "4" * 64)):
        line("progress-" + k, 1, "progress", put("segments.0." + k, v))
        line("segment-" + k, 1, "segment", put(k, v))
        line("unclosed-progress-" + k, 1, "progress", put("segments.0." + k, v), 0, unclosed)
    line("progress-frames-over", 1, "progress", put("segments.0.frames", "9"))
    line("progress-frames-huge", 1, "progress", put("segments.0.frames", str(2**64 - 1)))
    line("progress-lane", 1, "progress", put("segments.0.lane", 7))
    line("progress-empty", 1, "progress", put("segments", []))
    line("progress-twice-in-line", "?", "progress", lambda o: o["segments"].append(o["segments"][0]))
    case("progress-after-segment", "?", progress_late)
    case("progress-zero-frames", "?", progress_zero)
    case("progress-falls", "?", progress_falls)
    line("segment-sha256", 1, "segment", put("sha256", "5" * 64))
    line("segment-path", 1, "segment", put("path", "segments/1/00000000.pcapng.zst"))
    line("segment-ts-min", 1, "segment", put("ts_min", "0.000000000"))
    line("segment-ts-max", 1, "segment", put("ts_max", lambda v: shifted(v, 1)))
    line("segment-sealed", 1, "segment", put("sealed", "me"))
    line("segment-number", 1, "segment", put("number", 1))
    case("segment-twice", 1, sealed_twice)
    case("segment-unsealed-in-closed", 4, unsealed_closed)
    # counters
    for k, v in (("received", add(1)), ("recorded", add(1)), ("filtered", add(1)), ("dropped.pool", add(1)), ("shunted", add(1))):
        line("law-end-" + k, 1, "segment", put("counters_end." + k, v))
        line("law-progress-" + k, 1, "progress", put("segments.0.counters." + k, v))
        line("law-begin-" + k, 1, "segment", put("counters_begin." + k, v), 1)
    line("law-wraps", 1, "progress", lambda o: o["segments"][0]["counters"].update(
        received="3", recorded="3", filtered=str(2**64 - 1), out_of_scope="1"))
    case("counted-plain", 0, M.counted)
    for k, change in (("xdp.ring_full", add(1)), ("xdp.no_socket", add(-1)), ("driver.dropped", add(1)), ("xdp.fill_empty", add(-1)),
                      ("nic.received", add(-10))):
        line("counters-%s-wrong" % k.replace(".", "-"), 1, "segment", put("counters_end." + k, change), 0, M.counted)
    line("counters-fill-empty-not-in-the-law", 0, "segment", put("counters_end.xdp.fill_empty", add(7)), 1, M.counted)
    for name, change in (("xdp-without-driver-dropped", lambda o: o["segments"][0]["counters"]["driver"].pop("dropped") and None),
                         ("xdp-key-missing", lambda o: o["segments"][0]["counters"]["xdp"].pop("fill_empty") and None),
                         ("xdp-key-more", put("segments.0.counters.xdp", lambda v: dict(v, rx_invalid_descs="0"))),
                         ("xdp-before-nic", put("segments.0.counters", lambda c: {k: c[k] for k in (
                             "received", "recorded", "filtered", "out_of_scope", "shunted", "dropped", "driver", "xdp", "nic")})),
                         ("xdp-number", put("segments.0.counters.xdp.dropped", 0))):
        line("counters-" + name, 1, "progress", change, 0, M.counted)
    case("counters-first-not-zero", 1, first_counted)
    case("counters-decrease", 1, counters_fall)
    case("counters-jump", 1, counters_jump)
    case("counters-recorded-jumps", 1, recorded_jumps)
    line("counters-driver-falls", 1, "segment", put("counters_end.driver.received", "0"))
    line("counters-driver-key", 1, "segment", lambda o: o["counters_end"]["driver"].update(missed="0"))
    line("counters-driver-order", 1, "segment", lambda o: o["counters_end"].update(driver={"dropped": "0", "received": "5"}))
    nic = dict.fromkeys(("received", "missed", "fifo", "over", "errors", "dropped"), "7")
    line("counters-nic", 0, "segment", lambda o: o["counters_end"].update(nic=nic), 2)
    line("counters-nic-first-not-zero", 1, "segment", lambda o: o["counters_begin"].update(nic=nic))
    line("counters-nic-key", 1, "segment", lambda o: o["counters_end"].update(nic=dict(nic, crc="0")), 2)
    line("counters-nic-no-key", 1, "segment", lambda o: o["counters_end"].update(nic={"received": "7"}), 2)
    line("counters-nic-order", 1, "segment", lambda o: o["counters_end"].update(nic=dict(reversed(nic.items()))), 2)
    line("counters-nic-place", 1, "segment", lambda o: o["counters_end"].update(
        nic=nic, driver=o["counters_end"].pop("driver")), 2)
    line("loss-frames", 1, "loss", put("frames", "1"))
    line("loss-cause", 1, "loss", put("cause", "disk"))
    line("loss-unknown-cause", 1, "loss", put("cause", "cable"))
    line("loss-lane", 1, "loss", put("lane", 1))
    line("loss-unknown-lane", "?", "loss", put("lane", 9))
    # what a cutoff leaves out
    def cut(name, code, kind, change, nth=0):
        case(name, code, M.shunted, line=on(kind, change, nth))
    cut("shunt-frames", 1, "shunt", put("frames", "1001"))
    cut("shunt-bytes", 0, "shunt", put("bytes", str(2**64 - 1)))
    cut("shunt-bytes-number", 1, "shunt", put("bytes", 1))
    cut("shunt-lane", 1, "shunt", put("lane", 1))
    cut("shunt-unknown-lane", 1, "shunt", put("lane", 9))
    cut("shunt-lane-over", 1, "shunt", put("lane", 4096))
    cut("shunt-frames-wrap", 1, "shunt", put("frames", str(2**64 - 1)))
    cut("shunt-time", 1, "shunt", put("t_first", "5"))
    cut("shunt-key", 1, "shunt", lambda o: o.update(cause="pool"))
    cut("shunt-as-loss", 1, "shunt", lambda o: o.update(type="loss"))
    cut("cutoff-gone", 1, "open", without_cutoff)
    cut("cutoff-zero", 1, "open", put("cutoff_bytes", "0"))
    cut("cutoff-number", 1, "open", put("cutoff_bytes", 65536))
    cut("cutoff-apps", 0, "open", lambda o: o.update(cutoff_apps="HTTP,TLS.YouTube"))
    cut("cutoff-apps-empty", 1, "open", lambda o: o.update(cutoff_apps=""))
    cut("cutoff-apps-hole", 1, "open", lambda o: o.update(cutoff_apps="HTTP,,TLS"))
    cut("cutoff-apps-end", 1, "open", lambda o: o.update(cutoff_apps="HTTP,"))
    cut("cutoff-apps-list", 1, "open", lambda o: o.update(cutoff_apps=["HTTP"]))
    cut("cutoff-apps-place", 1, "open", lambda o: dict([("cutoff_apps", "HTTP"), *o.items()]))
    cut("cutoff-other", 0, "open", put("cutoff_bytes", str(2**64 - 1)))
    cut("cutoff-place", 1, "open", lambda o: dict([("cutoff_bytes", o["cutoff_bytes"]), *o.items()]))
    cut("shunted-more", 1, "segment", put("counters_end.shunted", add(1)))
    cut("shunted-for-filtered", 1, "segment", lambda o: o["counters_end"].update(
        shunted="0", filtered=o["counters_end"]["shunted"]))
    cut("shunted-falls", 1, "progress", lambda o: o["segments"][0]["counters"].update(shunted="0", filtered="1000"), 1)
    case("shunted-without-cutoff", 1, shunted_unasked)
    case("cutoff-apps-alone", 1, apps_alone)
    # flow files
    def logged(name, code, kind, change, nth=0):
        case(name, code, M.flowed, line=on(kind, change, nth))
    logged("flows-sha256", 1, "flows", put("sha256", "0" * 64), 1)
    logged("flows-bytes", 1, "flows", put("bytes", "1"), 1)
    logged("flows-bytes-number", 1, "flows", put("bytes", 1), 1)
    logged("flows-number-again", 1, "flows", lambda o: o.update(number=0, path="flows/00000000.jsonl.zst"), 1)
    logged("flows-number-of-no-file", 1, "flows", lambda o: o.update(number=9, path="flows/00000009.jsonl.zst"), 2)
    logged("flows-number-over", 1, "flows", lambda o: o.update(number=2**32 - 1, path="flows/4294967295.jsonl.zst"), 2)
    logged("flows-path-of-another", 1, "flows", put("path", "flows/00000004.jsonl.zst"), 1)
    logged("flows-path-up", 1, "flows", put("path", "flows/../ledger.jsonl"), 1)
    logged("flows-records", 4, "flows", put("records", "7"), 1)  # statements
    logged("flows-key", 1, "flows", lambda o: o.update(evidence="yes"), 1)
    logged("retire-flows-sha256", 1, "retire_flows", put("sha256", "0" * 64))
    logged("retire-flows-of-no-line", 1, "retire_flows", put("number", 1))
    logged("retire-flows-not-the-oldest", 1, "retire_flows", put("number", 2))
    case("retire-flows-unasked", 1, flows_given_up_unasked)
    case("retire-flows-before-its-packets", 1, flows_given_up_early)
    case("flows-unsealed-unexplained", 1, flows_unexplained)
    case("shunt-line-missing", 1, shunt_unsaid)
    line("close-segments", "?", "close", put("segments", "4"))
    line("close-packets", "?", "close", put("packets", "5"))
    line("close-reason", 1, "close", put("reason", "bored"))
    # zstd
    frame("zstd-same-blocks", 0, lambda r: reframe(r))
    frame("zstd-fcs-8", 0, lambda r: reframe(r, fcs=3))
    frame("zstd-window-8m", 0, lambda r: reframe(r, window=13 << 3))
    frame("zstd-window-over", 1, lambda r: reframe(r, window=13 << 3 | 1))
    frame("zstd-window-1k", 0, lambda r: reframe(r, window=0))
    frame("zstd-dictionary-0", 1, lambda r: reframe(r, dictionary=True))
    frame("zstd-unused-bit", "?", lambda r: reframe(r, flags=0x10))
    frame("zstd-reserved-bit", 1, lambda r: reframe(r, flags=0x08))
    frame("zstd-no-size", 1, lambda r: reframe(r, fcs=0, window=13 << 3))
    frame("zstd-no-checksum", 1, lambda r: reframe(r, checksum=False))
    frame("zstd-wrong-checksum", 1, lambda r: r[:-1] + bytes([r[-1] ^ 1]))
    frame("zstd-size-over", 1, lambda r: reframe(r, size=1048577))
    frame("zstd-size-wrong", 1, lambda r: reframe(r, size=200))
    frame("zstd-empty-block", "?", lambda r: reframe(r, blocks=lambda b: bytes(3) + b))
    frame("zstd-reserved-block", 1, lambda r: reframe(r, blocks=lambda b: bytes([b[0] | 6]) + b[1:]))
    frame("zstd-skippable-after", 1, lambda r: r + b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd")
    frame("zstd-skippable-before", 1, lambda r: b"\x5f\x2a\x4d\x18\x00\x00\x00\x00" + r)
    frame("zstd-empty-frame-after", 1, lambda r: r + M.zstd(b""))
    frame("zstd-gzip-after", 1, lambda r: r + gzip(b""), at=3)
    frame("zstd-byte-after", 1, lambda r: r + b"\0", at=3)
    frame("zstd-legacy-magic", 1, lambda r: b"\x27" + r[1:])
    frame("zstd-rle-block", 0, lambda r: rle(), body=rle_body)
    case("zstd-1m", 0, lambda r: sized(r, 1048576))
    case("zstd-over-1m", 1, lambda r: sized(r, 1048576 + 4))
    # pcapng
    content("shb-upper-nonce", 1, lambda c: c[:38] + b"G" + c[39:], 0)
    content("shb-comment", 1, replace(b"nonce=", b"Nonce="), 0)
    content("shb-version", 1, replace(b"\x01\0\0\0\xff", b"\x01\0\x02\0\xff"), 0)
    content("shb-section-length", 1, replace(b"\xff" * 8, bytes(8)), 0)
    content("shb-length", 1, lambda c: c[:4] + b"\x50" + c[5:], 0)
    content("idb-linktype", 1, lambda c: c[:84] + b"\x71" + c[85:], 0)
    content("idb-reserved", 1, lambda c: c[:86] + b"\1" + c[87:], 0)
    content("idb-snaplen", 1, lambda c: c[:88] + b"\1" + c[89:], 0)
    content("idb-name", 1, replace(b"eth0", b"eth9"), 0)
    content("idb-tsresol", 1, replace(b"\x09\0\x01\0\x09", b"\x09\0\x01\0\x06"), 0)
    content("idb-tsresol-padding", 1, replace(b"\x09\0\x01\0\x09\0", b"\x09\0\x01\0\x09\x01"), 0)
    content("idb-no-tsresol", 1, lambda c: c[:76] + M.block(1, struct.pack("<HHI", 1, 0, 262144) + M.option(2, b"eth0") + M.option(0, b"")), 0)
    content("idb-description", 1, lambda c: c[:76] + M.block(1, struct.pack("<HHI", 1, 0, 262144) + M.option(2, b"eth0")
                                                             + M.option(3, b"x") + M.option(9, b"\x09") + M.option(0, b"")), 0)
    content("idb-twice", 1, lambda c: c + c[76:], 0)
    content("idb-packet-in-frame-0", 1, lambda c: c + epb(M.packet(1, b"a")), 0)
    content("idb-missing", 1, lambda c: c[:76], 0)
    content("epb-padding", 1, lambda c: c[:47] + b"\1" + c[48:] if len(c) else c, 1)
    content("epb-interface", 1, lambda c: c[:8] + b"\1" + c[9:])
    content("epb-trailing-length", 1, lambda c: c[:-4] + b"\0\0\0\0")
    content("epb-length-4", 1, lambda c: c[:4] + b"\x04\0\0\0" + c[8:])
    content("epb-length-max", 1, lambda c: c[:4] + b"\xfc\xff\xff\xff" + c[8:])
    content("epb-caplen-over", 1, lambda c: c[:20] + b"\xff\xff\xff\xff" + c[24:])
    content("epb-flags-zero", 1, lambda c: epb(M.packet(1, b"abcd"))[:4] + struct.pack("<I", 48) + epb(M.packet(1, b"abcd"))[8:-4]
            + M.option(2, bytes(4)) + M.option(0, b"") + struct.pack("<I", 48))
    content("epb-empty-options", 1, lambda c: epb(M.packet(1, b"abcd"))[:4] + struct.pack("<I", 40) + epb(M.packet(1, b"abcd"))[8:-4]
            + M.option(0, b"") + struct.pack("<I", 40))
    content("epb-no-end", 1, lambda c: c[:4] + struct.pack("<I", 68) + c[8:64] + struct.pack("<I", 68) + c[72:], 2)
    content("epb-comment", 1, lambda c: M.block(6, struct.pack("<IIIII", 0, 0, 1, 0, 0) + M.option(1, b"abcd") + M.option(0, b"")))
    content("epb-other-data", 1, replace(b"abc", b"abd"))
    content("epb-other-time", 1, lambda c: c[:16] + bytes([c[16] ^ 1]) + c[17:])
    content("spb", 1, lambda c: c + M.block(3, struct.pack("<I", 4) + b"abcd"))
    content("nrb", 1, lambda c: c + M.block(4, M.option(0, b"")))
    content("custom-block", 1, lambda c: c + M.block(0xBAD, struct.pack("<I", 1)))
    content("isb-middle", 1, lambda c: M.isb(1, 7, 2, 5), 2)
    content("isb-received", 1, lambda c: M.isb(1, 6, 2, 5), 3)
    content("isb-dropped", 1, lambda c: M.isb(1, 7, 1, 5), 3)
    content("isb-any-time", 0, lambda c: M.isb(2**64 - 1, 7, 2, 5), 3)
    content("isb-with-packet", 1, lambda c: epb(M.packet(1, b"a")) + c, 3)
    content("isb-twice", 1, lambda c: c + c, 3)
    content("isb-start-time", 1, lambda c: M.block(5, struct.pack("<III", 0, 0, 0) + M.option(2, bytes(8)) + c[20:-4]), 3)
    case("isb-missing", 1, no_statistics)
    # files
    post("file-unknown", 1, setf("README", b"x"))
    post("file-reserved", 1, setf("custody.jsonl", b""))
    post("file-age", 1, setf("salts.key.age", b""))
    post("file-index", 0, setf("index/0/anything", b"x"))
    post("file-index-is-a-file", 1, setf("index", b"x"))
    post("file-tmp-closed", 1, setf("checkpoint.tmp", b"x"))
    post("file-tmp-unclosed", 4, setf("checkpoint.tmp", b"x"), unclosed)
    post("file-segment-deeper", 1, setf("segments/0/0/00000000.pcapng.zst", b"x"))
    post("file-segment-extra", 1, setf("segments/0/00000009.pcapng.zst", b""))
    post("file-segment-extra-unclosed", 1, setf("segments/0/00000009.pcapng.zst", b""), unclosed)
    post("file-segment-next-closed", 1, setf("segments/0/00000002.pcapng.zst", b""))
    post("file-segment-next-unclosed", 4, setf("segments/0/00000002.pcapng.zst", b""), unclosed)
    post("file-segment-next-not-empty", 1, setf("segments/0/00000002.pcapng.zst", b"x"), unclosed)
    post("file-segment-next-but-one", 1, setf("segments/0/00000003.pcapng.zst", b""), unclosed)
    post("file-segment-new-lane-unclosed", 4, setf("segments/3/00000000.pcapng.zst", b""), unclosed)
    post("file-segment-far-lane-unclosed", "?", setf("segments/9/00000000.pcapng.zst", b""), unclosed)
    post("file-segment-new-lane-second", 1, setf("segments/3/00000001.pcapng.zst", b""), unclosed)
    frame("zstd-stored-over-2m", 1, lambda r: reframe(r, blocks=lambda b: bytes(3 * 699051) + b))
    post("file-segment-other-padding", 1, setf("segments/0/000000000.pcapng.zst", b""))
    post("file-lane-zero-padded", 1, setf("segments/00/00000000.pcapng.zst", b""))
    post("file-sources-extra", 1, setf("sources/0.extra.jsonl.zst", b""))
    post("file-sources-extra-unclosed", 4, setf("sources/0.extra.jsonl.zst", b""), unclosed)
    post("file-sources-extra-unknown-unclosed", 1, setf("sources/1.extra.jsonl.zst", b""), unclosed)
    post("key-file-missing", 1, drop("keys/1.pub"))
    post("key-file-origin-missing", 1, drop("keys/origin.pub"))
    post("key-file-extra", 1, lambda rec: rec.files.update({"keys/3.pub": rec.files["keys/1.pub"]}))
    post("key-file-extra-unclosed", 4, lambda rec: rec.files.update({"keys/3.pub": rec.files["keys/1.pub"]}), unclosed)
    post("key-file-far-unclosed", 1, lambda rec: rec.files.update({"keys/77.pub": b"x"}), unclosed)
    post("checkpoint-far-unclosed", 1, lambda rec: rec.files.update({"checkpoints/77": b"x"}), unclosed)
    post("key-file-swapped", 1, lambda rec: rec.files.update({"keys/2.pub": rec.files["keys/1.pub"]}))
    post("key-file-comment", 1, setf("keys/1.pub", lambda r: b"a comment\n" + r))
    post("key-file-crlf", 1, setf("keys/1.pub", lambda r: r.replace(b"\n", b"\r\n")))
    post("salts-long", 1, setf("salts.key", lambda r: r + b"\n"))
    post("salts-other", 1, setf("salts.key", lambda r: bytes(32)))
    post("salts-missing", 1, drop("salts.key"))
    post("ledger-missing", 1, drop("ledger.jsonl"))
    post("ledger-tail", 1, setf("ledger.jsonl", lambda r: r + b"{}\n"))
    post("ledger-tail-lf", 1, setf("ledger.jsonl", lambda r: r + b"\n"))
    post("ledger-tail-unclosed", 4, setf("ledger.jsonl", lambda r: r + bytes(4096)), unclosed)
    post("ledger-last-line-cut", 1, setf("ledger.jsonl", lambda r: r[:-1]))
    post("segment-missing", 1, drop("segments/0/00000000.pcapng.zst"))
    post("unclosed-forged", 1, forged_tail, unclosed)
    post("unclosed-missing-segment", 1, drop("segments/0/00000001.pcapng.zst"), unclosed)
    post("unclosed-tail-garbage", 4, setf("segments/1/00000000.pcapng.zst", lambda r: r + b"\xff" * 100), unclosed)
    post("unclosed-no-progress-garbage", 4, setf("segments/2/00000000.pcapng.zst", b"garbage"), unclosed)
    post("unclosed-cut-to-signed", 4, lambda rec: rec.files.update(
        {"segments/0/00000001.pcapng.zst": b"".join(rec.segments[1].frames[:2])}), unclosed)
    post("unclosed-cut-below-signed", 1, lambda rec: rec.files.update(
        {"segments/0/00000001.pcapng.zst": b"".join(rec.segments[1].frames[:2])[:-1]}), unclosed)
    # recovery
    post("recovery-of-closed", 1, lambda rec: rec.recover(True))
    for k, v in (("format", "sealtap/recovery/v2"), ("recording", "6" * 64), ("ledger_bytes", add(1)), ("ledger_sha256", "6" * 64),
                 ("checkpoint_size", add(1)), ("checkpoint_sha256", "6" * 64), ("segments", []),
                 ("segments.0.file_bytes", add(1)), ("segments.0.file_sha256", "6" * 64), ("segments.0.signed_frames", add(-1)),
                 ("segments.0.signed_packets", add(1)), ("segments.0.frames", add(-1)), ("segments.0.packets", add(1)),
                 ("segments.0.bytes", add(1)), ("segments.0.root", "6" * 64), ("segments.0.lane", 1)):
        case("recovery-" + k.replace("segments.0.", "segment-"), 1, recovered,
             recovery=lambda s, rec, k=k, v=v: (put(k, v)(s), s)[1])
    case("recovery-order", 1, recovered, recovery=lambda s, rec: dict(s, segments=s["segments"][::-1]))
    retire_cases()
    disk_cases()
    case("recovery-signature", 1, recovered, recovery_signature=lambda s: s[:5] + bytes([s[5] ^ 1]) + s[6:])
    post("recovery-no-lf", 1, setf("recovery.json", lambda r: r[:-1]), recovered)
    post("recovery-two-lines", 1, setf("recovery.json", lambda r: r + r), recovered)
    post("recovery-empty", 1, setf("recovery.json", b""), recovered)
    post("recovery-ledger-cut", 1, setf("ledger.jsonl", lambda r: r[:-3]), recovered)
    post("recovery-segment-cut", 1, setf("segments/0/00000001.pcapng.zst", lambda r: r[:-3]), recovered)
    # sources
    line("source-extra-sha256", 1, "source", put("extra.sha256", "7" * 64), 0, lambda r: M.ingest(r))
    line("source-extra-bytes", 1, "source", put("extra.bytes", add(1)), 0, lambda r: M.ingest(r))
    line("source-extra-path", 1, "source", put("extra.path", "sources/1.extra.jsonl.zst"), 0, lambda r: M.ingest(r))
    line("source-index", 1, "source", put("index", 2), 1, lambda r: M.ingest(r))
    line("source-key-order", 1, "source", lambda o: {**{k: v for k, v in o.items() if k not in ("damage", "extra")},
                                                     "extra": o["extra"], "damage": {"offset": "1", "reason": ""}}, 0, lambda r: M.ingest(r))
    line("source-twice", 1, "source", put("index", 0), 1, lambda r: M.ingest(r))
    post("source-extra-missing", 1, drop("sources/0.extra.jsonl.zst"), lambda r: M.ingest(r))
    post("source-extra-edited", 1, setf("sources/0.extra.jsonl.zst", lambda r: r[:-1] + b"\0"), lambda r: M.ingest(r))


def retire_cases():
    """Around the vector `retired`: what a `retire` may not say, and files beside what it says."""
    body = M.retired
    gone, present = "segments/0/00000000.pcapng.zst", "segments/0/00000001.pcapng.zst"
    case("retire-plain", 4, body)
    line("retire-without-policy", 1, "open", lambda o: o.pop("retention") and None, body=body)
    line("retire-policy-of-both", 1, "open", put("retention", {"keep_bytes": "5000", "keep_time": "1.000000000", "min_free": "1000000"}), body=body)
    line("retire-policy-of-none", 1, "open", put("retention", {"min_free": "1000000"}), body=body)
    line("retire-policy-without-reserve", 1, "open", put("retention", {"keep_bytes": "5000"}), body=body)
    line("retire-policy-odd-key", 1, "open", put("retention", {"keep_bytes": "5000", "min_free": "1000000", "why": ""}), body=body)
    line("retire-policy-larger", 1, "open", put("retention.keep_bytes", "500000"), body=body)
    line("retire-policy-of-time", 1, "open", put("retention", {"keep_time": "0.000000000", "min_free": "1000000"}), body=body)
    line("retire-policy-no-reserve", 1, "open", put("retention.min_free", "0"), body=body)
    for key in ("bytes", "packets"):
        line("retire-other-" + key, 1, "retire", put(key, add(1)), body=body)
    line("retire-other-sha256", 1, "retire", put("sha256", lambda v: v[:-1] + ("0" if v[-1] != "0" else "1")), body=body)
    line("retire-other-lane", 1, "retire", put("lane", 1), body=body)
    line("retire-other-number", 1, "retire", put("number", 1), body=body)
    line("retire-unknown-lane", 1, "retire", put("lane", 9), body=body)
    line("retire-unknown-reason", 1, "retire", put("reason", "operator"), body=body)
    line("retire-time-without-policy", 1, "retire", put("reason", "keep-time"), body=body)
    line("retire-free-missing", 1, "retire", lambda o: o.pop("free") and None, nth=1, body=body)
    line("retire-free-enough", 1, "retire", put("free", "1000000"), nth=1, body=body)
    line("retire-free-besides", 1, "retire", lambda o: dict(o, free="5"), body=body)
    line("retire-key-missing", 1, "retire", lambda o: o.pop("sha256") and None, body=body)
    line("retire-key-odd", 1, "retire", lambda o: dict(o, path=gone), body=body)
    for name, code, at in (("at-the-limit", 1, 0), ("above-the-limit", 4, 1)):
        case("retire-" + name, code, lambda r, at=at: retire_at_size(r, at))
    for name, code, age in (("too-young", 1, 59 * M.SECOND + 999_999_999), ("old-enough", 4, 60 * M.SECOND)):
        case("retire-" + name, code, lambda r, age=age: retire_at_age(r, age))
    for what in ("twice", "newer", "unsealed", "before-seal", "never-begun"):
        case("retire-" + what, 1, lambda r, what=what: retire_wrong(r, what))
    post("retire-file-deleted-by-hand", 1, drop("segments/0/00000002.pcapng.zst"), body)
    post("retire-all-gone", 4, drop(present), body)
    post("retire-present-altered", 1, setf(present, lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]), body)
    post("retire-present-cut", 1, setf(present, lambda raw: raw[:-9]), body)
    post("retire-present-empty", 1, setf(present, b""), body)
    post("retire-back-altered", 1, lambda rec: rec.files.update({gone: b"".join(rec.segments[0].frames)[:-1] + b"x"}), body)
    post("retire-back", 4, lambda rec: rec.files.update({gone: b"".join(rec.segments[0].frames)}), body)
    post("retire-unsigned", 1, unsigned_retire, retire_unclosed)


def disk_cases():
    """Around the vector `disks`: the number of disks, and of which one the oldest segment goes."""
    body = M.disks
    case("disks-plain", 4, body)
    for n, code in ((2, 4), (16, 4), (17, 1), (1, 1), (0, 1), ("2", 1)):
        line("disks-%s-%s" % (type(n).__name__, n), code, "open", put("places", n), body=body)
    line("disks-unsaid", 1, "open", lambda o: o.pop("places") and None, body=body)
    # The third given up is the oldest of all, of lane 0; for want of room it must be of the second disk.
    line("disks-size-of-another", 1, "retire", lambda o: dict({k: v for k, v in o.items() if k != "free"}, reason="keep-size"), body=body)
    line("disks-room-not-the-oldest", 1, "retire", put("number", 1), body=body)
    line("disks-room-other-lane", 1, "retire", put("lane", 2), body=body)
    # Nothing signed of lane 1 but that it began: whether its file is missing depends on where one looks.
    case("disks-unclosed", 4, disks_unclosed)
    post("disks-unclosed-lane-elsewhere", 3, drop("segments/1/00000000.pcapng.zst"), disks_unclosed)


def disks_unclosed(rec):
    rec.open(M.LIVE, places=2)
    s, _ = rec.begin(rec.lane()), rec.begin(rec.lane(name="eth1"))
    rec.packets(s, M.noise(rec, 0))
    rec.progress(s)


def retire_at_size(rec, more):
    """The first segment goes when the policy's bytes are just reached, or one less than what is stored."""
    def make(rec, keep):
        rec.open(M.LIVE, retention={"keep_bytes": str(keep), "min_free": "0"})
        a = rec.lane()
        s = rec.begin(a)
        rec.packets(s, M.noise(rec, 0))
        rec.progress(s)
        rec.packets(s, M.noise(rec, 1))
        rec.seal(s)
        t = rec.begin(a)
        rec.packets(t, M.noise(rec, 2))
        rec.progress(t)
        rec.retire(s, "keep-size")
        rec.seal(t)
        rec.close()
        return sum(len(b"".join(x.frames)) for x in (s, t)) - len(t.frames[-1])
    make(rec, make(M.Recording(rec.name), 1000000) - more)


def retire_at_age(rec, age):
    rec.open(M.LIVE, retention={"keep_time": "60.000000000", "min_free": "0"})
    a = rec.lane()
    s = rec.begin(a)
    rec.packets(s, M.noise(rec, 0))
    rec.seal(s)
    since = rec.boot
    t = rec.begin(a)
    while since + age - rec.boot > 10 * M.SECOND:
        rec.line("heartbeat", {}, after=9 * M.SECOND)
        rec.checkpoint()
    rec.boot = since + age - 100_000_000
    rec.retire(s, "keep-time")
    rec.seal(t)
    rec.close()


def retire_wrong(rec, what):
    rec.open(M.LIVE, retention={"keep_bytes": "1", "min_free": "0"})
    a = rec.lane()
    s, t = rec.begin(a), rec.begin(a)
    if what == "before-seal":
        rec.retire(s, "keep-size", gone=False)
    rec.seal(s)
    if what == "newer":
        rec.seal(t)
        rec.retire(t, "keep-size")
    elif what != "before-seal":
        rec.retire(s, "keep-size")
    if what == "twice":
        rec.retire(s, "keep-size")
    elif what == "unsealed":
        rec.retire(t, "keep-size", gone=False)
    elif what == "never-begun":
        t.number += 1
        rec.retire(t, "keep-size", gone=False)
        t.number -= 1
    if what != "newer":
        rec.seal(t)
    rec.close()


def retire_unclosed(rec):
    rec.open(M.LIVE, retention={"keep_bytes": "1", "min_free": "0"})
    a = rec.lane()
    s = rec.begin(a)
    rec.packets(s, M.noise(rec, 0))
    rec.seal(s)
    rec.begin(a)


def unsigned_retire(rec):
    """A segment deleted by hand, and the line that nobody signed behind the newest checkpoint."""
    rec.retire(rec.segments[0], "keep-size")
    rec.files["ledger.jsonl"] = b"".join(rec.lines)
    rec.files["checkpoint"] = rec.values["checkpoints"][-2]["note"].encode()
    del rec.files[rec.segments[0].path]


def gzip(data):
    import gzip as g
    return g.compress(data, mtime=0)


def shifted(text_time, by):
    s, n = text_time.split(".")
    return M.time_of(int(s) * M.SECOND + int(n) + by)


def paused(rec, length, cause):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(1, b"a")])
    if cause:
        rec.line("gap", {"cause": cause, "length": M.time_of(length)}, after=length)
    else:
        rec.line("heartbeat", {}, after=length)
    rec.seal(s)
    rec.close()


def long_epoch(rec, length, which=2, gap=False):
    """Three epochs, one of which lasts so long, without the step to a gap; the last one to `close`."""
    rec.open(M.LIVE)
    while rec.epoch < which:
        rec.key()
    end = rec.key_boot + length
    if gap:
        rec.line("gap", {"cause": "suspend", "length": "1000.000000000"}, after=1000 * M.SECOND)
        end += 1000 * M.SECOND
    while end - rec.boot > 9 * M.SECOND:
        rec.line("heartbeat", {}, after=9 * M.SECOND)
        rec.checkpoint()
    if which == 3:
        rec.close(after=end - rec.boot)
        return
    rec.key(after=end - rec.boot)
    while rec.epoch < 3:
        rec.key()
    rec.close()


def named(rec, name):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane(name=name))
    rec.packets(s, [M.packet(1, b"a")])
    rec.seal(s)
    rec.close()


def sized(rec, size):
    """A frame whose content has exactly this size."""
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    packets = []
    while size:
        n = min(size, 262144) - 32
        if 0 < size - n - 32 < 32:
            n -= 64
        packets.append(M.packet(len(packets), bytes([len(packets)]) * n))
        size -= n + 32
    rec.packets(s, packets)
    rec.seal(s)
    rec.close()


def rle_body(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(3, b"\x55" * 100000)])
    rec.seal(s)
    rec.close()


def rle():
    """One raw block for the head, one RLE block for the packet's bytes, one raw block for the end."""
    whole = epb(M.packet(3, b"\x55" * 100000))
    real = M.zstd(whole)
    out = b"\x28\xb5\x2f\xfd\xa4" + struct.pack("<I", len(whole))
    out += struct.pack("<I", 28 << 3)[:3] + whole[:28]
    out += struct.pack("<I", 100000 << 3 | 2)[:3] + b"\x55"
    out += struct.pack("<I", 4 << 3 | 1)[:3] + whole[-4:]
    return out + real[-4:]


# Edwards25519, enough of it to sign without a secret for a key of small order

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493


def curve_add(a, b):
    k = D * a[0] * b[0] * a[1] * b[1] % P
    return ((a[0] * b[1] + b[0] * a[1]) * pow(1 + k, P - 2, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, P - 2, P) % P)


def curve_decode(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, (y & (2**255 - 1)) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (P - x if x and x % 2 != sign else x, y)


def curve_encode(p):
    return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")


def forge(raw, message):
    """R = sB + kA with k = -h modulo 8: holds for any message, since 8A is the neutral element."""
    a, base = curve_decode(raw), curve_decode(bytes.fromhex("58" + "66" * 31))
    multiples = [(0, 1)]
    while len(multiples) < 8:
        multiples.append(curve_add(multiples[-1], a))
    r = base
    for s in range(1, 100):
        for k in range(8):
            point = curve_encode(curve_add(r, multiples[k]))
            h = int.from_bytes(hashlib.sha512(point + raw + message).digest(), "little") % ORDER
            if multiples[(k + h) % 8] == (0, 1):
                return point + s.to_bytes(32, "little")
        r = curve_add(r, base)
    raise AssertionError


def probe(body):
    rec = M.Recording("probe")
    body(rec)
    return rec


def resign(rec, path, epoch):
    size = next(c["size"] for c in rec.values["checkpoints"] if c["note"].encode() == rec.files[path])
    keep = rec.files["checkpoint"]
    rec.checkpoint(epoch, size)
    rec.files["checkpoint"] = keep
    rec.files[path] = rec.checkpoint_note


def opened_twice(rec):
    rec.open(M.LIVE)
    import json
    first = json.loads(rec.lines[0])
    rec.line("open", {k: v for k, v in list(first.items())[6:]})
    rec.close()


def closed_twice(rec):
    rec.open(M.LIVE)
    rec.close()
    rec.close()


def progress_late(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(1, b"a")])
    rec.seal(s)
    rec.progress(s)
    rec.close()


def progress_zero(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane(), write=False)
    rec.progress(s)
    rec.line("heartbeat", {})
    rec.checkpoint()


def progress_falls(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(1, b"a")])
    rec.progress(s)
    import json
    later = json.loads(rec.lines[-1])
    rec.line("progress", {"segments": [dict(later["segments"][0], frames="1", bytes=str(len(s.frames[0])), packets="0",
                                            root=M.tree(s.roots[:1]).hex())], "sync_ns_max": "0"})
    rec.seal(s)
    rec.close()


def sealed_twice(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(1, b"a")])
    rec.seal(s)
    import json
    rec.line("segment", dict(list(json.loads(rec.lines[-1]).items())[6:]))
    rec.close()


def unsealed_closed(rec):
    rec.open(M.LIVE)
    s = rec.begin(rec.lane())
    rec.packets(s, [M.packet(1, b"a")])
    rec.progress(s)
    rec.close("recorder-failed")


def no_statistics(rec):
    rec.finish = lambda s: None
    basic(rec)


def first_counted(rec):
    rec.open(M.LIVE)
    a = rec.lane()
    rec.count(a, filtered=1)
    rec.seal(rec.begin(a))
    rec.close()


def counters_fall(rec):
    rec.open(M.LIVE)
    a = rec.lane()
    s = rec.begin(a)
    rec.count(a, filtered=5)
    rec.progress(s)
    rec.lanes[a]["counters"]["filtered"] -= 1
    rec.lanes[a]["counters"]["received"] -= 1
    rec.seal(s)
    rec.close()


def counters_jump(rec):
    rec.open(M.LIVE)
    a = rec.lane()
    rec.seal(rec.begin(a))
    rec.count(a, filtered=5)
    rec.seal(rec.begin(a))
    rec.close()


def recorded_jumps(rec):
    rec.open(M.LIVE)
    a = rec.lane()
    s = rec.begin(a)
    rec.count(a, recorded=1)
    rec.seal(s)
    rec.close()


def without_cutoff(o):
    del o["cutoff_bytes"]


def shunted_unasked(rec):
    rec.open(M.LIVE)
    a = rec.lane()
    s = rec.begin(a)
    rec.count(a, shunted=5)
    rec.seal(s)
    rec.close()


def apps_alone(rec):
    rec.open(M.LIVE, cutoff_apps="HTTP")
    a = rec.lane()
    rec.seal(rec.begin(a))
    rec.close()


def shunt_unsaid(rec):
    rec.open(M.LIVE, cutoff_bytes="1024")
    a = rec.lane()
    s = rec.begin(a)
    rec.count(a, shunted=5)
    rec.seal(s)
    rec.close()


def flows_given_up_unasked(rec):
    rec.open(M.LIVE)
    rec.seal(rec.begin(rec.lane()))
    rec.retire_flows(rec.flow_file(0, [[M.flow_record(1, 0, 0, 1)]]))
    rec.close()


def flows_given_up_early(rec):
    """The packets that the records are about are still there."""
    rec.open(M.LIVE, retention={"keep_bytes": "1"})
    a = rec.lane()
    s0, s1 = rec.begin(a), None
    rec.packets(s0, M.noise(rec, 0))
    rec.seal(s0)
    s1 = rec.begin(a)
    rec.packets(s1, M.noise(rec, 1))
    rec.seal(s1)
    f = rec.flow_file(0, [[M.flow_record(1, a, 0, 1)]])
    rec.seal(rec.begin(a))
    rec.retire(s0, "keep-size")
    rec.retire_flows(f)
    rec.close()


def flows_unexplained(rec):
    rec.open(M.LIVE)
    rec.seal(rec.begin(rec.lane()))
    rec.flow_file(0, [[M.flow_record(1, 0, 0, 1)]], sealed=False)
    rec.close()


def generate(where, module):
    global M
    M = module
    build_cases()
    if os.path.exists(where):
        raise SystemExit("%s exists already" % where)
    os.makedirs(where)
    rows = []
    for name, code, body, hooks in CASES:
        rec = M.Recording("hostile " + name, hooks=hooks)
        body(rec)
        base = os.path.join(where, name)
        M.store(os.path.join(base, "recording"), rec)
        with open(os.path.join(base, "origin.pub"), "wb") as f:
            f.write(M.pem(M.raw_public(rec.origin)))
        rows.append("%s\t%s\t-\t-\n" % (name, code))
    # what a file system can hold besides files
    for name, code, make in (("symlink", 1, lambda d: os.symlink("salts.key", d + "/keys/4.pub")),
                             ("symlink-for-file", 1, lambda d: (os.rename(d + "/salts.key", d + "/../salts"), os.symlink("../salts", d + "/salts.key"))),
                             ("symlink-index", 1, lambda d: os.symlink("keys", d + "/index")),
                             ("symlink-directory", 1, lambda d: (os.rename(d + "/keys", d + "/../keys"), os.symlink("../keys", d + "/keys"))),
                             ("fifo", 1, lambda d: os.mkfifo(d + "/checkpoint.tmp")),
                             ("fifo-for-file", 1, lambda d: (os.unlink(d + "/salts.key"), os.mkfifo(d + "/salts.key"))),
                             ("directory-for-file", 1, lambda d: (os.unlink(d + "/salts.key"), os.mkdir(d + "/salts.key"))),
                             ("directory-unknown", 1, lambda d: os.mkdir(d + "/anchors")),
                             ("directory-empty-flows", 0, lambda d: os.mkdir(d + "/flows")),
                             ("directory-empty-known", 0, lambda d: os.mkdir(d + "/sources")),
                             ("directory-empty-lane", 1, lambda d: os.mkdir(d + "/segments/7")),
                             ("name-with-newline", 1, lambda d: open(d + "/keys/1.pub\n", "w").close()),
                             ("name-not-utf8", 1, lambda d: open(os.fsencode(d) + b"/keys/\xff", "w").close())):
        name = "fs-" + name
        shutil.copytree(os.path.join(where, "plain"), os.path.join(where, name))
        make(os.path.join(where, name, "recording"))
        rows.append("%s\t%s\t-\t-\n" % (name, code))
    with open(os.path.join(where, "MANIFEST"), "w") as f:
        f.writelines(rows)
    print("%d recordings" % len(rows))
    return 0

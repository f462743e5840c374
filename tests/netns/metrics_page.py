#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads pages of metrics by a parser of its own, and holds them against `status --json`, a ledger, and docs/.
equal PORT SEALTAP | ledger PAGE RECORDING | names PAGE FILE... | form PAGE | concurrent PORT N | garbage PORT
prometheus PORT QUERY VALUE | alert PORT NAME | dashboard PORT FILE: what a Prometheus at that port answers"""
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
NIC_LOST = ("missed", "fifo", "over", "errors", "dropped")
WORDS = {"recording_id", "kind", "process", "operator", "reference"}  # status says them, sealtap_capture_info has or hides them


def parse(text):
    """{(name, labels): value as text}; every rule of the format that is broken is an AssertionError."""
    page, helped, typed, current = {}, set(), {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert current not in helped and line.split(" ", 3)[3], line
            helped.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge"), line
            assert (kind == "counter") == name.endswith("_total"), line
            typed[name] = kind
        else:
            name, labels, value = SAMPLE.match(line).groups()
            assert name == current and name in typed, line
            pairs, at = [], 0
            while labels and at < len(labels):
                m = LABEL.match(labels, at)
                assert m, line
                pairs.append((m[1], re.sub(r"\\(.)", lambda x: "\n" if x[1] == "n" else x[1], m[2])))
                at = m.end()
            key = (name, frozenset(pairs))
            assert len({k for k, _ in pairs}) == len(pairs) and key not in page, line
            float(value)
            page[key] = value
    return page, typed


def scrape(port):
    with urllib.request.urlopen("http://127.0.0.1:%s/metrics" % port, timeout=30) as r:
        assert r.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return r.read().decode()


def ns(seconds):
    whole, _, part = seconds.partition(".")
    return int(whole) * 10**9 + int(part.ljust(9, "0"))


def expected(run, want):
    """Adds what one status object says; whatever it says that is not known here is an AssertionError."""
    run = dict(run)
    own = {"recording": run.pop("recording"), "sensor": run.pop("sensor")}

    def put(name, value, labels=own, **more):
        if value is not None:
            want["sealtap_" + name, frozenset({**labels, **more}.items())] = value

    put("capture_info", 1, recording_id=run["recording_id"], kind=run["kind"], process=str(run["process"]),
        driver=run["lanes"][0]["driver"])
    for state in ("starting", "capturing", "restarting", "ending"):
        put("capture_state", int(run["state"] == state), state=state)
    del run["state"]
    put("capture_start_timestamp_seconds", run.pop("since"))
    for name in ("raw_bytes", "stored_bytes", "segments", "marks", "incidents", "recorder_restarts", "retired_segments",
                 "retired_packets"):
        put(name + "_total", run.pop(name))
    for name in ("packets_per_second", "bytes_per_second"):
        put(name, run.pop(name))
    put("compression_ratio", run.pop("ratio"))
    put("compression_level", run.pop("level"))
    put("compression_level_ceiling", run.pop("level_ceiling"))
    pool = run.pop("pool")
    put("pool_bytes", pool.pop("blocks") << 20)
    put("pool_free_bytes", pool.pop("free") << 20)
    stall = pool.pop("stall_ms")
    put("pool_stall_seconds", None if stall is None else stall / 1000)
    checkpoint = run.pop("checkpoint")
    put("checkpoint_lines_total", checkpoint.pop("size"))
    put("checkpoint_timestamp_seconds", checkpoint.pop("time"))
    sync = int(run.pop("sync_ns_max"))
    put("sync_max_seconds", sync / 10**9 if sync else None)
    incident = run.pop("last_incident")
    if incident:
        put("last_incident_timestamp_seconds", incident.pop("time"), incident=incident.pop("kind"))
        incident.pop("detail")
    flows = run.pop("inspection")
    state = flows.pop("state")
    put("inspector_up", None if state == "off" else int(state == "running"))
    put("inspector_deaths_total", flows.pop("deaths"))
    for name in ("lent_packets", "shed_packets"):
        put("inspection_%s_total" % name, flows.pop(name))
    put("inspected_packets_total", flows.pop("packets"))
    put("flows", flows.pop("flows"))
    put("flows_forced_total", flows.pop("flows_forced"))
    put("flow_records_total", flows.pop("records"))
    put("flow_records_lost_total", flows.pop("records_lost"))
    for name in ("acked_bytes", "missed_bytes"):
        put("tcp_" + name, flows.pop(name))
    exports, deaths = run.pop("exports"), run.pop("exporter_deaths")
    put("exporter_deaths_total", deaths if exports else None)
    for x in exports:
        to = x.pop("target")
        running, broken = x.pop("running"), x.pop("broken")
        put("export_up", int(running and not broken), target=to)
        for name in ("waiting", "behind_bytes"):
            put("export_" + name, x.pop(name), target=to)
        for name in ("delivered", "dropped", "refused", "malformed", "breaks"):
            put("export_%s_total" % name, x.pop(name), target=to)
        x.pop("last_error")
        assert not x, ("not among the metrics", x)
    total = {"received": 0, "recorded": 0}
    for lane in run.pop("lanes"):
        at = {**own, "lane": str(lane.pop("lane")), "interface": lane.pop("interface"), "driver": lane.pop("driver")}
        lane.pop("source")
        c = lane.pop("counters")
        for name in total:
            total[name] += int(c[name])
        for name in ("received", "recorded", "filtered", "out_of_scope", "shunted"):
            put("frames_%s_total" % name, int(c.pop(name)), at)
        for name, dropped in ("dropped", c.pop("dropped")), ("dropped_now", lane.pop("dropped_now")):
            for cause, n in dropped.items():
                put("frames_%s_total" % name, int(n), at, cause=cause)
        for name, n in c.pop("driver").items():
            put("driver_frames_%s_total" % name, int(n), at)
        nic = c.pop("nic", None)
        if nic:
            put("nic_frames_received_total", int(nic.pop("received")), at)
            for cause in NIC_LOST:
                put("nic_frames_dropped_total", int(nic.pop(cause)), at, cause=cause)
        xdp = c.pop("xdp", None)
        if xdp:
            put("xdp_fill_ring_empty_total", int(xdp.pop("fill_empty")), at)
            for cause in ("no_socket", "dropped", "ring_full"):
                put("xdp_frames_dropped_total", int(xdp.pop(cause)), at, cause=cause)
        put("last_packet_timestamp_seconds", lane.pop("last_packet"), at)
        assert not c and not lane and not nic and not xdp, ("not among the metrics", c, lane, nic, xdp)
    counters = run.pop("counters")
    assert int(counters["received"]) == total["received"] and run.pop("packets") == total["recorded"]
    run.pop("elapsed_ms")
    assert not pool and not checkpoint and not flows and set(run) == WORDS, ("not among the metrics", run, pool, checkpoint, flows)


def equal(port, sealtap):
    """Status before and after the scrape must agree, but for what is a clock."""
    def status():
        out = subprocess.run([sealtap, "status", "--json"], check=True, capture_output=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def still(runs):
        return [{k: v for k, v in run.items() if k != "elapsed_ms"} for run in runs]

    until = time.monotonic() + 60
    while True:
        before, t0, text, t1, after = status(), time.time_ns(), scrape(port), time.time_ns(), status()
        if still(before) == still(after) and all(run["lanes"] for run in before):
            break
        assert time.monotonic() < until, "the captures never stood still"
    page, _ = parse(text)
    want, general = {}, {}
    for run in before:
        expected(run, want)
    for (name, labels), value in page.items():
        keys = dict(labels)
        if "recording" not in keys:
            general[name] = float(value)
        elif name == "sealtap_capture_elapsed_seconds":
            low, high = [next(r["elapsed_ms"] for r in runs if r["recording"] == keys["recording"]) for runs in (before, after)]
            assert low <= ns(value) // 10**6 <= high, (low, value, high)
        elif name == "sealtap_checkpoint_age_seconds":
            at = ns(page["sealtap_checkpoint_timestamp_seconds", labels])
            assert t0 <= at + ns(value) <= t1, (at, value)
        else:
            says = want.pop((name, labels))
            same = ns(value) == ns(says) if isinstance(says, str) else float(value) == float(says)
            assert same, (name, keys, value, says)
    assert not want, ("absent", want)
    assert general["sealtap_captures"] == len(before) and general["sealtap_captures_left_out"] == 0
    print("samples", len(page), "captures", len(before))


def ledger(path, recording):
    """Per lane, against counters_end of its last segment, the last of all."""
    last = {}
    for line in open(os.path.join(recording, "ledger.jsonl")):
        line = json.loads(line)
        if line["type"] == "segment":
            last[str(line["lane"])] = line["counters_end"]
    page, _ = parse(open(path).read())
    assert last
    checked = 0
    for (name, labels), value in page.items():
        keys = dict(labels)
        m = re.match("sealtap_frames_(received|recorded|filtered|out_of_scope|shunted|dropped)_total$", name)
        if keys.get("recording") != recording or not m:
            continue
        says = last[keys["lane"]][m[1]]
        assert float(value) == int(says[keys["cause"]] if "cause" in keys else says), (name, keys, value, says)
        checked += 1
    shown = {dict(k[1])["lane"] for k in page if ("recording", recording) in k[1] and k[0] == "sealtap_frames_received_total"}
    assert shown and checked == 9 * len(shown), (shown, checked)
    assert all(int(last[lane]["received"]) == 0 for lane in set(last) - shown)
    print("compared", checked)


def names(path, *files):
    """Every metric that a file names is one that the program gives."""
    _, typed = parse(open(path).read())
    for file in files:
        text = open(file).read()
        if file.endswith(".json"):
            panels = json.loads(text)["panels"]
            assert len({p["id"] for p in panels}) == len(panels) and all(p["targets"] for p in panels)
            text = "\n".join(t["expr"] for p in panels for t in p["targets"])
        used = set(re.findall(r"\bsealtap_[a-z_]+", text))
        assert len(used) > 5 and used <= set(typed), (file, used - set(typed))
        print(os.path.basename(file), len(used))


def form(path):
    page, typed = parse(open(path).read())
    print("metrics", len(typed), "samples", len(page))


def concurrent(port, count):
    pages, errors = [], []

    def one():
        try:
            pages.append(parse(scrape(port))[0])
        except Exception as e:  # whatever it was is printed
            errors.append(repr(e))

    threads = [threading.Thread(target=one) for _ in range(int(count))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("pages", len(pages), "errors", errors[:3])
    assert len(pages) == int(count) and not errors and all(p["sealtap_captures", frozenset()] == "2" for p in pages)


def garbage(port):
    rng = random.Random(7)

    def say(data, wait=True):
        s = socket.create_connection(("127.0.0.1", int(port)), 20)
        try:
            s.sendall(data)
            if wait:
                s.shutdown(socket.SHUT_WR)
                return s.recv(65536)[:12]
        except OSError as e:  # it has closed already
            return type(e).__name__.encode()
        finally:
            s.close()

    def ask(data):
        with socket.create_connection(("127.0.0.1", int(port)), 20) as s:
            s.sendall(data)
            return s.recv(65536)

    answers = {say(rng.randbytes(rng.randrange(1, 3000))) for _ in range(100)}
    answers.add(say(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000 + b"\r\n\r\n"))
    answers.add(say(b"GET /" + b"a/../" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"))
    print("answers", sorted(answers))
    assert not any(a.startswith(b"HTTP/1.1 200") for a in answers)
    for text, code in ((b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"400"),
                       (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
                       (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"405"),
                       (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
                       (b"GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
                       (b"GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
                       (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
                       (b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"200"),
                       (b"GET /metrics?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"200")):
        got = ask(text)
        assert got[9:12] == code, (text[:60], got)
    for _ in range(300):  # gone before the answer
        say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", False)
    held = [socket.create_connection(("127.0.0.1", int(port)), 20) for _ in range(60)]  # say nothing
    scrape(port)
    for s in held:
        s.close()


def api(port, path, **args):
    try:
        with urllib.request.urlopen("http://127.0.0.1:%s/api/v1/%s?%s" % (port, path, urllib.parse.urlencode(args)), timeout=30) as r:
            return json.load(r)["data"]
    except urllib.error.HTTPError as e:
        raise AssertionError(path, args, e.read()) from None


def until(what, holds):
    limit = time.monotonic() + 60
    while not holds(got := what()):
        assert time.monotonic() < limit, got
        time.sleep(0.2)  # between two questions, within the deadline
    print(got)


def prometheus(port, query, value):
    until(lambda: api(port, "query", query=query)["result"], lambda got: got and got[0]["value"][1] == value)


def alert(port, name):
    until(lambda: [a["labels"]["alertname"] for a in api(port, "alerts")["alerts"]], lambda got: name in got)


def dashboard(port, file):
    """Every expression is one, and those whose metric is on the page give something."""
    board = json.load(open(file))
    exprs = []
    for expr in [t["expr"] for p in board["panels"] for t in p["targets"]] + [a["expr"] for a in board["annotations"]["list"]]:
        for name, value in (("$__rate_interval", "30s"), ("$__interval", "30s"), ("$instance", ".*"), ("$sensor", ".*")):
            expr = expr.replace(name, value)
        assert "$" not in expr, expr
        exprs.append(expr)
    # rates have one after the second scrape; changes of incidents and the stall of an idle capture have none
    # and no capture of the test sends flow records away
    until(lambda: [e for e in exprs if not api(port, "query", query=e)["result"] and "sealtap_export_" not in e],
          lambda without: len(without) < 4)


globals()[sys.argv[1]](*sys.argv[2:])

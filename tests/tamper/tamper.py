# SPDX-License-Identifier: Apache-2.0
"""What the tests of this directory share: a result line, a working directory, sealtap-verify by its command line, and
the recordings of make-recording. Argument 1 of a test is the path of sealtap."""
import atexit
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
SAMPLE = bool(os.environ.get("SEALTAP_TEST_SAMPLE"))
PATIENCE = 120  # seconds for one verification, sanitizers included

passed = failed = skipped = 0
T = sealtap = verifier = None


def check(name, ok, detail="", quiet=False):
    """One result. quiet: a row of a large table, said only when it fails."""
    global passed, failed
    if ok:
        passed += 1
        if not quiet:
            print("ok - " + name, flush=True)
    else:
        failed += 1
        print("not ok - " + name, flush=True)
        for line in str(detail).splitlines()[:12]:
            print("    " + line, flush=True)
    return ok


def skip(name):
    global skipped
    skipped += 1
    print("skip - " + name, flush=True)


def finish():
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped), flush=True)
    sys.exit(1 if failed else 0 if passed else 77)


def start():
    """Finds the programs and makes the working directory."""
    global T, sealtap, verifier
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        skip("no sealtap binary given as the first argument")
        finish()
    sealtap = os.path.abspath(sys.argv[1])
    verifier = os.path.join(os.path.dirname(sealtap), "sealtap-verify")
    if not os.access(verifier, os.X_OK):
        skip("no sealtap-verify beside " + sealtap)
        finish()
    T = tempfile.mkdtemp(prefix="sealtap-tamper.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    os.chmod(T, 0o755)
    atexit.register(shutil.rmtree, T, ignore_errors=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    os.environ["SEALTAP_HOME"] = os.path.join(T, "nobody")  # no trust store, no own key


def module(name, path):
    loader = importlib.machinery.SourceFileLoader(name, path)
    spec = importlib.util.spec_from_loader(name, loader)
    m = importlib.util.module_from_spec(spec)
    sys.modules[name] = m
    loader.exec_module(m)
    return m


def make_recordings():
    """The directory with closed, second, open, recovered, recovered-signed and origin.pub."""
    out = os.path.join(T, "made")
    r = subprocess.run([sys.executable, os.path.join(HERE, "make-recording"), sealtap, out], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, check=False)
    if not check("make-recording", r.returncode == 0, r.stdout.decode()):
        finish()
    return out


class Answer:
    def __init__(self, code, out, err):
        self.code, self.err = code, err
        try:
            self.json = json.loads(out)
        except ValueError:
            self.json = None
        reports = [] if self.json is None else self.json.get("recordings", [self.json])
        self.findings = [f for r in reports for f in r["findings"]]
        self.codes = [f["code"] for f in self.findings]

    def has(self, codes, where=None):
        return any(f["code"] in codes and (where is None or where in f["where"]) for f in self.findings)

    def __str__(self):
        return "exit code %s\n%s\n%s" % (
            self.code, "\n".join("%s at %s: %s, not %s" % (f["code"], f["where"], f["actual"], f["expected"])
                                 for f in self.findings), self.err[-400:])


def limited(memory):
    def apply():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    return apply


def verify(*recordings, origin=None, words=(), memory=None):
    command = [verifier, "--json", *words]
    if origin:
        command += ["--origin", origin]
    try:
        r = subprocess.run(command + list(recordings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=PATIENCE, check=False, preexec_fn=limited(memory) if memory else None)
    except subprocess.TimeoutExpired:
        return Answer("none within %d s" % PATIENCE, b"", "")
    return Answer(r.returncode, r.stdout, r.stderr.decode(errors="replace"))


# The peak of a process counts what its parent held when it forked: hence a small one between.
MEASURE = """
import os, resource, subprocess, sys
r = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, timeout=%d)
os.write(int(sys.argv[1]), b"%%d" %% resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(r.returncode)
""" % PATIENCE


def measured(recording, origin):
    """(answer, peak resident bytes, seconds) of one verification."""
    read_end, write_end = os.pipe()
    since = time.monotonic()
    try:
        r = subprocess.run([sys.executable, "-c", MEASURE, str(write_end), verifier, "--json", "--origin", origin, recording],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, pass_fds=[write_end])
        seconds = time.monotonic() - since
        os.close(write_end)
        write_end = -1
        peak = int(os.read(read_end, 100) or 1 << 40) * 1024
        return Answer(r.returncode, r.stdout, r.stderr.decode(errors="replace")), peak, seconds
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)


def load(recording):
    """{path: bytes} of a recording."""
    files = {}
    for top, _, names in os.walk(recording):
        for n in names:
            full = os.path.join(top, n)
            with open(full, "rb") as f:
                files[os.path.relpath(full, recording)] = f.read()
    return files


def store(files, where):
    for path, raw in files.items():
        full = os.path.join(where, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(raw)
    return where


class Copy:
    """A copy of a recording that is changed and put back, file by file."""

    def __init__(self, files, name):
        self.files, self.where = files, os.path.join(T, name)
        store(files, self.where)

    def full(self, path):
        return os.path.join(self.where, path)

    def put(self, changes):
        """changes: path -> bytes, or None for no such file."""
        for path, raw in changes.items():
            if raw is None:
                os.unlink(self.full(path))
            else:
                store({path: raw}, self.where)

    def restore(self, changes):
        for path in changes:
            full = self.full(path)
            if os.path.isdir(full) and not os.path.islink(full):
                shutil.rmtree(full)
            elif os.path.lexists(full):
                os.unlink(full)
            if path in self.files:
                store({path: self.files[path]}, self.where)

# SPDX-License-Identifier: Apache-2.0
# For the tests of this folder: private namespaces with a quiet veth pair, a bounded sender of numbered frames, a capture
# whose processes can be killed one by one, and a result line. Everything waits for events with a deadline.
import atexit
import bisect
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DEADLINE = 30.0  # seconds for any single event
SIZES = (60, 1514)

passed = failed = skipped = 0
processes = []  # Popen objects of what was started here
foreign = []  # (pid, pidfd) of the roles below them
T = None
sealtap = None


def say(text):
    print(text, flush=True)


def check(name, ok, detail=""):
    global passed, failed
    if ok:
        passed += 1
        say(f"ok - {name}")
    else:
        failed += 1
        say(f"not ok - {name}")
        for line in str(detail).splitlines():
            say(f"    {line}")
    return ok


def equal(name, expected, actual):
    return check(name, expected == actual, f"expected: {expected}\nactual:   {actual}")


def skip(name):
    global skipped
    skipped += 1
    say(f"skip - {name}")


def finish():
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0 if passed else 77)


def skip_all(why):
    skip(why)
    finish()


def cleanup():
    for pid, fd in foreign:
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except OSError:
            pass
    for p in processes:
        if p.poll() is None:
            p.kill()
            p.wait()
    if T:
        subprocess.run(["umount", "-q", "-R", os.path.join(T, "disk")], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(T, ignore_errors=True)


def enter(tools=()):
    """Runs the script again inside namespaces of its own; then makes the working directory."""
    global T, sealtap
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        skip_all("no sealtap binary given as the first argument")
    if "CRASH_ENTERED" not in os.environ:
        if subprocess.run(["unshare", "-n", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            skip_all("needs root: network namespaces cannot be made")
        os.environ["CRASH_ENTERED"] = "1"
        os.execvp("unshare", ["unshare", "-n", "-m", sys.executable] + sys.argv)
    del os.environ["CRASH_ENTERED"]
    for tool in ("ip", "ethtool", "zstd", "cc", "mount") + tuple(tools):
        if not shutil.which(tool):
            skip_all(f"needs {tool}: sudo scripts/install-packages test")
    sealtap = os.path.abspath(sys.argv[1])
    T = tempfile.mkdtemp(prefix="sealtap-crash.")
    os.chmod(T, 0o755)
    atexit.register(cleanup)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(130))
    os.environ["SEALTAP_HOME"] = os.path.join(T, "home")
    run([sealtap, "keygen", "-o", os.path.join(T, "key")], must=True)


def run(command, must=False, **more):
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    r = subprocess.run(command, check=False, timeout=120, **more)
    if must and r.returncode:
        sys.exit(f"{' '.join(command)}: exit {r.returncode}: {r.stderr.decode()}")
    return r


def build_tool(name, *sources):
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter",
               "-I" + os.path.join(TOP, "include"), "-I" + TOP, "-o", os.path.join(T, name),
               *[os.path.join(TOP, source) for source in sources], "-lcrypto", "-lzstd", "-lpthread"]
    run(command, must=True)


def make_network(*pairs):
    """veth pairs without address resolution or offloads: what is sent into one end arrives at the other as it was."""
    run(["mount", "-t", "sysfs", "sysfs", "/sys"])
    for name in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w") as f:
            f.write("1\n")
    for a, b in pairs:
        if run(["ip", "link", "add", "name", a, "type", "veth", "peer", "name", b]).returncode:
            skip_all("no veth pair: this kernel lacks veth")
        for end in (a, b):
            run(["ethtool", "-K", end, "gro", "off", "gso", "off", "tso", "off", "rx", "off", "tx", "off"])
            run(["ip", "link", "set", "dev", end, "arp", "off", "mtu", "9000", "up"], must=True)
    for a, b in pairs:
        for end in (a, b):
            wait_until(lambda e=end: read_text(f"/sys/class/net/{e}/operstate") == "up", f"carrier of {end}")


def read_text(path):
    with open(path) as f:
        return f.read().strip()


def wait_until(condition, what, deadline=DEADLINE, pause=0.001):
    """Polls a condition that gives no event of its own. Fails the test when the deadline passes."""
    until = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(pause)
    return value


class Link:
    """Numbered frames into one end of a pair; a thread that notes when how many had been sent, by the kernel's count."""

    def __init__(self, interface):
        self.path = f"/sys/class/net/{interface}/statistics/tx_packets"
        self.interface = interface
        self.sender = None

    def start(self, seed, rate, count):
        self.seed = seed
        self.base = int(read_text(self.path))
        self.times, self.counts = [time.monotonic()], [0]
        self.sender = subprocess.Popen(
            [os.path.join(T, "send_frames"), "-i", self.interface, "-e", str(seed), "-s", "%d-%d" % SIZES,
             "-r", str(rate), "-c", str(count)], stdout=subprocess.PIPE)
        processes.append(self.sender)
        self.stopped = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def count(self):
        with open(self.path) as f:
            return int(f.read()) - self.base

    def watch(self):
        while not self.stopped.is_set():
            at = time.monotonic()
            n = self.count()  # sent at or after `at`
            self.times.append(at)
            self.counts.append(n)
            time.sleep(0.002)

    def sent_before(self, when):
        """At least so many frames had been sent at the time."""
        i = bisect.bisect_right(self.times, when) - 2
        return self.counts[i] if i >= 0 else 0

    def time_of(self, number):
        """A time at or before which frame `number` had been sent."""
        i = bisect.bisect_right(self.counts, number)
        return self.times[min(i + 1, len(self.times) - 1)]

    def await_count(self, number):
        wait_until(lambda: self.count() >= number or self.sender.poll() is not None, f"frame {number}", pause=0.0002)

    def stop(self):
        """Ends the sender; how many frames it sent."""
        if self.sender.poll() is None:
            self.sender.kill()
        self.sender.wait()
        self.sender.stdout.close()
        self.stopped.set()
        self.watcher.join()
        return self.count()


class Run:
    """One `sealtap capture` or `ingest` with its roles."""

    def __init__(self, verb, rec, *arguments):
        self.rec = rec
        self.lines = []
        self.changed = threading.Condition()
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sealtap, verb, "--key", os.path.join(T, "key/origin.key"), "-o", rec, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        processes.append(self.process)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append((time.monotonic(), line.decode(errors="replace").rstrip()))
                self.changed.notify_all()
        with self.changed:
            self.lines.append((time.monotonic(), ""))
            self.changed.notify_all()

    def stderr(self):
        return "\n".join(line for _, line in self.lines)

    def await_line(self, start, times=1):
        """When the line that begins so came for the n-th time."""
        def found():
            return [at for at, line in self.lines if line.startswith(start)][times - 1:]
        with self.changed:
            if not self.changed.wait_for(found, DEADLINE):
                raise TimeoutError(f"no line '{start}' number {times}; there was:\n{self.stderr()}")
            return found()[0]

    def roles(self):
        """Living children of the supervisor, by role."""
        pid, roles = self.process.pid, {}
        try:
            children = read_text(f"/proc/{pid}/task/{pid}/children").split()
        except OSError:
            return roles
        for child in children:
            try:
                name = os.path.basename(os.readlink(f"/proc/{child}/exe"))
                if read_text(f"/proc/{child}/stat").rsplit(")", 1)[1].split()[0] != "Z":
                    roles[name] = int(child)
            except OSError:
                pass
        return roles

    def role(self, name):
        """Pid and pidfd of a role that lives or comes up."""
        pid = wait_until(lambda: self.roles().get("sealtap-" + name) or self.process.poll() is not None, name, pause=0)
        if pid is True:
            return None
        fd = os.pidfd_open(pid)
        foreign.append((pid, fd))
        return fd

    def kill(self, *names):
        """SIGKILL to roles or `supervisor`, in this order; the time of the first."""
        fds = [self.process if name == "supervisor" else self.role(name) for name in names]
        at = time.monotonic()
        for fd in fds:
            if fd is self.process:
                fd.kill()
            elif fd is not None:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        return at

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Waits for the supervisor; its exit code."""
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        self.process.stderr.close()
        return code


def await_end(pidfd, deadline=DEADLINE):
    """Of a process that is not our child."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(deadline * 1000))


def ledger(rec):
    with open(os.path.join(rec, "ledger.jsonl"), "rb") as f:
        lines = f.read().split(b"\n")
    parsed = []
    for line in lines[:-1]:
        parsed.append(json.loads(line))
    return parsed  # a torn last line is left out


OF_FLOWS = ("inspection-shed", "inspector-died", "flowlog-died", "flows-ended")


def incidents(rec):
    """Of recording itself: what becomes of flows meanwhile is tests/netns/test_capture_flows' concern."""
    return [line["kind"] for line in ledger(rec) if line["type"] == "incident" and line["kind"] not in OF_FLOWS]


def close_reason(rec):
    last = ledger(rec)[-1]
    return last["reason"] if last["type"] == "close" else None


def counters_of(value):
    if isinstance(value, dict):
        if "received" in value and "recorded" in value:
            yield value
        for inner in value.values():
            yield from counters_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from counters_of(inner)


def lawless(rec):
    """Counters in the ledger that break the law of section 2.3."""
    bad = []
    for line in ledger(rec):
        for c in counters_of(line):
            parts = [c[k] for k in ("recorded", "filtered", "out_of_scope", "shunted")] + list(c["dropped"].values())
            if int(c["received"]) != sum(map(int, parts)):
                bad.append(f"line {line['seq']}: {c}")
    return bad


def verify(rec):
    """Exit code, and the finding codes and all text."""
    r = run([sealtap, "verify", rec, "--origin", os.path.join(T, "key/origin.pub")])
    text = r.stdout.decode() + r.stderr.decode()
    return r.returncode, re.findall(r"^- ([a-z-]+) \(", text, re.M), text


def recover(rec):
    return run([sealtap, "recover", rec, "--key", os.path.join(T, "key/origin.key")])


def cat_ranges(rec, seed):
    """Runs of frame numbers that `sealtap cat` gives; None and the reason when a frame is wrong."""
    cat = subprocess.Popen([sealtap, "cat", rec, "-w", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    read = run([os.path.join(T, "read_frames"), str(seed), str(SIZES[0]), str(SIZES[1])], stdin=cat.stdout)
    cat.stdout.close()
    said = cat.stderr.read().decode()
    cat.stderr.close()
    if cat.wait() == 1 or read.returncode:
        return None, said + read.stderr.decode()
    return [tuple(map(int, line.split())) for line in read.stdout.decode().splitlines()], ""


def missing(ranges, count):
    """Runs of numbers below count that are in no range."""
    gaps, at = [], 0
    for first, last in ranges:
        if first > at:
            gaps.append((at, min(first, count) - 1))
        at = last + 1
    if at < count:
        gaps.append((at, count - 1))
    return [g for g in gaps if g[0] <= g[1]]

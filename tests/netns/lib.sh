# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that need a network: a private network and mount namespace, a quiet veth pair, a recorder to start and stop,
# and a result line. Waits for events with a deadline, never for a time. Source it first, then call `netns_enter "$@"`.

NETNS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$NETNS_DIR/../.." && pwd)
PASSED=0 FAILED=0 SKIPPED=0
SLOWNESS=${SLOWNESS:-1}                  # how many times slower this machine is than it should be, such as an emulated one
DEADLINE=${DEADLINE:-$((30 * SLOWNESS))} # seconds for any single event
PIDS=()

say() { printf '%s\n' "$*"; }

pass() { PASSED=$((PASSED + 1)); say "ok - $*"; }
fail() { FAILED=$((FAILED + 1)); say "not ok - $*"; }
skip() { SKIPPED=$((SKIPPED + 1)); say "skip - $*"; }

# check NAME COMMAND...: one result, from the command's exit code.
check() {
    local name=$1
    shift
    if "$@"; then pass "$name"; else fail "$name"; fi
}

# sample ALL SOME: how much a suite does; some of it when it is asked for a sample.
sample() { if [ -n "${SEALTAP_TEST_SAMPLE:-}" ]; then say "$2"; else say "$1"; fi; }

# equal NAME EXPECTED ACTUAL
equal() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        say "    expected: $2"
        say "    actual:   $3"
    fi
}

# The result line; exit 0, 1, or 77 when everything was skipped.
finish() {
    say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    [ "$FAILED" -eq 0 ] || exit 1
    [ "$PASSED" -gt 0 ] || exit 77
    exit 0
}

skip_all() {
    skip "$*"
    finish
}

netns_cleanup() {
    local pid
    for pid in "${PIDS[@]}"; do
        kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    [ -z "${T:-}" ] || rm -rf "$T"
}

# Runs the calling script again inside its own network and mount namespaces. What it makes there ends with it.
netns_enter() {
    if [ -z "${NETNS_ENTERED:-}" ]; then
        if ! unshare -n -m true 2>/dev/null; then
            skip_all "needs root: network namespaces cannot be made"
        fi
        NETNS_ENTERED=1 exec unshare -n -m "$0" "$@"
    fi
    unset NETNS_ENTERED
    SEALTAP=${1:-}
    T=$(mktemp -d "${TMPDIR:-/tmp}/sealtap-netns.XXXXXX")
    trap netns_cleanup EXIT
    trap 'exit 130' INT TERM
    mount -t sysfs sysfs /sys 2>/dev/null # that of the new network namespace
    mount -t bpf bpf /sys/fs/bpf 2>/dev/null # libxdp looks for it; systemd mounts it, containers do not
    # No router solicitations, no neighbour discovery, no multicast reports.
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    export SEALTAP_HOME=$T/home
}

need_sealtap() {
    [ -x "$SEALTAP" ] || skip_all "no sealtap binary given as the first argument"
}

need_tools() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip_all "needs $tool: sudo scripts/install-packages test"
    done
}

# quiet NAME [MTU]: no address resolution, no offloads, so that frames cross exactly as they were sent.
quiet() {
    ethtool -K "$1" gro off gso off tso off rx off tx off >/dev/null 2>&1 || return
    ip link set dev "$1" arp off mtu "${2:-9000}" up
}

# make_pair A B: a veth pair in this namespace. What is sent into one arrives at the other.
make_pair() {
    ip link add name "$1" type veth peer name "$2" && quiet "$1" && quiet "$2" && wait_link "$1" && wait_link "$2"
}

# xdp_asks_for_tags: from Linux 6.8 on a program may ask for the VLAN tag that a sender's veth keeps beside the frame.
xdp_asks_for_tags() { grep -q ' bpf_xdp_metadata_rx_vlan_tag$' /proc/kallsyms; }

# tags_inline IFACE: it writes VLAN tags into the frames that it sends. Older kernels need that at the other end of a veth
# that xdp records, and generic mode needs it everywhere.
tags_inline() { ethtool -K "$1" tx-vlan-hw-insert off tx-vlan-stag-hw-insert off >/dev/null; }

# Reads the kernel's own link events until the carrier is there.
wait_link() {
    local line
    exec 8< <(exec timeout "$DEADLINE" ip -o monitor link 2>/dev/null)
    while ! ip -o link show dev "$1" | grep -q LOWER_UP; do
        read -t "$DEADLINE" -r line <&8 || return 1
    done
    exec 8<&-
}

# link_counter IFACE rx|tx packets|dropped|errors
link_counter() {
    ip -s -j link show dev "$1" | jq -r ".[0].stats64.$2.$3"
}

# await_frames IFACE COUNT: until the interface has received so many frames.
await_frames() {
    local until=$((SECONDS + DEADLINE))
    while [ "$(link_counter "$1" rx packets)" -lt "$2" ]; do
        [ "$SECONDS" -lt "$until" ] || return 1
    done
}

# build_tool NAME SOURCE... : compiles a tool of this directory into $T, with $CFLAGS such as -fsanitize=address.
build_tool() {
    local name=$1
    shift
    # shellcheck disable=SC2086 # CFLAGS is a list
    "${CC:-cc}" ${CFLAGS:-} -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wno-unused-parameter -I"$TOP/include" -I"$TOP" \
        -o "$T/$name" "$@" -lcrypto -lpthread
}

build_sender() {
    build_tool send_frames "$NETNS_DIR/send_frames.c"
}

# await_exit PID [SECONDS]: until the process has ended, by its pidfd. Its exit code, or 124 when time passed.
await_exit() {
    python3 - "$1" "${2:-$DEADLINE}" <<'PY' || return 124
import os, select, sys
try:
    fd = os.pidfd_open(int(sys.argv[1]))
except ProcessLookupError:
    sys.exit(0)
p = select.poll()
p.register(fd, select.POLLIN)
sys.exit(0 if p.poll(int(float(sys.argv[2]) * 1000)) else 1)
PY
    wait "$1"
}

# start_process NAME PATTERN COMMAND...: in the background with default signals; output goes to $T/NAME.out, standard
# error to $T/NAME.err. Returns when a line of the latter matches the glob PATTERN. PID is set. (A shell's background
# jobs ignore SIGINT, hence env.)
start_process() {
    local name=$1 pattern=$2 line
    shift 2
    rm -f "$T/$name.fifo"
    mkfifo "$T/$name.fifo"
    : >"$T/$name.err"
    env --default-signal=INT,TERM "$@" >"$T/$name.out" 2>"$T/$name.fifo" &
    PID=$!
    PIDS+=("$PID")
    exec 9<"$T/$name.fifo"
    while read -t "$DEADLINE" -r line <&9; do
        printf '%s\n' "$line" >>"$T/$name.err"
        # shellcheck disable=SC2053 # a glob
        if [[ $line == $pattern ]]; then
            cat <&9 >>"$T/$name.err" &
            PIDS+=("$!")
            exec 9<&-
            return 0
        fi
    done
    exec 9<&-
    say "    $name: no line like '$pattern' came; standard error was:"
    sed 's/^/    /' "$T/$name.err"
    return 1
}

# start_capture ARGS...: `sealtap capture` with an origin key; returns once it captures. PID is set.
start_capture() {
    [ -e "$T/key/origin.key" ] || "$SEALTAP" keygen -o "$T/key" >/dev/null 2>&1 || return
    start_process "${CAPTURE_NAME:-capture}" "capturing*" "$SEALTAP" capture --key "$T/key/origin.key" \
        ${DRIVER:+--driver "$DRIVER"} "$@"
}

# stop_capture [SIGNAL]: RC is the exit code of the capture.
stop_capture() {
    kill -"${1:-INT}" "$PID"
    await_exit "$PID"
    # shellcheck disable=SC2034 # read by the tests
    RC=$?
}

# recorded REC: the multiset of all frames in the segments, by a reader that shares no code with sealtap.
recorded() {
    python3 "$NETNS_DIR/frame_hash.py" "$1"
}

# counter REC JQ-PATH: sum over lanes of the counters at the end of their last segment.
counter() {
    jq -s "[map(select(.type == \"segment\")) | group_by(.lane)[] | max_by(.number) | .counters_end$2 | tonumber] | add // 0" \
        "$1/ledger.jsonl"
}

# law REC: received = sum of everything else, in every counters object of the ledger.
law() {
    jq -es '[.. | objects | select(has("received") and has("recorded") and has("dropped"))]
        | length > 0 and all(.[]; (.received | tonumber) == ([.recorded, .filtered, .out_of_scope, .shunted,
            .dropped.pool, .dropped.disk, .dropped.oversize, .dropped.crash] | map(tonumber) | add))' \
        "$1/ledger.jsonl" >/dev/null
}

close_reason() {
    tail -n 1 "$1/ledger.jsonl" | jq -r 'select(.type == "close") | .reason'
}

verify() {
    "$SEALTAP" verify "$1" --origin "$T/key/origin.pub" >"$T/verify.out" 2>&1
}

# frames_of LINE: the count in a line of send_frames or frame_hash.py
frames_of() {
    local frames=${1#frames=}
    say "${frames%% *}"
}

# accounted NAME REC SENT: what must hold for every capture without loss. SENT is the sender's line.
accounted() {
    local name=$1 rec=$2 sent=$3 frames
    frames=$(frames_of "$sent")
    equal "$name: recorded frames are the sent frames, byte for byte" "$sent" "$(recorded "$rec")"
    equal "$name: driver.received" "$frames" "$(counter "$rec" .driver.received)"
    equal "$name: driver.dropped" 0 "$(counter "$rec" .driver.dropped)"
    equal "$name: received" "$frames" "$(counter "$rec" .received)"
    equal "$name: recorded" "$frames" "$(counter "$rec" .recorded)"
    check "$name: the law holds in every counters object" law "$rec"
    check "$name: the recording verifies" verify "$rec"
}
